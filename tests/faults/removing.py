"""SIGKILL to those who remove: nothing that must stay is lost, and what must go goes."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess

from mlops_compile.store.begun import FILE as BEGUN
from tests.faults.plan import Truth
from tests.faults.victim import Victim
from tests.probe import TEXT

OTHER = "a,target\n7,x\n8,y\n9,x\n"


def killed_forgetting(victim: Victim, draw: random.Random, seconds: float) -> None:
    """SIGKILL at a random moment of a `store forget`, often in a store of which something is
    damaged, or whose run was killed; it is finished by a check, or by the same command, and a run
    may come before."""
    goes, stays = _two_sources(victim, draw)
    content = goes.source
    whole = True
    if (before := draw.random()) < 0.35:
        whole = _damaged(victim, draw, goes, stays)
    elif before < 0.7:
        _run_killed(victim, draw, goes, stays, seconds)
    _killed(victim, draw, content)
    assert victim.right(stays) == len(stays.by_key), f"{victim.what}: what must stay is gone"
    begun = victim.root / ".mlops" / "store" / BEGUN
    if draw.random() < 0.3:
        victim.runs_well()
    if draw.random() < 0.5:
        was_begun = begun.exists()
        faults = victim.fsck().faults
        named = {fault.name for fault in faults if not fault.name.startswith(".new-")}
        assert (BEGUN in named) == was_begun, f"{victim.what}: {faults}"
        assert not whole or named <= {BEGUN}, f"{victim.what}: {faults}"
    ended = victim.end(victim.start("keeper", content))
    assert ended.code == 0 or ended.problems == ("no-source",), f"{victim.what}: {ended}"
    assert not begun.exists(), f"{victim.what}: it is not finished"
    _is_gone(victim, goes, stays)
    assert victim.right(stays) == len(stays.by_key), f"{victim.what}: what must stay is gone"
    victim.recovers(clean=True)


def killed_collecting(victim: Victim, draw: random.Random, seconds: float) -> None:
    """SIGKILL at a random moment of a `store gc`, which keeps what a pin needs."""
    goes, stays = _two_sources(victim, draw)
    with victim.store() as store:
        store.pins.put("it", stays.text)
    _killed(victim, draw, "gc")
    assert victim.right(stays) == len(stays.by_key), f"{victim.what}: what is needed is gone"
    if draw.random() < 0.7:
        faults = victim.fsck().faults
        assert not faults, f"{victim.what}: {faults}"
    ended = victim.end(victim.start("keeper", "gc"))
    assert ended.code == 0, f"{victim.what}: {ended}"
    _is_gone(victim, goes, stays)
    assert victim.right(stays) == len(stays.by_key), f"{victim.what}: what is needed is gone"
    ended = victim.recovers(clean=True)
    if stays is victim.truth:
        assert set(ended.statuses.values()) == {"hit"}, f"{victim.what}: {ended}"


def _two_sources(victim: Victim, draw: random.Random) -> tuple[Truth, Truth]:
    """Fill the store with what is made of two sources: which is to go, and which to stay."""
    kept, place = victim.root.parent / f"{victim.root.name}-both", victim.root / ".mlops"
    if not kept.exists():
        victim.empty()
        victim.runs_well()
        victim.other = Truth.of(victim.root.parent / f"{victim.root.name}-other", OTHER)
        (victim.root / "rows.csv").write_text(OTHER)
        assert victim.end(victim.start()).code == 0
        victim.put_source_back()
        shutil.copytree(place, kept)
    victim.empty()
    shutil.copytree(kept, place)
    assert victim.other is not None
    both = [victim.truth, victim.other]
    draw.shuffle(both)
    assert all(victim.right(truth) == len(truth.by_key) for truth in both)
    return both[0], both[1]


def _damaged(victim: Victim, draw: random.Random, goes: Truth, stays: Truth) -> bool:
    """Spoil or remove up to four files of what is to go; whether a check has mended it all."""
    root = victim.root / ".mlops" / "store"
    theirs = {digest.sha256 for digest in stays.digests()}
    mine = {goes.source, *(digest.sha256 for digest in goes.digests())} - theirs
    places = [place for place in root.glob("blobs/*/*") if place.name in mine]
    places += [place for place in root.glob("actions/*/*") if place.stem in goes.by_key]
    for place in draw.sample(sorted(places), draw.randint(1, 4)):
        text = bytearray(place.read_bytes())
        place.unlink()
        if draw.random() < 0.7:
            text[draw.randrange(len(text))] ^= 1 << draw.randrange(8)
            place.write_bytes(text)
            place.chmod(0o444)
    if draw.random() < 0.5:
        return False
    victim.fsck()
    return True


def _run_killed(
    victim: Victim, draw: random.Random, goes: Truth, stays: Truth, seconds: float
) -> None:
    """In a store of what is to stay, kill a run that makes what is to go."""
    kept = victim.root.parent / f"{victim.root.name}-{stays.source[:8]}"
    text = {goes.source: OTHER, stays.source: TEXT}
    if goes is victim.truth:
        text = {goes.source: TEXT, stays.source: OTHER}
    rows, place = victim.root / "rows.csv", victim.root / ".mlops"
    victim.empty()
    if not kept.exists():
        rows.write_text(text[stays.source])
        assert victim.end(victim.start()).code == 0
        shutil.copytree(place, kept)
    else:
        shutil.copytree(kept, place)
    rows.write_text(text[goes.source])
    process = victim.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0.3, 1) * seconds)
    victim.kill(process)
    victim.put_source_back()


def _killed(victim: Victim, draw: random.Random, what: str) -> None:
    """Kill a keeper: right before some change of a file, or after some time."""
    if draw.random() < 0.7:
        process = victim.start("keeper", what, MLOPS_FAULTS_DIE=str(draw.randint(1, 160)))
        process.communicate(timeout=60)
        return
    process = victim.start("keeper", what)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(draw.uniform(0, 0.2))
    victim.kill(process)


def _is_gone(victim: Victim, goes: Truth, stays: Truth) -> None:
    """Nothing is left of one source but what the other gave, too."""
    root = victim.root / ".mlops" / "store"
    records = {place.stem for place in root.glob("actions/*/*.json")}
    assert not records & goes.by_key.keys(), f"{victim.what}: records are left"
    mine = {digest.sha256 for digest in goes.digests()} | {goes.source}
    theirs = {digest.sha256 for digest in stays.digests()} | {stays.source}
    blobs = {place.name for place in root.glob("blobs/*/*")}
    assert not blobs & (mine - theirs), f"{victim.what}: blobs are left"
    left = [*root.glob("scratch/*/*"), *root.glob("quarantine/*"), *root.rglob(".new-*")]
    assert not left, f"{victim.what}: {left}"
