"""The faults: each is done once to a victim, which must then be as good as before."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults.interrupting import interrupted
from tests.faults.removing import killed_collecting, killed_forgetting
from tests.faults.victim import Victim

_SMALL = 64  # KiB of the disk that fills up at least; the plan needs about twice as much


class Impossible(Exception):
    """A fault cannot be done on this machine; its text says why."""


def killed(victim: Victim, draw: random.Random, seconds: float) -> None:
    """SIGKILL at a random moment of a run, often of one that goes on from an earlier kill."""
    if draw.random() < 0.4 or victim.nothing_wrong_is_readable() == len(victim.truth.by_key):
        victim.empty()
    process = victim.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0, seconds))
    victim.kill(process)
    victim.nothing_wrong_is_readable()
    if draw.random() < 0.5:
        victim.recovers(clean=True)
    else:  # killed again before anything looks after it
        again = victim.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            again.wait(draw.uniform(0, seconds))
        victim.kill(again)
        victim.recovers(clean=True)


def raced(victim: Victim, draw: random.Random, seconds: float) -> None:
    """Eight runs at once on one store: all end well, and each step is made once."""
    victim.empty()
    processes = []
    for _ in range(8):
        processes.append(victim.start())
        time.sleep(draw.uniform(0, 0.05))
    ended = [victim.end(process) for process in processes]
    for one in ended:
        assert one.code == 0, f"{victim.what}: {one}"
        victim.is_true(one)
    for step in victim.truth.by_step:
        ran = [one.statuses[step] for one in ended].count("ran")
        assert ran == 1, f"{victim.what}: {step} was made {ran} times"
    victim.recovers(clean=True)


def raced_and_killed(victim: Victim, draw: random.Random, seconds: float) -> None:
    """Four runs at once, all but one of them killed: the last makes what they left."""
    victim.empty()
    processes = [victim.start() for _ in range(4)]
    for process in processes[1:]:
        time.sleep(draw.uniform(0, seconds / 3))
        process.kill()
        process.communicate()
    ended = victim.end(processes[0])
    assert ended.code == 0, f"{victim.what}: {ended}"
    victim.is_true(ended)
    victim.recovers(clean=True)


@contextmanager
def _small_disk(victim: Victim, size: int) -> Iterator[None]:
    place = victim.root / ".mlops"
    victim.empty()
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(words, capture_output=True).returncode:
        raise Impossible("a small disk can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def full_disk(victim: Victim, draw: random.Random, seconds: float) -> None:
    """The disk fills up somewhere in a run, which says so; with room again, the next one ends."""
    with _small_disk(victim, _SMALL + draw.randrange(0, 700)):
        ended = victim.end(victim.start())
        victim.is_true(ended)
        assert ended.code in (0, 7), f"{victim.what}: {ended}"
        assert ended.code == 0 or set(ended.problems) <= {"disk", "store"}, ended
        victim.nothing_wrong_is_readable()
        place = victim.root / ".mlops"
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        victim.recovers(clean=True)
    victim.empty()


def full_in_between(victim: Victim, draw: random.Random, seconds: float) -> None:
    """There is no room for some changes of files in a row, at any moment: between a result's blobs
    and its record, for example. What can be stored is, and the rest is told."""
    victim.empty()
    first, times = draw.randint(1, 400), draw.choice([1, 1, 2, 5, 40])
    ended = victim.end(victim.start(MLOPS_FAULTS_FULL=f"{first}:{times}"))
    victim.is_true(ended)
    assert ended.code in (0, 7), f"{victim.what}: {ended}"
    assert ended.code == 0 or set(ended.problems) <= {"disk", "store"}, f"{victim.what}: {ended}"
    victim.nothing_wrong_is_readable()
    victim.recovers(clean=True)


def read_only(victim: Victim, draw: random.Random, seconds: float) -> None:
    """A store that cannot be written: what it has is hit, what it has not is refused."""
    _whole(victim)
    lost = draw.choice([None, *victim.truth.by_step])
    if lost is not None:
        with victim.store() as store:
            for _, digest in victim.truth.by_step[lost]:
                store.blobs.place(digest.sha256).unlink(missing_ok=True)
    with _not_to_be_written(victim.root / ".mlops"):
        ended = victim.end(victim.start())
    victim.is_true(ended)
    if lost is None:
        assert ended.code == 0 and set(ended.statuses.values()) == {"hit"}, ended
    else:
        assert ended.code == 7 and ended.statuses[lost] == "failed", f"{victim.what}: {ended}"
    victim.recovers(clean=lost is None)


@contextmanager
def _not_to_be_written(place: Path) -> Iterator[None]:
    bind = ["mount", "--bind", str(place), str(place)]
    if os.geteuid() or subprocess.run(bind, capture_output=True).returncode:
        raise Impossible("a file system can be mounted by root only")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def flipped_bits(victim: Victim, draw: random.Random, seconds: float) -> None:
    """Some bits of some files are other ones."""
    _whole(victim)
    for place in _some_files(victim, draw):
        data = bytearray(place.read_bytes())
        for _ in range(draw.choice([1, 1, 8, 64])):
            if data:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        _overwrite(place, bytes(data))
    victim.recovers(clean=False)


def truncated(victim: Victim, draw: random.Random, seconds: float) -> None:
    """Some files end too early, or are not there at all."""
    _whole(victim)
    for place in _some_files(victim, draw):
        data = place.read_bytes()
        if draw.random() < 0.3:
            place.unlink()
        else:
            _overwrite(place, data[: draw.randrange(len(data) + 1)])
    victim.recovers(clean=False)


def spoiled_and_run(victim: Victim, draw: random.Random, seconds: float) -> None:
    """The same without a check in between: the next run does not take what is wrong."""
    _whole(victim)
    for place in _some_files(victim, draw):
        data = bytearray(place.read_bytes() or b"x")
        data[draw.randrange(len(data))] ^= 0xFF
        _overwrite(place, bytes(data))
    extra = victim.end(victim.start())
    assert extra.code == 0, f"{victim.what}: {extra}"
    victim.is_true(extra)
    victim.recovers(clean=False)


def _whole(victim: Victim) -> None:
    if victim.nothing_wrong_is_readable() < len(victim.truth.by_key):
        victim.runs_well()


def _some_files(victim: Victim, draw: random.Random) -> list[Path]:
    store = victim.root / ".mlops" / "store"
    kinds = draw.choice([("blobs",), ("actions",), ("index*",), ("blobs", "actions", "index*")])
    files = sorted(
        path for kind in kinds for path in (*store.glob(kind), *store.glob(f"{kind}/*/*"))
    )
    files = [path for path in files if path.is_file() and not path.name.endswith(".lock")]
    return draw.sample(files, min(len(files), draw.randint(1, 3)))


def _overwrite(place: Path, data: bytes) -> None:
    place.chmod(0o644)
    place.write_bytes(data)
    if place.parent.parent.name == "blobs":
        place.chmod(0o444)


def clock_set_back(victim: Victim, draw: random.Random, seconds: float) -> None:
    """The clock goes back between two runs, and the source changes meanwhile: it is seen."""
    _whole(victim)
    hours = draw.uniform(0.001, 48)
    back = victim.end(victim.start(MLOPS_FAULTS_CLOCK=str(-3600 * hours)))
    assert back.code == 0 and set(back.statuses.values()) == {"hit"}, f"{victim.what}: {back}"
    rows = victim.root / "rows.csv"
    rows.write_text(rows.read_text().replace("1,x", "4,x"))
    os.utime(rows, (time.time() - 3600 * hours,) * 2)
    other = victim.end(victim.start(MLOPS_FAULTS_CLOCK=str(-3600 * hours)))
    assert other.code == 0 and other.statuses["source"] in ("ran", "hit"), other
    assert other.digests["source"] != tuple(
        digest.sha256 for _, digest in victim.truth.by_step["source"]
    ), f"{victim.what}: a changed source was not seen"
    victim.put_source_back()
    victim.recovers(clean=True)


def source_changed(victim: Victim, draw: random.Random, seconds: float) -> None:
    """The source is changed, cut off or taken away while a run reads it."""
    victim.empty()
    rows = victim.root / "rows.csv"
    process = victim.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0, seconds))
    how = draw.randrange(3)
    if how == 0:
        rows.unlink()
    elif how == 1:
        rows.write_text(rows.read_text()[: draw.randrange(10)])
    else:
        with rows.open("r+b") as file:
            file.write(b"b,target\n9,y\n")
    ended = victim.end(process)
    # Compiled before the change or after it; run as it was compiled, or refused.
    assert ended.code in (0, 1, 3, 5), f"{victim.what}: {ended}"
    if ended.code == 0 and how != 2:
        victim.is_true(ended)
    victim.put_source_back()
    victim.recovers(clean=True)


def copied_and_moved(victim: Victim, draw: random.Random, seconds: float) -> None:
    """The state is copied elsewhere, or moved away and back: all of it is still good."""
    _whole(victim)
    with tempfile.TemporaryDirectory(dir=victim.root.parent) as there:
        state = victim.root / ".mlops"
        if draw.random() < 0.5:
            shutil.copytree(state, Path(there) / "copy")
            shutil.rmtree(state)
            shutil.copytree(Path(there) / "copy", state)
        else:
            shutil.move(state, Path(there) / "moved")
            shutil.move(Path(there) / "moved", state)
    ended = victim.recovers(clean=True)
    assert set(ended.statuses.values()) == {"hit"}, f"{victim.what}: {ended}"


FAULTS: Mapping[str, Callable[[Victim, random.Random, float], None]] = {
    found.__name__: found
    for found in (
        killed,
        raced,
        raced_and_killed,
        interrupted,
        killed_forgetting,
        killed_collecting,
        full_disk,
        full_in_between,
        read_only,
        flipped_bits,
        truncated,
        spoiled_and_run,
        clock_set_back,
        source_changed,
        copied_and_moved,
    )
}
