"""The JSON documents of `store` (docs/cli.md); sizes are in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops_compile.api.keeping import Collection
from mlops_compile.cli.documents import FORMAT
from mlops_compile.ir.value import Map, Value, pretty
from mlops_compile.store.forget import Forgotten
from mlops_compile.store.fsck import Checked
from mlops_compile.store.usage import Share, Usage


def du(root: Path, found: Usage, free: Collection | None) -> str:
    """What `store du --json` prints."""
    return _document(
        store=str(root),
        size=found.total,
        action_count=found.action_count,
        blob_count=found.blob_count,
        parts=Map(
            {
                "blobs": found.blobs,
                "records": found.records,
                "index": found.index,
                "quarantine": found.quarantine,
                "scratch": found.scratch,
            }
        ),
        by_kind=_shares(found.kinds),
        by_data=_shares(found.data),
        by_last_use=_shares(found.ages),
        gc=_freed(free) if free else None,
    )


def fsck(root: Path, found: Checked, dry_run: bool) -> str:
    """What `store fsck --json` prints."""
    faults = tuple(
        Map(
            {
                "what": fault.what,
                "name": fault.name,
                "matter": fault.matter,
                "steps": fault.steps,
                "data": fault.data,
                "fate": fault.fate,
            }
        )
        for fault in found.faults
    )
    return _document(
        store=str(root),
        dry_run=dry_run,
        status="wrong" if faults else "ok",
        action_count=found.actions,
        blob_count=found.blobs,
        size=found.size,
        faults=faults,
        index_behind=found.behind,
        uncopied=tuple(Map({"digest": sha, "data": data}) for sha, data in found.uncopied),
        swept=found.swept,
    )


def gc(root: Path, found: Collection, dry_run: bool) -> str:
    """What `store gc --json` prints."""
    did = found.collected
    return _document(
        store=str(root),
        dry_run=dry_run,
        roots=found.roots,
        notes=found.notes,
        live_runs=did.live,
        freed=_freed(found),
        kept=Map({"action_count": did.kept_actions, "size": did.kept_size}),
    )


def pin(name: str, plan: str, before: str | None) -> str:
    """What `store pin --json` prints."""
    return _document(name=name, plan=plan, before=before)


def unpin(name: str) -> str:
    """What `store unpin --json` prints."""
    return _document(name=name, plan=None)


def forget(root: Path, found: Forgotten, runs: Sequence[Path], dry_run: bool) -> str:
    """What `store forget --json` prints."""
    return _document(
        store=str(root),
        dry_run=dry_run,
        sources=found.sources,
        locations=found.locations,
        action_count=found.actions,
        unknown_action_count=found.unknown,
        blob_count=found.blobs,
        loose_blob_count=found.loose,
        size=found.size,
        shared_blob_count=found.kept,
        pins=found.pins,
        cached=found.cached,
        runs=tuple(map(str, runs)),
    )


def _document(**fields: Value) -> str:
    return pretty(Map({"format": FORMAT, **fields}))


def _shares(shares: Sequence[Share]) -> tuple[Map, ...]:
    return tuple(
        Map({"name": share.name, "action_count": share.actions, "size": share.size})
        for share in shares
    )


def _freed(found: Collection) -> Map:
    did = found.collected
    actions = Map(dict(did.actions))
    return Map({"actions": actions, "blob_count": did.blobs, "size": did.size})
