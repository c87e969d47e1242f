"""Bytes of files, unpacked as they are read: the first bytes tell how, since a snapshot in the
store is named by its digest."""

# pyarrow (for zst) and the less usual packings are imported where a file needs them.

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, cast

# What opening and unpacking raise; a packed file that is cut off or damaged is no OSError.
UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,  # a packing inside a zip that Python does not know
)
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_XZ = b"\xfd7zXZ\x00"
_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")  # behind `BZh` and a digit; the second is of an empty file
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_LONGEST = 10
_CHUNK = 1 << 17
# What a Mac puts into a zip beside the files.
_LITTER = ("__MACOSX/", ".DS_Store")


class Packed(Exception):
    """A packed file that does not hold one file: `message` ends a sentence that begins with its
    name, `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


UNPACKING: tuple[type[Exception], ...] = (Packed, *UNREADABLE)


def open_unpacked(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where it is gz, zst, bz2, xz, or a zip of one file.

    Packed where a zip does not hold one file; else, then and while reading, one of UNREADABLE.
    """
    file = path.open("rb")
    head = file.peek(_LONGEST)[:_LONGEST]
    if head.startswith((_GZIP, _ZSTD, _XZ, *_ZIP)) or (
        head.startswith(b"BZh") and head[4:10] in _BZIP2
    ):
        file.close()
        return _unpacked(path, head)
    return file


def _unpacked(path: Path, head: bytes) -> IO[bytes]:
    if head.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if head.startswith(_ZSTD):
        return _zstd(path)
    if head.startswith(_XZ):
        import lzma

        return _buffered(lzma.open(path, "rb"), lzma.LZMAError)
    if head.startswith(_ZIP):
        return _member(path)
    import bz2

    return cast("IO[bytes]", bz2.open(path, "rb"))


def _zstd(path: Path) -> IO[bytes]:
    import pyarrow as pa

    return _buffered(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"), OSError)


def _buffered(stream: Any, damaged: type[Exception]) -> IO[bytes]:
    """A stream as a file of Python's, whose own errors become OSError."""

    class Raw(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            try:
                data = stream.read(len(buffer))
            except damaged as error:
                raise OSError(str(error)) from None
            buffer[: len(data)] = data
            return len(data)

        def close(self) -> None:
            stream.close()
            super().close()

    return io.BufferedReader(Raw(), _CHUNK)


def _member(path: Path) -> IO[bytes]:
    """The one file in a zip."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        message = "is a zip or a spreadsheet that is cut off or damaged"
        raise Packed(message, "of a spreadsheet, export the rows as csv") from None
    names = [
        item
        for item in archive.infolist()
        if not item.is_dir()
        and not item.filename.startswith(_LITTER[0])
        and not item.filename.endswith(_LITTER[1])
    ]
    held = [item.filename for item in names]
    if "[Content_Types].xml" in held or "mimetype" in held[:1]:
        archive.close()
        raise Packed("is a spreadsheet or a document, not text", "export the rows as csv")
    if len(names) != 1:
        archive.close()
        if not names:
            raise Packed("is a zip that holds no file")
        listed = ", ".join(held[:5]) + (", ..." if len(held) > 5 else "")
        message = f"is a zip of {len(held)} files: {listed}"
        raise Packed(message, "unpack it, and name the file that is meant")
    if names[0].flag_bits & 1:
        archive.close()
        raise Packed("is a zip with a password", "unpack it, and name the file")
    return archive.open(names[0])
