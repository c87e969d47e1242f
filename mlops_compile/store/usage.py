"""What takes the space of a store: by step kind, by data set, by age; shared blobs count once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.store.census import Census, take_census
from mlops_compile.store.entry import Entry, held
from mlops_compile.store.store import Store

SHARED, SNAPSHOTS, LOOSE = "(shared)", "(snapshots)", "(nobody's)"
_DAY = 86_400
_AGES = (("today", _DAY), ("this week", 7 * _DAY), ("this month", 30 * _DAY))
_OLDER = "older"
_YOUNGEST_FIRST = (*(name for name, _ in _AGES), _OLDER, LOOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A group's part: its actions, and the bytes of their records and of the blobs that they alone
    have."""

    name: str
    actions: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Where the bytes of a store are. The shares of each view add up to `blobs` and `records`; all
    sizes are in bytes. Kinds and data sets stand in the order of their sizes."""

    action_count: int
    blob_count: int
    kinds: tuple[Share, ...]
    data: tuple[Share, ...]
    ages: tuple[Share, ...]
    blobs: int
    records: int
    index: int
    quarantine: int
    scratch: int

    @property
    def total(self) -> int:
        return self.blobs + self.records + self.index + self.quarantine + self.scratch


def usage(store: Store, now: float) -> Usage:
    """What takes the space of a store; `now` is the Unix time that ages count from."""
    census = take_census(store)
    root = store.root
    ages = _view(census, lambda entry: _age(now - entry.used), lambda sha: None, youngest=True)
    return Usage(
        action_count=len(census.entries),
        blob_count=len(census.blobs),
        kinds=_view(census, lambda entry: entry.kind, _snapshot_or_none(census)),
        data=_view(census, lambda entry: census.data(entry.key), lambda sha: None),
        ages=tuple(sorted(ages, key=lambda share: _YOUNGEST_FIRST.index(share.name))),
        blobs=sum(blob.size for blob in census.blobs.values()),
        records=sum(entry.size for entry in census.entries.values()),
        index=sum(_size(path) for path in root.glob("index.sqlite*")),
        quarantine=sum(_size(path) for path in root.glob("quarantine/*")),
        scratch=sum(_size(path) for path in root.glob("scratch/**/*")),
    )


def _view(
    census: Census,
    group: Callable[[Entry], str],
    apart: Callable[[str], str | None],
    youngest: bool = False,
) -> tuple[Share, ...]:
    """Shares by group, the largest first. `apart` names a group of its own for a blob, if any;
    `youngest`: a blob of several ages is as old as its latest use, not shared."""
    groups = {key: group(entry) for key, entry in census.entries.items()}
    owners: dict[str, set[str]] = {}
    for key, entry in census.entries.items():
        for sha in held(entry):
            owners.setdefault(sha, set()).add(groups[key])
    sizes = Counter[str]()
    for key, entry in census.entries.items():
        sizes[groups[key]] += entry.size
    for sha, blob in census.blobs.items():
        sizes[apart(sha) or _owner(owners.get(sha, set()), youngest)] += blob.size
    actions = Counter(groups.values())
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    return tuple(Share(name=name, actions=actions[name], size=sizes[name]) for name in order)


def _owner(owners: set[str], youngest: bool) -> str:
    if youngest and owners:
        return min(owners, key=_YOUNGEST_FIRST.index)
    if len(owners) > 1:
        return SHARED
    return next(iter(owners), LOOSE)


def _snapshot_or_none(census: Census) -> Callable[[str], str | None]:
    """Names the group of blobs that are copies of sources, and no step's results."""
    results = {sha for entry in census.entries.values() for sha in entry.blobs}
    copies = {entry.source for entry in census.entries.values()} - results
    return lambda sha: SNAPSHOTS if sha in copies else None


def _age(seconds: float) -> str:
    return next((name for name, most in _AGES if seconds < most), _OLDER)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if not path.is_dir() else 0
    except OSError:
        return 0
