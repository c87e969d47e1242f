"""The model as it is asked for: what of its keys does not go together, or not with the task."""

from __future__ import annotations

from dataclasses import replace

from mlops_compile.compiler.instead import shown
from mlops_compile.compiler.params import settle_params
from mlops_compile.compiler.read import Reader, known
from mlops_compile.compiler.spec import Data, Model
from mlops_compile.compiler.splitting import has_rows_for
from mlops_compile.ir.value import Map
from mlops_compile.steps.families.kind import Family, problem_of
from mlops_compile.steps.thresholds import RULES, Threshold

# Parameters that weigh classes or constrain features too.
_WEIGHING = ("class_weight", "is_unbalance", "scale_pos_weight")
_CONSTRAINING = "monotone_constraints"


def settle_model(reader: Reader, model: Model, family: Family, data: Data) -> Model:
    """The model with its family's parameters by their main names."""
    if not known(family, model.params):
        return model
    params, unknown = settle_params(reader, family, model.params)
    if known(data.task) and data.task in family.tasks:
        for found in family.complaints(params, data.task, has_rows_for(data, "early_stopping")):
            if unknown.isdisjoint((found.param, *found.unless)):
                reader.problems.append(problem_of(found, "impossible"))
    settled = replace(model, family=family.name, params=params)
    _check_class_weight(reader, settled, data)
    _check_monotone(reader, settled, family, data)
    if known(model.calibration) and model.calibration is not None:
        _check_calibration(reader, data, has_rows_for(data, "calibration"))
    if known(model.threshold) and model.threshold is not None:
        _check_threshold(reader, model.threshold, data, has_rows_for(data, "threshold"))
    return settled


def _check_class_weight(reader: Reader, model: Model, data: Data) -> None:
    stated, where = model.class_weight, ("model", "class_weight")
    if stated is None or not known(stated):
        return
    if known(data.task) and data.task == "regression":
        message = "a regression has no classes to weigh"
        reader.complain("impossible", message, where, "leave it out", by_key=True)
    for name in _WEIGHING:
        if model.params.get(name) not in (None, False):
            message = f"weighs the classes, and model.params.{name} does so too"
            reader.complain("impossible", message, where, "keep one of them", by_key=True)
    for name, weight in stated.items() if isinstance(stated, Map) else ():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            message = f"must be a number, not {shown(weight)}"
            reader.complain("wrong-type", message, (*where, name))
        elif not 0 < weight < float("inf"):
            message = f"must be a number above 0, not {weight}"
            reader.complain("out-of-range", message, (*where, name))


def _check_monotone(reader: Reader, model: Model, family: Family, data: Data) -> None:
    if not known(model.monotone) or not len(model.monotone):
        return
    where = ("model", "monotone")
    if not family.monotone:
        message = f"{family.name} cannot keep predictions from rising or falling"
        hint = "take lightgbm or hist_gradient_boosting, or leave it out"
        reader.complain("impossible", message, where, hint, by_key=True)
    elif known(data.task) and data.task == "multiclass":
        message = "with more than two classes there is no one prediction that rises or falls"
        reader.complain("impossible", message, where, "leave it out", by_key=True)
    elif model.params.get(_CONSTRAINING):
        message = f"constrains features, and model.params.{_CONSTRAINING} does so too"
        reader.complain("impossible", message, where, "keep one of them", by_key=True)
    elif model.params.get("objective") in ("regression_l1", "quantile", "mape"):
        message = f"the objective {model.params['objective']} cannot keep constraints"
        hint = "leave them out, or take another objective"
        reader.complain("impossible", message, where, hint, by_key=True)
    for name, sign in model.monotone.items():
        if isinstance(sign, bool) or sign not in (-1, 0, 1):
            message = f"must be 1 (rises), -1 (falls) or 0, not {shown(sign)}"
            reader.complain("wrong-value", message, (*where, name))


def _check_calibration(reader: Reader, data: Data, has_validation: bool) -> None:
    where = ("model", "calibration")
    if known(data.task) and data.task == "regression":
        message = "a regression has no probabilities to calibrate"
        reader.complain("impossible", message, where, "leave it out", by_key=True)
    elif not has_validation:
        _needs_validation(reader, "calibration", where)


def _needs_validation(reader: Reader, what: str, where: tuple[str, ...]) -> None:
    message = f"{what} needs a validation part, and data.split.validation_size is 0"
    hint = f"set data.split.validation_size=0.1, or leave {where[-1]} out"
    reader.complain("impossible", message, where, hint, by_key=True)


def _check_threshold(reader: Reader, stated: Threshold, data: Data, has_validation: bool) -> None:
    where = ("model", "threshold")
    if known(data.task) and data.task != "binary":
        message = f"a threshold is for a binary task, and the task is {data.task}"
        reader.complain("impossible", message, where, "leave it out", by_key=True)
        return
    if not known(stated.rule):
        return
    needed = RULES[stated.rule]
    for name in dict.fromkeys(name for names in RULES.values() for name in names):
        value = getattr(stated, name)
        if name in needed and value is None:
            message = f"must be given: the rule {stated.rule} needs {' and '.join(needed)}"
            reader.complain("missing-value", message, (*where, name))
        elif name not in needed and value is not None:
            having = " or ".join(rule for rule, names in RULES.items() if name in names)
            message = f"the rule {stated.rule} does not read it, only {having} does"
            reader.complain("impossible", message, (*where, name), "leave it out", by_key=True)
    if stated.rule == "costs" and stated.false_positive == 0 and stated.false_negative == 0:
        message = "errors that cost nothing leave nothing to choose by"
        hint = "give at least one of them a cost above 0"
        reader.complain("impossible", message, (*where, "false_positive"), hint)
    if stated.rule != "fixed" and not has_validation:
        _needs_validation(reader, "choosing a threshold", where)
