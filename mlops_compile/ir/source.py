"""Sources of data as a lock pins them: by content, with the columns found in them."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.value import Map, Value

STORAGE_TYPES = ("bool", "int64", "float64", "timestamp", "timestamp_utc", "string")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ColumnFact:
    """A column as it was found: its storage type, and whether a value is missing somewhere.

    Written as one word in a lock: `int64`, or `int64?` with missing values.
    """

    name: str
    type: str
    missing: bool = False

    def __post_init__(self) -> None:
        if self.type not in STORAGE_TYPES:
            raise ValueError(f"{self.type!r} is no column type; one of {', '.join(STORAGE_TYPES)}")

    @property
    def text(self) -> str:
        return f"{self.type}?" if self.missing else self.type

    @classmethod
    def parse(cls, name: str, text: str) -> ColumnFact:
        return cls(name=name, type=text.removesuffix("?"), missing=text.endswith("?"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A pinned source. `location` says where it was found, `credentials_env` which environment
    variable holds what it takes to be let in; neither is ever part of a key.

    `files` is the number of its files where it is a folder or a pattern: the digest is then that of
    their names and digests.
    """

    kind: str
    location: str
    digest: Digest
    rows: int
    columns: tuple[ColumnFact, ...]
    files: int | None = None
    credentials_env: str | None = None

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise ValueError(f"negative number of rows: {self.rows}")
        if self.files is not None and self.files < 1:
            raise ValueError(f"a source of {self.files} files")

    @property
    def identity(self) -> Map:
        """What of a source enters keys: its bytes and the types they are read as."""
        return Map(
            {
                "digest": self.digest.sha256,
                "columns": Map({column.name: column.type for column in self.columns}),
            }
        )

    def to_dict(self) -> Map:
        """The source as a lock writes it."""
        return Map(
            {
                "kind": self.kind,
                "location": self.location,
                "digest": self.digest.sha256,
                "size": self.digest.size,
                "rows": self.rows,
                "columns": Map({column.name: column.text for column in self.columns}),
                **({} if self.files is None else {"files": self.files}),
                **({} if (name := self.credentials_env) is None else {"credentials_env": name}),
            }
        )

    @classmethod
    def from_dict(cls, value: Map) -> Source:
        """The source that `to_dict` wrote. ValueError or KeyError for anything else."""
        columns, size, rows = value["columns"], value["size"], value["rows"]
        files, credentials = value.get("files"), value.get("credentials_env")
        if not (isinstance(columns, Map) and isinstance(size, int) and isinstance(rows, int)):
            raise ValueError("a source holds an object `columns` and whole numbers `size`, `rows`")
        if not (files is None or isinstance(files, int)):
            raise ValueError("a source's `files` is a whole number")
        return cls(
            kind=_text(value["kind"]),
            location=_text(value["location"]),
            digest=Digest(sha256=_text(value["digest"]), size=size),
            rows=rows,
            columns=tuple(ColumnFact.parse(name, _text(fact)) for name, fact in columns.items()),
            files=files,
            credentials_env=None if credentials is None else _text(credentials),
        )


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is known of the table that all sources make together; `rows` is None where only
    matching the rows tells."""

    columns: tuple[ColumnFact, ...]
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The first cell that keeps a column from being numbers, times or booleans: where it stands,
    the text it holds, what it would have to be in words, and the sort of the column."""

    place: str
    text: str
    wanted: str
    sort: str

    @property
    def shown(self) -> str:
        """The text as sentences quote it."""
        return repr(self.text[:40])

    def said(self, secret: bool = False) -> str:
        """It as a sentence; without its text where that is sensitive."""
        return f"{self.place}: {'...' if secret else self.shown} is not {self.wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What pinning found: the source of the data and the others by name, the table that they make
    together, the levels of the target in it (for classification) and in the test rows alone.

    `misfits` tell why columns are texts: of those that are stated to be something else, and of
    those of which nearly all cells are numbers or times.
    """

    source: Source
    levels: tuple[str, ...] = ()
    others: tuple[tuple[str, Source], ...] = ()
    together: Table | None = None
    test_levels: tuple[str, ...] = ()
    misfits: tuple[tuple[str, Misfit], ...] = ()

    @property
    def table(self) -> Table:
        """The table that the sources make together."""
        return self.together or Table(columns=self.source.columns, rows=self.source.rows)
