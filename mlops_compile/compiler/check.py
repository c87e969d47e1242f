"""Check: composed values become the typed spec, or every problem that can be seen without data.

A faulty value is UNKNOWN in the spec, and what would need it is not judged: each check runs once,
over what is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mlops_compile.compiler.chains import chain_problem
from mlops_compile.compiler.contracts import column_problems, rows_problems
from mlops_compile.compiler.derive import check_derived
from mlops_compile.compiler.evaluation import settle_evaluation
from mlops_compile.compiler.lower import SOURCE, TEST
from mlops_compile.compiler.model import settle_model
from mlops_compile.compiler.read import UNKNOWN, Reader, known, whole
from mlops_compile.compiler.searching import (
    Variant,
    check_search,
    is_search,
    settled_values,
    variants_of,
)
from mlops_compile.compiler.spec import (
    PLACES,
    Data,
    Execution,
    Prepare,
    Registry,
    Spec,
    Store,
)
from mlops_compile.compiler.splitting import check_splitting
from mlops_compile.compiler.waivers import check_waivers
from mlops_compile.ir.config import Config
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import is_name
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.deploy import ENDS, FORMS, Deploy
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.improving import Improve
from mlops_compile.steps.joins import settings_problems
from mlops_compile.steps.monitoring import WINDOW, Monitor
from mlops_compile.steps.preparations.kind import Sort
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import SOURCE_KEYS, moved

_SORTS: tuple[Sort, ...] = ("numeric", "boolean", "categorical", "datetime")


def check(config: Config) -> Spec:
    """The spec of a config, with what it leaves to `auto` filled in.

    Raises CompileError with every problem, each with its key.
    """
    spec, problems = check_further(config)
    _, more = check_variants(config, problems)
    if problems or more:
        raise CompileError(dict.fromkeys((*problems, *more)))
    return spec


def check_further(config: Config, memo: Memo | None = None) -> tuple[Spec, tuple[Problem, ...]]:
    """The same, of a config with problems too: what is faulty is UNKNOWN in the spec. Configs of
    one memo share the groups of their specs that are made of the same objects. Of a search, the
    values that its trials take are judged by `check_variants`."""
    return _checked(settled_values(config.values), memo)


def check_variants(
    config: Config, problems: tuple[Problem, ...]
) -> tuple[tuple[Variant, ...], tuple[Problem, ...]]:
    """The trials that show every end and choice of what a search varies, and what is wrong with
    those beside the config's own `problems`; nothing without a search."""
    if not is_search(config.values):
        return (), ()
    return variants_of(settled_values(config.values), problems, _checked)


