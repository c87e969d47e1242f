"""Card: the model card of a bundle, from what the record's steps made.

It is made by the package step and lies in its bundle: it says the same as the artifacts that the
step has, so that it needs no step, and hardly a cause, of its own. It holds no time, no place, and
no value of a sensitive column.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlops_compile.emit.broken import broken
from mlops_compile.emit.folded import folded
from mlops_compile.emit.render import environment
from mlops_compile.emit.tested import tested
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, Value, canonical, dotted, found_at, leaves, parse
from mlops_compile.steps.gates import gates_of
from mlops_compile.steps.prepare import read_preparation
from mlops_compile.steps.train import PREPARATION, read_meta

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Table = dict[str, Any]

_MOST = 20  # rows of a table of importances


def card(work: Work, spec: ServingSpec, evaluation: Map) -> str:
    """The text of CARD.md."""
    template = environment().get_template("card/CARD.md.jinja")
    return template.render(card=_facts(work, spec, evaluation))


def sensitive_columns(params: Map) -> frozenset[str]:
    """The columns whose values are told nowhere."""
    columns = found_at(params, ("data", "columns"))
    if not isinstance(columns, Map):
        return frozenset()
    return frozenset(name for name, column in columns.items() if found_at(column, ("sensitive",)))


def _facts(work: Work, spec: ServingSpec, evaluation: Map) -> Table:
    profile = _map(parse(work.inputs["profile"].read_bytes()))
    preparation = read_preparation(work.inputs["model"] / PREPARATION)
    judged, hidden = _map(work.params["evaluate"]), sensitive_columns(work.params)
    parts = _map(evaluation["parts"])
    primary = str(judged["primary"])
    return {
        "name": spec.name,
        "target": spec.contract.target,
        "task": spec.contract.task,
        "family": spec.family,
        "model": spec.model,
        "rows": profile["rows"],
        "dropped": profile["dropped"],
        "broken": list(broken(work)),
        "table": work.digests["table"].sha256,
        "classes": spec.contract.classes,
        "parts": [
            _part(name, _map(found_at(evaluation, ("rows", name))))
            for name in ("train", "validation", "test")
            if found_at(evaluation, ("rows", name, "rows"))
        ],
        "split": _split(work),
        "fields": _fields(spec, _map(profile["columns"]), hidden),
        "columns": list(_columns(preparation)),
        "parameters": list(_parameters(work)),
        "search": _search(work),
        "meaning": _meaning(evaluation),
        "others": [name for name in _measured(parts) if name != "test"],
        "metrics": list(_metrics(evaluation, parts)),
        "primary": primary,
        "folds": list(_folds(evaluation)),
        "calibration": _calibration(evaluation),
        "gates": [
            f"{dotted(gate.where[2:])} {gate.bound}"
            for gate in gates_of(_map(judged.get("gates", Map())))
        ],
        "segments": list(_segments(evaluation)),
        "importance": list(_importance(evaluation, primary)),
        "limits": list(_limits(evaluation, judged)),
        "tested": tested(work, spec, hidden),
    }


def _map(value: Value) -> Map:
    assert isinstance(value, Map)
    return value


def _measured(parts: Map) -> list[str]:
    return [name for name in ("train", "validation", "test") if name in parts]


def shown(value: Value) -> str:
    """A number in five digits; a dash for none."""
    if isinstance(value, float):
        return f"{value:.5g}"
    return "-" if value is None else str(value)


def _part(name: str, facts: Map) -> Table:
    classes = facts.get("classes")
    target = classes.values() if isinstance(classes, Map) else facts.get("target", ())
    assert target is not None and not isinstance(target, bool | int | float | str)
    return {"name": name, "rows": facts["rows"], "target": [shown(value) for value in target]}


def _split(work: Work) -> list[tuple[str, str]]:
    facts = parse(work.inputs["facts"].read_bytes())
    split = found_at(facts, ("split",))
    return [(dotted(path), _text(value)) for path, value in leaves(split)]


def _text(value: Value) -> str:
    return value if isinstance(value, str) else canonical(value).decode("utf-8")


def _fields(spec: ServingSpec, profile: Map, hidden: frozenset[str]) -> list[Table]:
    return [
        {
            "name": field.name,
            "type": field.text,
            "missing": found_at(profile, (field.name, "missing")),
            "held": "sensitive" if field.name in hidden else _held(profile.get(field.name)),
        }
        for field in spec.contract.request
    ]


def _held(facts: Value) -> str:
    """What a column holds, in a few words."""
    quantiles, low, levels = (found_at(facts, (name,)) for name in ("quantiles", "low", "levels"))
    if isinstance(quantiles, tuple):
        return f"{shown(quantiles[0])} to {shown(quantiles[-1])}"
    if isinstance(low, str):
        return f"{low} to {found_at(facts, ('high',))}"
    if isinstance(levels, int):
        return "1 level" if levels == 1 else f"{levels} levels"
    return ""


def _columns(preparation: Map) -> Iterator[Table]:
    columns, features = preparation["columns"], preparation["features"]
    assert isinstance(columns, tuple) and isinstance(features, tuple)
    for column in columns:
        name = found_at(column, ("name",))
        made = [str(found_at(f, ("name",))) for f in features if found_at(f, ("column",)) == name]
        listed = ", ".join(made[:10]) + (f" and {len(made) - 10} more" if len(made) > 10 else "")
        operations = ", ".join(dict.fromkeys(_operations(column)))
        yield {"name": name, "operations": operations, "features": listed or "none"}


def _operations(value: Value) -> Iterator[str]:
    """Names of operations wherever they stand in a column's states, in order."""
    if isinstance(value, Map):
        if isinstance(operation := value.get("op"), str):
            yield operation
            return
        for item in value.values():
            yield from _operations(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _operations(item)


def _parameters(work: Work) -> Iterator[tuple[str, str, str]]:
    """Each with the footnote of the step that it is from."""
    for path, value in leaves(read_meta(work.inputs["model"])["settings"]):
        if path != ("family",) and not (isinstance(value, Map) and not len(value)):
            yield dotted(path), _text(value), "model"
    for port, note in (("calibration", "calibrate"), ("decision", "threshold")):
        if port in work.inputs:
            made = parse(work.inputs[port].read_bytes())
            told = {name: found_at(made, (name,)) for name in ("method", "rule", "threshold")}
            for name, value in told.items():
                if value is not None:
                    yield dotted((port, name)), _text(value), note


def _search(work: Work) -> Table | None:
    """What the search came to that chose the values, if there was one."""
    won = found_at(work.params, ("search", "won"))
    if not isinstance(won, Map):
        return None
    each = won["each"]
    assert isinstance(each, tuple)
    return {
        **{name: won[name] for name in ("number", "trials", "metric")},
        **{name: shown(won[name]) for name in ("objective", "deviation")},
        "folds": len(each),
        "values": [(name, _text(value)) for name, value in _map(won["params"]).items()],
    }


def _meaning(evaluation: Map) -> str:
    level = found_at(evaluation, ("intervals", "level"))
    if not isinstance(level, float):
        return "Intervals were not asked for (`evaluate.bootstrap`)."
    resamples = found_at(evaluation, ("intervals", "resamples"))
    return (
        f"Intervals hold {level * 100:g} % of {resamples} resamples of the test part's rows"
        "[^intervals]. They tell the noise of the test part, not that of training. The baseline"
        " answers every row with the training part's class shares, or its mean."
    )


def _metrics(evaluation: Map, parts: Map) -> Iterator[Table]:
    names = evaluation["metrics"]
    assert isinstance(names, tuple)
    others = [name for name in _measured(parts) if name != "test"]
    for name in map(str, names):
        yield {
            "name": name,
            "test": shown(found_at(parts, ("test", "metrics", name))),
            "interval": interval(found_at(evaluation, ("intervals", "metrics", name))),
            "baseline": shown(found_at(parts, ("baseline", "metrics", name))),
            "above": interval(found_at(evaluation, ("intervals", "above_baseline", name))),
            "others": [shown(found_at(parts, (part, "metrics", name))) for part in others],
        }


def interval(value: Value) -> str:
    """`0.91 to 0.95`; a dash for none."""
    if not isinstance(value, Map):
        return "-"
    return f"{shown(value['low'])} to {shown(value['high'])}"


def _folds(evaluation: Map) -> Iterator[Table]:
    """The rows of the cross-validation, with a cell for each metric."""
    names = evaluation["metrics"]
    assert isinstance(names, tuple)
    for row in folded(evaluation):
        yield {**row, "cells": [shown(found_at(row["metrics"], (str(name),))) for name in names]}


def _calibration(evaluation: Map) -> Table | None:
    found = evaluation.get("calibration")
    if not isinstance(found, Map) or "ece" not in found:
        return None
    return {"ece": shown(found["ece"]), "brier": shown(found["brier"])}


def _segments(evaluation: Map) -> Iterator[Table]:
    names = evaluation["metrics"]
    assert isinstance(names, tuple)
    for column, facts in _map(evaluation.get("segments", Map())).items():
        levels, few = _map(found_at(facts, ("levels",))), _map(found_at(facts, ("too_few",)))
        levels_told = "1 level has" if few["levels"] == 1 else f"{few['levels']} levels have"
        told = f"{levels_told} too few rows to be measured, {few['rows']} in all"
        yield {
            "name": column,
            "metrics": names,
            "few": told if few["levels"] else "",
            "levels": [
                {
                    "name": level,
                    "rows": found_at(own, ("rows",)),
                    "cells": [shown(found_at(own, ("metrics", str(name)))) for name in names],
                }
                for level, own in levels.items()
            ],
        }


def _importance(evaluation: Map, primary: str) -> Iterator[Table]:
    columns = found_at(evaluation, ("permutation", "columns"))
    if isinstance(columns, Map):
        losses = {name: found_at(own, (primary,)) for name, own in columns.items()}
        title = f"Loss of {primary} on the test part when a column's values are dealt anew"
        yield _ranked(title, "permutation", "column", "loss", losses)
    for sort, values in _map(evaluation.get("importance", Map())).items():
        title = f"The family's own, by {sort}, from the training part"
        yield _ranked(title, "importance", "feature", sort, dict(_map(values)))
    features = found_at(evaluation, ("shap", "features"))
    if isinstance(features, Map):
        title = "Mean absolute SHAP value on the test part"
        yield _ranked(title, "shap", "feature", "mean", dict(features))


def _ranked(title: str, note: str, of: str, unit: str, values: dict[str, Value]) -> Table:
    numbers = {name: value for name, value in values.items() if isinstance(value, float)}
    order = sorted(numbers, key=lambda name: (-numbers[name], name))[:_MOST]
    rows = [(name, shown(numbers[name])) for name in order]
    if len(numbers) > _MOST:
        title += f" (the first {_MOST} of {len(numbers)})"
    return {"title": title, "note": note, "of": of, "unit": unit, "rows": rows}


def _limits(evaluation: Map, judged: Map) -> Iterator[tuple[str, str]]:
    """What is not known of the model, and what was let pass; each with its footnote, or none."""
    parts = _map(evaluation["parts"])
    rows = found_at(evaluation, ("rows", "test", "rows"))
    yield f"It was tested on {rows} rows that it was not trained on, and on no others.", "rows"
    if judged.get("allow_worse_than_baseline") is True:
        yield "It was allowed to be worse than the baseline.", ""
    for name, facts in parts.items():
        for metric, why in _map(found_at(facts, ("not_computed",))).items():
            yield f"{metric} of the {name} part was not computed: {why}.", "parts"
    for metric, why in _map(found_at(evaluation, ("intervals", "not_computed")) or Map()).items():
        yield f"{metric} has no interval: {why}.", "intervals"
    for column, facts in _map(evaluation.get("segments", Map())).items():
        for level, own in _map(found_at(facts, ("levels",))).items():
            for metric, why in _map(found_at(own, ("not_computed",))).items():
                yield f"{metric} where {column} is {level} was not computed: {why}.", "segments"
    unseen = (
        "A level that the training part does not have is answered as the preparation says of unseen"
        " ones, and a number beyond the range of the data as the model goes on: neither was tested."
    )
    yield unseen, ""
