"""Models that were made: finds a bundle by what names it, and writes it out."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_compile.api.registering import Place, check_held, opened
from mlops_compile.api.running import BUNDLE_DIRECTORY, read_run
from mlops_compile.api.versions import find_version, is_words_of_version
from mlops_compile.api.writing import written
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.record import RECORD_FILE
from mlops_compile.ir.value import pick
from mlops_compile.store.blobs import MissingBlob, tree_digest
from mlops_compile.store.files import copy_tree


def checkout_bundle(model: str, place: Place, directory: Path) -> str:
    """Write the bundle of a model (a run directory; a version as NAME, NAME:NUMBER or NAME@ALIAS;
    the digest of a model or bundle, at least 8 digits) into a directory; its digest. CompileError
    where there is none; StoreError where the directory cannot be written."""
    digest, state = find_bundle(model, place), place.state
    own = Path(model) / BUNDLE_DIRECTORY
    with written(directory):
        try:
            state.store.blobs.checkout(digest, directory)
        except MissingBlob:
            if not own.is_dir() or tree_digest(own) != digest:
                raise
            copy_tree(own, directory)
    return digest.sha256


def bundle_to_serve(model: str, place: Place) -> Path:
    """A verified directory of a model's bundle, below the state's cache. As above; StoreError where
    it cannot be written."""
    found = find_bundle(model, place)
    directory = place.state.root / "cache" / "bundles" / found.sha256
    checkout_bundle(model, place, directory)
    return directory


def find_bundle(model: str, place: Place) -> Digest:
    """The digest of a model's bundle. CompileError where there is none, or more than one;
    UsageError for a version that there is not."""
    state = place.state
    is_run = os.path.isfile(os.path.join(model, RECORD_FILE))
    # A directory that is no run may be called as a version is: it is where its bundle lies.
    if is_run or (os.path.isdir(model) and not is_words_of_version(model, place)):
        record = read_run(Path(model))
        found = {r.output("bundle") for r in record.results if r.kind == "package" and r.outputs}
        if not found:
            hint = "its record.json says which step failed; mend that, and run again"
            raise CompileError([problem("no-model", f"the run {model} made no bundle", hint=hint)])
    else:
        found = {
            digest
            for action in state.store.of_kind("package")
            for _, digest in action.outputs
            if _names(model, digest.sha256, str(pick(action.preimage, ("inputs", "model"))))
        }
    if len(found) == 1:
        return next(iter(found))
    if not found and is_words_of_version(model, place):
        with opened(place) as registry:
            if model.partition(":")[0].partition("@")[0] in registry.names():
                version = find_version(model, registry)
            if version.archived is None or state.store.blobs.sound(version.bundle):
                return version.bundle
            check_held(version)
    what = f"{len(found)} bundles of" if found else "no bundle of"
    hint = "give a run directory, a version (`registry list`), or a digest that `run --json` prints"
    raise CompileError([problem("no-model", f"there is {what} {model!r} here", hint=hint)])


def _names(text: str, *digests: str) -> bool:
    return len(text) >= 8 and any(digest.startswith(text) for digest in digests)
