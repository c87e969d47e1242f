"""What steps need of the world outside, by their params: distributions, functions, the platform."""

from __future__ import annotations

from mlops_compile.ir.key import Needs
from mlops_compile.ir.value import KeyPath, Map, Value, pick
from mlops_compile.steps.derive import functions_of
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.joins import where_of
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.used import learns_from_target, used
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.stated_space import space_of
from mlops_compile.steps.targets import target_of

TABLES = ("numpy", "pandas", "pyarrow")
METRICS = (
    "joblib",
    "narwhals",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
)


def family_of(params: Map) -> Family:
    """The family that a step's params name."""
    return FAMILIES[str(pick(params, ("model", "family")))]


def map_at(params: Map, path: KeyPath) -> Map:
    """The map at a key path of a step's params."""
    found = pick(params, path)
    assert isinstance(found, Map)
    return found


def acquire_needs(params: Map) -> Needs:
    """Those of the source's kind."""
    kind = str(pick(params, (*where_of(params), "kind")))
    return Needs(distributions=SOURCES[kind].distributions)


def prepare_of(params: Map) -> Map:
    """What params say of preparation; nothing where they do not."""
    prepare = params.get("prepare", Map())
    assert isinstance(prepare, Map)
    return prepare


def prepare_needs(params: Map) -> Needs:
    """Those of every preparation that is used, and the functions of the user."""
    prepare = prepare_of(params)
    found = [*used(prepare)]
    functions = functions_of(prepare)
    more = {name for preparation, _ in found for name in preparation.distributions}
    return Needs(
        distributions=tuple(sorted({*TABLES, *more})),
        functions=functions,
        platform=bool(functions) or any(item.platform(options) for item, options in found),
    )


def prepare_imports(params: Map) -> tuple[str, ...]:
    """The modules that preparing imports."""
    usual = ("mlops_compile.steps.prepare", "pandas")
    return (*usual, "sklearn.preprocessing") if learns_from_target(prepare_of(params)) else usual


def train_needs(params: Map) -> Needs:
    """Those of the family."""
    return Needs(distributions=_distributions(family_of(params)), platform=True)


def _distributions(family: Family) -> tuple[str, ...]:
    """What a family is fitted and evaluated with: its libraries, and who offers it."""
    return tuple(sorted({*family.distributions, *([family.origin] if family.origin else ())}))


def evaluate_needs(params: Map) -> Needs:
    """Those of the family and of the metrics."""
    both = {*_distributions(family_of(params)), *METRICS}
    return Needs(distributions=tuple(sorted(both)), platform=True)


def package_needs(params: Map) -> Needs:
    """Those of what is generated and of what proves it."""
    family = family_of(params)
    target = target_of(params)
    both = {
        *target.distributions,
        *(name for name, _ in target.optional),
        *family.serving,
        *_distributions(family),  # what is generated is compared with the fitted model
        *TABLES,
        "jinja2",
        "markupsafe",
    }
    return Needs(distributions=tuple(sorted(both)), contract=True, platform=True)


def search_needs(params: Map) -> Needs:
    """What any of its trials may need, and what draws them."""
    stated, kind = map_at(params, ("search", "space")), pick(params, ("search", "kind"))
    space, _ = space_of(stated, str(pick(params, ("model", "family"))))
    families = [FAMILIES[name] for name in space.families] or [family_of(params)]
    names = {name for family in families for name in _distributions(family)}
    prepare = params.get("prepare", Map())
    for preparation in {*_named(prepare), *_named(stated.get("prepare")), *_usual(families)}:
        names |= {*PREPARATIONS[preparation].distributions}
    sampler = {"tpe": ("optuna",), "sobol": ("scipy",)}.get(str(kind), ())
    functions = functions_of(prepare) if isinstance(prepare, Map) else ()
    return Needs(
        distributions=tuple(sorted({*names, *METRICS, *sampler})),
        functions=functions,
        platform=True,
    )


def _usual(families: list[Family]) -> set[str]:
    """The preparations that families have unless others are stated."""
    return {
        name for family in families for chain in family.chains.values() for name in _named(chain)
    }


def _named(value: Value) -> set[str]:
    """The names of preparations anywhere in a part of a config."""
    if isinstance(value, Map):
        below = {name for item in value.values() for name in _named(item)}
        return below | {name for name in value if name in PREPARATIONS}
    if isinstance(value, tuple):
        return {name for item in value for name in _named(item)}
    return {value} if isinstance(value, str) and value in PREPARATIONS else set()