def _checked(values: Map, memo: Memo | None = None) -> tuple[Spec, tuple[Problem, ...]]:
    reader = Reader(memo)
    spec = reader.group(Spec, values, ())
    if known(spec):
        spec = _settle(reader, spec, values)
    return spec, tuple(dict.fromkeys(reader.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are, and how a plan is run."""

    store: Store
    registry: Registry
    execution: Execution


def check_places(config: Config) -> Places:
    """Only what says where things are and how a plan is run; the rest may be anything."""
    reader = Reader()
    values = Map({name: config.values.get(name, Map()) for name in PLACES})
    places = Places(
        store=reader.group(Store, values["store"], ("store",)),
        registry=reader.group(Registry, values["registry"], ("registry",)),
        execution=reader.group(Execution, values["execution"], ("execution",)),
    )
    _check_store(reader, places.store)
    if reader.problems:
        raise CompileError(reader.problems)
    return places


def check_monitor(config: Config) -> Monitor:
    """Only what says how a service is looked at; the rest may be anything."""
    reader = Reader()
    monitor = reader.group(Monitor, config.values.get("monitor", Map()), ("monitor",))
    monitor = _settle_monitor(reader, monitor)
    if reader.problems:
        raise CompileError(reader.problems)
    return monitor


def check_improve(config: Config) -> Improve:
    """Only what says how a model is made better; the rest may be anything."""
    reader = Reader()
    improve = reader.group(Improve, config.values.get("improve", Map()), ("improve",))
    if reader.problems:
        raise CompileError(reader.problems)
    return improve


def _settle(reader: Reader, spec: Spec, values: Map) -> Spec:
    data, task = spec.data, spec.data.task
    family: Family = FAMILIES[spec.model.family] if known(spec.model.family) else UNKNOWN
    if known(family, task) and task not in family.tasks:
        fitting = ", ".join(name for name, item in FAMILIES.items() if task in item.tasks)
        message = f"{family.name} is for {' and '.join(family.tasks)}, and the task is {task}"
        hint = f"families for {task}: {fitting}"
        reader.complain("impossible", message, ("model", "family"), hint)
    once, model, evaluate = reader.once, spec.model, spec.evaluate
    once("split", (data, evaluate), lambda own: check_splitting(own, data, evaluate))
    once("store", (spec.store,), lambda own: _check_store(own, spec.store))
    once("review", (spec.review,), lambda own: check_waivers(own, spec.review))
    settled = replace(
        spec,
        data=once("data", (data,), lambda own: _settle_data(own, data)),
        model=once("model", (model, family, data), lambda r: settle_model(r, model, family, data)),
        prepare=once(
            "prepare",
            (spec.prepare, family, data),
            lambda own: _settle_prepare(own, spec.prepare, family, data),
        ),
        evaluate=once(
            "evaluate",
            (evaluate, task, data),
            lambda own: settle_evaluation(own, evaluate, task, data),
        ),
        monitor=once("monitor", (spec.monitor,), lambda own: _settle_monitor(own, spec.monitor)),
        deploy=once(
            "deploy", (spec.deploy, data), lambda own: _settle_deploy(own, spec.deploy, data)
        ),
    )
    return replace(settled, search=check_search(reader, settled, values))


def _settle_data(reader: Reader, data: Data) -> Data:
    _check_sources(reader, data)
    _check_columns(reader, data)
    _check_joins(reader, data)
    return _settle_positive(reader, data)


def _settle_deploy(reader: Reader, deploy: Deploy, data: Data) -> Deploy:
    for least, most in ENDS:
        ends = getattr(deploy.container, least), getattr(deploy.container, most)
        if known(*ends) and ends[0] > ends[1]:
            message = f"is {ends[0]}, which is more than deploy.container.{most} ({ends[1]})"
            hint = f"lower it, or raise deploy.container.{most}"
            reader.complain("impossible", message, ("deploy", "container", least), hint)
    for name, (form, words) in FORMS.items():
        text = getattr(deploy.container, name)
        if known(text) and text is not None and not form.fullmatch(text):
            message = f"is {text!r}, and must be {words}"
            reader.complain("wrong-type", message, ("deploy", "container", name))
    project, log = deploy.container.project_claim, deploy.container.log_claim
    if known(project, log) and project is not None and log is None:
        message = "is given, and no log that would be monitored"
        hint = "name the log's claim: deploy.container.log_claim"
        reader.complain("impossible", message, ("deploy", "container", "project_claim"), hint)
    return replace(deploy, name=deploy.name or data.name) if known(deploy) else UNKNOWN


def _settle_monitor(reader: Reader, monitor: Monitor) -> Monitor:
    if not known(monitor):
        return monitor
    window, least, most = monitor.window, monitor.least_volume, monitor.most_volume
    if known(window) and WINDOW.fullmatch(window) is None:
        message = f"is {window!r}, and must be a time"
        hint = "a number with m, h, d or w: 6h, 7d, 4w"
        reader.complain("wrong-type", message, ("monitor", "window"), hint)
    if known(least, most) and least is not None and most is not None and least > most:
        message = f"is {least}, which is more than monitor.most_volume ({most})"
        reader.complain("impossible", message, ("monitor", "least_volume"), "lower it")
    return monitor


def _check_columns(reader: Reader, data: Data) -> None:
    reader.problems += rows_problems(data)
    for name, column in data.columns if known(data.columns) else ():
        if known(column):
            reader.problems += column_problems(name, column, data)
        if known(column.role) and name == data.target and column.role != "feature":
            message = "is the target and cannot have a role of its own"
            hint = "leave the role out, or name another data.target"
            reader.complain("impossible", message, ("data", "columns", name, "role"), hint)


def _check_sources(reader: Reader, data: Data) -> None:
    """What can be said of each source's keys without its data."""
    if not known(data, data.join):
        return
    keys = {SOURCE_KEYS: data.source, ("data", "test"): data.test}
    keys |= {("data", "join", name, "source"): join.source for name, join in data.join}
    for where, spec in keys.items():
        if spec is not None and whole(spec):
            reader.problems += moved(SOURCES[spec.kind].complaints(spec), where)


def _check_joins(reader: Reader, data: Data) -> None:
    for name, join in data.join if known(data.join) else ():
        where = ("data", "join", name)
        if not is_name(name) or "/" in name or name in (SOURCE, TEST, "table"):
            message = "cannot name a source (lower-case letters, digits, `_`; not data or test)"
            reader.complain("impossible", message, where, "for example weather", by_key=True)
        if known(join) and whole(join):
            reader.problems += settings_problems(name, join)


def _check_store(reader: Reader, store: Store) -> None:
    uri = store.uri
    if known(uri) and "://" in uri:
        message = f"{uri!r} is no directory of this machine, and results are kept in one"
        hint = "name a directory: store.uri=.mlops is the default"
        reader.complain("impossible", message, ("store", "uri"), hint)
    elif known(uri) and uri.startswith("~"):
        message = "a ~ is not unfolded here"
        hint = "write the whole path, or one that is relative to the project"
        reader.complain("impossible", message, ("store", "uri"), hint)


def _settle_positive(reader: Reader, data: Data) -> Data:
    if not known(data):
        return data
    positive = data.positive
    if positive is not None and known(positive, data.task) and data.task != "binary":
        message = f"only a binary task has a positive class, and the task is {data.task}"
        reader.complain("impossible", message, ("data", "positive"), "leave it out")
    if isinstance(positive, bool | int):
        positive = str(positive).lower()  # as the data holds them
    return replace(data, positive=positive)


def _settle_prepare(reader: Reader, prepare: Prepare, family: Family, data: Data) -> Prepare:
    """The lists with `auto` filled in, each followed from its type of column to the family."""
    if not known(prepare, family):
        return prepare
    chains: dict[str, Any] = {}
    for sort in _SORTS:
        stated = getattr(prepare, sort)
        chains[sort] = family.chains[sort] if stated == "auto" else stated
        if known(stated) and stated != "auto":
            found = chain_problem(stated, sort, family, ("prepare", sort))
            reader.problems += [found] if found else []
    own: dict[str, Value] = {}
    types: dict[str, Any] = dict(data.columns) if known(data.columns) else {}
    types = {name: column.type for name, column in types.items()}
    for name, chain in prepare.columns.items() if known(prepare.columns) else ():
        where = ("prepare", "columns", name)
        if name == data.target:
            message = "is the target, which is not prepared"
            reader.complain("impossible", message, where, "leave it out", by_key=True)
        if chain == "auto":
            continue
        own[name] = chain
        if known(start := types.get(name)) and start:  # else the data says what it is
            found = chain_problem(chain, start, family, where)
            reader.problems += [found] if found else []
    columns = Map(own) if known(prepare.columns) else UNKNOWN
    check_derived(reader, prepare, data)
    return replace(prepare, **chains, columns=columns)
