"""Package: gates first; then the serving bundle, written and proved on the held-out rows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.emit.bins import watched
from mlops_compile.emit.card import card
from mlops_compile.emit.carried_proof import FILE as PROOF
from mlops_compile.emit.carried_proof import carried_proof
from mlops_compile.emit.fitted import Fitted
from mlops_compile.emit.gates import refusals
from mlops_compile.emit.prove import Proof, prove
from mlops_compile.emit.reference import reference
from mlops_compile.emit.render import MANIFEST, render, sealed
from mlops_compile.emit.spec import serving_spec
from mlops_compile.ir.problem import LOCK_HINT, GateError, StepError, problem
from mlops_compile.ir.reference import FILE as REFERENCE
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, canonical, parse
from mlops_compile.steps.calibrations import FILE as CALIBRATION
from mlops_compile.steps.calibrations import read_calibration
from mlops_compile.steps.needs import family_of
from mlops_compile.steps.prepare import read_preparation
from mlops_compile.steps.train import META, PREPARATION, read_meta

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work


def run(work: Work) -> None:
    """Writes `bundle`, with the model card. GateError where what was measured does not reach the
    gates, or the baseline is better."""
    evaluation = parse(work.inputs["evaluation"].read_bytes())
    judged = work.params["evaluate"]
    assert isinstance(evaluation, Map) and isinstance(judged, Map)
    if "folds" in work.inputs:
        evaluation = Map({**evaluation, "folds": parse(work.inputs["folds"].read_bytes())})
    if found := refusals(judged, evaluation):
        raise GateError(found)
    classes = read_meta(work.inputs["model"])["classes"]
    if work.contract is None or classes != work.contract.classes:
        message = "the lock's contract names other classes than the data and the model have"
        where = ("contract", "response", "classes")
        raise StepError([problem("contract", message, where, LOCK_HINT)])
    spec = serving_spec(work)
    compared = reference(work, spec, evaluation)
    spec = watched(spec, compared, work.params.get("monitor", Map()))
    bundle = work.outputs["bundle"]
    files = render(spec)
    _check_modules(spec, files)
    for name, text in files.items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text, "utf-8")
    (bundle / "CARD.md").write_text(card(work, spec, evaluation), "utf-8")
    (bundle / REFERENCE).write_bytes(canonical(compared.to_dict()))
    for file in sorted(work.inputs["model"].iterdir()):
        if spec.trees is None and file.name not in (META, PREPARATION):
            shutil.copyfile(file, bundle / file.name)
    if spec.calibration:
        shutil.copyfile(work.inputs["calibration"], bundle / CALIBRATION)
    fitted = fitted_pipeline(work, spec)
    (bundle / PROOF).write_text(carried_proof(fitted), "ascii")
    _seal(bundle)
    proof = Proof(
        bundle=bundle,
        table=work.inputs["table"],
        predictions=work.inputs["predictions"],
        fitted=fitted,
    )
    work.told["answer"] = prove(spec, proof)


def fitted_pipeline(work: Work, spec: ServingSpec) -> Fitted:
    """The pipeline that the bundle is to answer as."""
    calibration = work.inputs.get("calibration")
    return Fitted(
        spec=spec,
        preparation=read_preparation(work.inputs["model"] / PREPARATION),
        model=work.inputs["model"],
        predict=family_of(work.params).predict,
        calibration=None if calibration is None else read_calibration(calibration),
    )


def _check_modules(spec: ServingSpec, files: Mapping[str, str]) -> None:
    """StepError where a module of the user's has the name of one of the bundle's own, which would
    stand in its place."""
    own = {name.removesuffix(".py") for name in files if name.endswith(".py") and "/" not in name}
    found = {path.partition("/")[0].removesuffix(".py") for path, _ in spec.carried.files} & own
    if found:
        message = f"the bundle has a module {min(found)!r} of its own, as your code has"
        hint = "rename yours, or put it into a package of another name"
        raise StepError([problem("function", message, ("code", "roots"), hint)])


def _seal(bundle: Path) -> None:
    """Write the digests of all files of a bundle into its `bundle.json`."""
    files = (path for path in bundle.rglob("*") if path.is_file())
    data = {path.relative_to(bundle).as_posix(): path.read_bytes() for path in files}
    (bundle / MANIFEST).write_text(sealed(data), "utf-8")
