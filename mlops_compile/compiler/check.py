"""Check: composed values become the typed spec, or every problem that can be seen without data."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from mlops_compile.compiler.read import Reader, number_in, shown
from mlops_compile.compiler.spec import PLACES, Evaluate, Execution, Model, Prepare, Spec, Store
from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.config import Config
from mlops_compile.ir.parameter import Parameter
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import KeyPath, Map, Value, thaw
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.metrics import METRICS, USUAL
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Shape, Sort

_GATE = re.compile(r"\s*(>=|<=|>|<)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\Z")
_SORTS: tuple[Sort, ...] = ("numeric", "boolean", "categorical", "datetime")


def check(config: Config) -> Spec:
    """The spec of a config, with what it leaves to `auto` filled in.

    Raises CompileError with every problem, each with its key.
    """
    reader = Reader()
    values = config.values
    spec = reader.group(Spec, values, ())
    if spec is None:
        _check_further(reader, values)
        raise CompileError(_unique(reader))
    spec = _settle(reader, spec)
    if reader.problems:
        raise CompileError(_unique(reader))
    return spec


def check_places(config: Config) -> tuple[Store, Execution]:
    """Only what says where things are and how a plan is run; the rest may be anything."""
    reader = Reader()
    places = Map({name: config.values.get(name, Map()) for name in PLACES})
    store = reader.group(Store, places["store"], ("store",))
    execution = reader.group(Execution, places["execution"], ("execution",))
    if store is None or execution is None:
        raise CompileError(reader.problems)
    return store, execution


def _unique(reader: Reader) -> list[Any]:
    return list(dict.fromkeys(reader.problems))


def _check_further(reader: Reader, values: Map) -> None:
    """What else is wrong with values whose keys cannot all be read: the others are checked without
    the faulty ones, and nothing is said that may only follow from their absence."""
    faulty = {found.where: found.code for found in reader.problems}
    rest: Value = values
    for where in faulty:
        rest = _without(rest, where)
    assert isinstance(rest, Map)
    spec = Reader().group(Spec, rest, ())
    if spec is None:
        return _check_known_parts(reader, rest)
    probe = Reader()
    _settle(probe, spec)
    doubted = {
        effect
        for where, code in faulty.items()
        for cause, effect in _FOLLOWS
        if code != "unknown-key" and where[: len(cause)] == cause
    }
    for found in probe.problems:
        if found.code != "impossible" or not any(found.where[: len(e)] == e for e in doubted):
            reader.problems.append(found)
    return None


# What cannot be judged (second) where a key (first) is faulty.
_FOLLOWS: tuple[tuple[KeyPath, KeyPath], ...] = (
    (("data", "split"), ("model", "params", "early_stopping_round")),
    (("evaluate", "metrics"), ("evaluate",)),
)


def _without(value: Value, where: KeyPath) -> Value:
    """A tree without the key at a path; without the whole list, where the path leads into one."""
    if not isinstance(value, Map) or where[0] not in value:
        return value
    rest = {name: item for name, item in value.items() if name != where[0]}
    inner = value[where[0]]
    if len(where) > 1 and isinstance(inner, Map):
        rest[where[0]] = _without(inner, where[1:])
    return Map(rest)


def _check_known_parts(reader: Reader, values: Map) -> None:
    """Parameters and metrics of a config that has other problems too: all at once."""
    model, data = values.get("model"), values.get("data")
    if isinstance(model, Map) and isinstance(model.get("params", Map()), Map):
        family = FAMILIES.get(str(model.get("family")))
        if family is not None:
            _params(reader, family, model.get("params", Map()))  # type: ignore[arg-type]
    task = data.get("task") if isinstance(data, Map) else None
    evaluate = values.get("evaluate")
    if isinstance(evaluate, Map) and task not in USUAL:
        _metric_names(reader, evaluate.get("metrics"))
    elif isinstance(evaluate, Map):
        probe = Reader()
        read = probe.group(Evaluate, evaluate, ("evaluate",))
        if read is not None:
            _evaluate(reader, read, str(task))


def _metric_names(reader: Reader, metrics: Value) -> None:
    """Metrics that no task has, where the task is not known."""
    for position, name in enumerate(metrics if isinstance(metrics, tuple) else ()):
        if isinstance(name, str) and name not in METRICS:
            path = ("evaluate", "metrics", str(position))
            hint = suggest(name, tuple(METRICS), "metrics")
            reader.complain("unknown-choice", f"there is no metric {name!r}", path, hint)


def _settle(reader: Reader, spec: Spec) -> Spec:
    family = FAMILIES[spec.model.family]
    task = spec.data.task
    if task not in family.tasks:
        fitting = ", ".join(name for name, item in FAMILIES.items() if task in item.tasks)
        message = f"{family.name} is for {' and '.join(family.tasks)}, and the task is {task}"
        hint = f"families for {task}: {fitting}"
        reader.complain("impossible", message, ("model", "family"), hint)
    if spec.data.split.kind == "stratified" and task == "regression":
        message = "a stratified split needs classes, and the task is regression"
        reader.complain("impossible", message, ("data", "split", "kind"), "take random or time")
    if spec.data.split.test_size + spec.data.split.validation_size >= 1:
        sizes = f"{spec.data.split.test_size:g} + {spec.data.split.validation_size:g}"
        message = f"test_size and validation_size leave no rows to train on: {sizes}"
        hint = "together they must stay below 1"
        reader.complain("out-of-range", message, ("data", "split", "test_size"), hint)
    for name, column in spec.data.columns:
        if name == spec.data.target and column.role != "feature":
            message = "is the target and cannot have a role of its own"
            hint = "leave the role out, or name another data.target"
            reader.complain("impossible", message, ("data", "columns", name, "role"), hint)
    params = _params(reader, family, spec.model.params)
    has_validation = spec.data.split.validation_size > 0
    for complaint in (
        family.complaints(params, task, has_validation) if task in family.tasks else ()
    ):
        where = ("model", "params", complaint.param)
        reader.complain("impossible", complaint.message, where, complaint.hint)
    positive = spec.data.positive
    if positive is not None and task != "binary":
        message = f"only a binary task has a positive class, and the task is {task}"
        reader.complain("impossible", message, ("data", "positive"), "leave it out")
    if isinstance(positive, bool | int):
        positive = str(positive).lower()  # as the data holds them
    return replace(
        spec,
        data=replace(spec.data, positive=positive),
        model=Model(family=family.name, params=params),
        prepare=_prepare(reader, spec.prepare, family),
        evaluate=_evaluate(reader, spec.evaluate, task),
        deploy=replace(spec.deploy, name=spec.deploy.name or spec.data.name),
    )


def _params(reader: Reader, family: Family, params: Map) -> Map:
    """The params under the library's main names, without those that are null."""
    table = {item.name: item for item in parameters(family.name)}
    names = {alias: item.name for item in table.values() for alias in (item.name, *item.aliases)}
    given: dict[str, str] = {}
    found: dict[str, Value] = {}
    for name, value in params.items():
        where = ("model", "params", name)
        main = names.get(name)
        if main is None:
            hint = _other_parameter(name, family, tuple(names), tuple(table))
            reader.complain("unknown-key", f"{family.name} has no such parameter", where, hint)
            continue
        if main in given or (name != main and main in params):
            other = given.get(main, main)
            also = "which is" if other == main else f"and {other} is"
            message = f"is another name of {main}, {also} set too"
            hint = f"keep one: model.params.{main}={shown(value)}"
            reader.complain("given-twice", message, where, hint)
            continue
        given[main] = name
        if table[main].refused:
            reader.complain("refused", table[main].refused, where)
        elif (complaint := table[main].complaint(thaw(value))) is not None:
            hint = _other_value(value, table[main])
            reader.complain("wrong-value", complaint, where, hint)
        elif value is not None:
            number = "int" not in table[main].types and "float" in table[main].types
            as_float = number and isinstance(value, int) and not isinstance(value, bool)
            found[main] = float(value) if as_float else value  # type: ignore[arg-type]
    return Map(found)


