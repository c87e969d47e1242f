"""Package: gates first; then the serving bundle, written and proved on the held-out rows."""

from __future__ import annotations

import operator
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mlops_compile.emit.prove import prove
from mlops_compile.emit.render import render
from mlops_compile.emit.spec import serving_spec
from mlops_compile.ir.problem import GateError, Problem, StepError, problem
from mlops_compile.ir.value import Map, Value, parse
from mlops_compile.steps.calibrations import FILE as CALIBRATION
from mlops_compile.steps.train import META, PREPARATION, read_meta

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


def run(work: Work) -> None:
    """Writes `bundle`. GateError where the test part's metrics do not reach the gates."""
    metrics = parse(work.inputs["metrics"].read_bytes())
    evaluate = work.params.get("evaluate", Map())
    assert isinstance(metrics, Map) and isinstance(evaluate, Map)
    if found := unmet(evaluate.get("gates", Map()), metrics["test"]):
        raise GateError(found)
    classes = read_meta(work.inputs["model"])["classes"]
    if work.contract is None or classes != work.contract.classes:
        message = "the lock's contract names other classes than the data and the model have"
        hint = "a lock is made, not edited; write it again with `mlops-compile compile`"
        where = ("contract", "response", "classes")
        raise StepError([problem("contract", message, where, hint)])
    spec = serving_spec(work)
    bundle = work.outputs["bundle"]
    for name, text in render(spec).items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text, "utf-8")
    for file in sorted(work.inputs["model"].iterdir()):
        if file.name not in (META, PREPARATION):
            shutil.copyfile(file, bundle / file.name)
    if spec.calibration:
        shutil.copyfile(work.inputs["calibration"], bundle / CALIBRATION)
    prove(spec, bundle, work.inputs["table"], work.inputs["predictions"])


def unmet(gates: Value, test: Value) -> list[Problem]:
    """Every gate that the metrics of the test part do not reach."""
    assert isinstance(gates, Map) and isinstance(test, Map)
    found = []
    for name, gate in gates.items():
        value = test[name]
        assert isinstance(value, float)
        if not _reaches(value, gate):
            message = f"the gate is not met: {name} is {_shown(value, gate)}, not {gate}"
            hint = "better the model, or change the gate on purpose"
            found.append(problem("gate", message, ("evaluate", "gates", name), hint))
    return found


def _reaches(value: float, gate: Value) -> bool:
    sign, bound = str(gate).split()
    return _COMPARE[sign](value, float(bound))


def _shown(value: float, gate: Value) -> str:
    """Six digits, or all of them where six would seem to reach the gate."""
    short = f"{value:.6g}"
    return repr(value) if _reaches(float(short), gate) else short