def _other_parameter(
    name: str, family: Family, names: tuple[str, ...], mains: tuple[str, ...]
) -> str:
    """What may be meant by a parameter that a family does not have."""
    near = nearest(name, names)
    having = [
        other.name
        for other in FAMILIES.values()
        if any(name in (item.name, *item.aliases) for item in parameters(other.name))
    ]
    if having and (not near or len(name) < 3):
        return f"it is a parameter of {' and '.join(having)}"
    if near:
        return near
    return suggest(name, mains, "parameters") if len(mains) < 20 else _LIBRARY


_LIBRARY = "parameters have the names of the library: see its documentation"


def _other_value(value: Value, parameter: Parameter) -> str:
    """What to write in place of a value that a parameter does not take."""
    if isinstance(value, str):
        if value.lower() == "none" and parameter.nullable:
            return "YAML's word for nothing is null"
        if near := nearest(value, parameter.choices):
            return near
        if number := number_in(value) if "str" not in parameter.types else "":
            return f"write {number}" + (" without quotes" if number == value else "")
    if type(value) in (int, float) and parameter.high == 1 and 2 <= value <= 100:  # type: ignore[operator]
        return f"it is a share: {value / 100:g} for {value:g} %"  # type: ignore[operator]
    return f"{parameter.name}: {parameter.doc}" if parameter.doc else ""


def _evaluate(reader: Reader, evaluate: Evaluate, task: str) -> Evaluate:
    where = ("evaluate", "metrics")
    metrics = USUAL[task] if evaluate.metrics is None else evaluate.metrics
    fitting = tuple(name for name, metric in METRICS.items() if task in metric.tasks)
    if not metrics:
        hint = suggest("", fitting, f"metrics of a {task} task")
        reader.complain("missing-value", "must name a metric", where, hint)
    for position, name in enumerate(metrics):
        if name not in fitting:
            place = (*where, str(position))
            if name in METRICS:
                tasks = " and ".join(METRICS[name].tasks)
                message = f"{name} is a metric of {tasks}, and the task is {task}"
                hint = f"metrics of a {task} task: {', '.join(fitting)}"
                reader.complain("impossible", message, place, hint)
            else:
                hint = suggest(name, fitting, f"metrics of a {task} task")
                reader.complain("unknown-choice", f"there is no metric {name!r}", place, hint)
    primary = evaluate.primary or next(iter(metrics), None)
    if metrics and primary not in metrics:
        judged = ("evaluate", "primary")
        if primary in fitting:
            message = f"{primary} is not computed: it is not among evaluate.metrics"
            hint = f"add it to evaluate.metrics, or take {' or '.join(metrics)}"
            reader.complain("impossible", message, judged, hint)
        else:
            hint = suggest(str(primary), metrics, "metrics computed")
            if str(primary).lower() == "none":
                hint = "YAML's word for nothing is null"
            reader.complain("unknown-choice", f"there is no metric {primary!r}", judged, hint)
    gates: dict[str, Value] = {}
    for name, text in evaluate.gates.items():
        path = ("evaluate", "gates", name)
        if name not in metrics and name in fitting:
            message = "this metric is not computed: it is not among evaluate.metrics"
            hint = f"add it: evaluate.metrics=[{','.join((*metrics, name))}]"
            reader.complain("impossible", message, path, hint, by_key=True)
        elif name not in metrics:
            hint = suggest(name, tuple(metrics), "metrics computed")
            reader.complain("unknown-choice", "there is no such metric", path, hint, by_key=True)
        elif text is None:
            continue
        elif (gate := _gate(text)) is None:
            number = text if type(text) in (int, float) else 0.9
            sign = ">=" if METRICS[name].greater_is_better else "<="
            hint = f'write a comparison and a number: "{sign} {number}"'
            message = f"{shown(text)} is no comparison"
            reader.complain("wrong-type", message, path, hint)
        else:
            gates[name] = gate
    return replace(evaluate, primary=primary, metrics=tuple(metrics), gates=Map(gates))


def _gate(text: Value) -> str | None:
    """A gate in one form: `>= 0.9`."""
    match = _GATE.match(text) if isinstance(text, str) else None
    try:
        return f"{match[1]} {float(match[2])!r}" if match else None
    except ValueError:
        return None


def _prepare(reader: Reader, prepare: Prepare, family: Family) -> Prepare:
    """The chains with `auto` filled in, each checked from its column type to the family."""
    chains = {}
    for sort in _SORTS:
        stated = getattr(prepare, sort)
        chains[sort] = family.chains[sort] if stated == "auto" else stated
        _flow(reader, chains[sort], (sort,), family, ("prepare", sort), stated == "auto")
    own: dict[str, Value] = {}
    for name, chain in prepare.columns.items():
        if chain == "auto":
            continue
        own[name] = chain
        _flow(reader, chain, _SORTS, family, ("prepare", "columns", name), False)
    return Prepare(**chains, columns=Map(own))


def _flow(
    reader: Reader,
    chain: Value,
    starts: tuple[Sort, ...],
    family: Family,
    where: KeyPath,
    usual: bool,
) -> None:
    """Follow a chain over shapes: some start must get through to what the family takes.

    A column's type may not be known before the data is seen, so that any start may be meant.
    """
    assert isinstance(chain, tuple)
    complaints = [_blocked(chain, start, family, where) for start in starts]
    found = [complaint for complaint in complaints if complaint]
    if usual or len(found) < len(complaints):
        return
    _, path, message, hint = max(found, key=lambda complaint: complaint[0])
    reader.complain("impossible", message, path, hint)


def _blocked(
    chain: tuple[Value, ...], start: Sort, family: Family, where: KeyPath
) -> tuple[int, KeyPath, str, str] | None:
    """How far a chain gets from a start, and what stops it there: key, message and hint."""
    shapes: tuple[Shape, ...] = (Shape(sort=start, missing=True),)
    for position, entry in enumerate(chain):
        assert isinstance(entry, Map)
        ((name, options),) = entry.items()
        preparation = PREPARATIONS[name]
        made: list[Shape] = []
        for shape in shapes:
            if shape.sort not in preparation.accepts:
                path = (*where, str(position))
                takes = f"it takes {' and '.join(preparation.accepts)} values"
                return position, path, f"{name} cannot take {shape.sort} values", takes
            made += preparation.shapes(from_value(preparation.spec, options), shape)
        shapes = tuple(made)
    for shape in shapes:
        if shape.sort not in family.accepts:
            hint = f"end it in a preparation that gives {' or '.join(family.accepts)} values"
            if shape.sort == "categorical" and "numeric" in family.accepts:
                hint = "end it in one_hot or ordinal, which give numbers"
            return (
                len(chain),
                where,
                f"ends in {shape.sort} values, which {family.name} cannot take",
                hint,
            )
        if shape.missing and not family.missing:
            hint = "add impute"
            return (
                len(chain),
                where,
                f"may leave missing values, which {family.name} cannot take",
                hint,
            )
    return None
