"""All that the templates of a service may see."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.trees import Trees
from mlops_compile.ir.value import Map

_LINEAR = "scorers/linear.py.jinja"
KINDS = ("numeric", "categorical", "boolean", "datetime", "datetime_utc")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTable:
    """A constant of the generated code: a number or a text for each level."""

    name: str
    codes: tuple[tuple[str, float | str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTable:
    """A constant of the generated code: numbers or texts in order."""

    name: str
    values: tuple[float | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedColumn:
    """A field of a request, and how it becomes features.

    `attribute` is its name in the generated code; `kind` is one of `KINDS`. `lines` are
    straight-line Python that turn the variable `attribute` (None or NaN where missing) into
    features, `tables` the constants that they use. `trimmed` says of a column of texts that none in
    the data has white space around it, so that none of a request is taken with it.
    """

    name: str
    attribute: str
    kind: str
    nullable: bool
    lines: tuple[str, ...]
    tables: tuple[LevelTable, ...] = ()
    numbers: tuple[NumberTable, ...] = ()
    trimmed: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of a field; one of {', '.join(KINDS)}")
        check_names(self.attribute, self.tables, self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedColumn:
    """A column that is computed from fields of a request, and how it becomes features: the first of
    the lines computes the variable `attribute`."""

    name: str
    attribute: str
    lines: tuple[str, ...]
    tables: tuple[LevelTable, ...] = ()
    numbers: tuple[NumberTable, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.attribute, self.tables, self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Source that the generated code carries: `imports` and `functions` of ours; the user's own
    `files` by path, and the functions of them that are called, each with its name in the code; what
    those of them that are `quiet` say of a failure may hold values of sensitive columns;
    `distributions` are what they import."""

    imports: tuple[str, ...] = ()
    functions: str = ""
    files: tuple[tuple[str, str], ...] = ()
    called: tuple[tuple[str, str], ...] = ()
    quiet: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for path, _ in self.files:
            if not path.endswith(".py") or not all(
                part.isidentifier() for part in path.removesuffix(".py").split("/")
            ):
                raise ValueError(f"not a path of a module: {path!r}")


def check_names(
    attribute: str, tables: tuple[LevelTable, ...], numbers: tuple[NumberTable, ...]
) -> None:
    """ValueError for a name that cannot stand in generated code."""
    names = (*(table.name for table in tables), *(table.name for table in numbers))
    for name in (attribute, *names):
        if not (name.isascii() and name.isidentifier()):
            raise ValueError(f"not a name for generated code: {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What the data had in a column: numbers or times (ISO 8601) from `low` to `high`, or `levels`;
    neither where that is not to be told, or is nothing."""

    name: str
    attribute: str
    kind: str
    low: float | str | None = None
    high: float | str | None = None
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.attribute, (), ())
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.name}: a range has two ends")

    @property
    def bounded(self) -> bool:
        return self.low is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The bins of the reference into which a service counts the values of a column, `attribute` of
    a record, or what it answers, where that is empty.

    Numbers, and times as seconds since 1970: below, between and beyond the increasing `edges` (a
    value that is an edge lies in the bin above). Texts and truth values: a bin for each of the
    `levels`, then one for all others. `names` are those of the bins, that of missing values the
    last. `shares` are what the reference has in each: of the values that there are, with half a
    value added to each bin, so that none is impossible; the last, of all rows. Of a sensitive
    column there is the last alone, and nothing is counted.
    """

    name: str
    attribute: str
    kind: str
    names: tuple[str, ...]
    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.attribute:
            check_names(self.attribute, (), ())
        if len({*self.names}) != len(self.names) or len(self.names) != len(self.shares):
            raise ValueError(f"{self.name}: {len(self.shares)} shares of the bins {self.names}")
        if self.is_counted and len(self.names) != len(self.edges or self.levels) + 2:
            raise ValueError(f"{self.name}: other bins than edges or levels")

    @property
    def is_counted(self) -> bool:
        return len(self.names) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How a service is to be: its limits and log (`service`, as the config has them), the key of
    the step that packages it (`plan`), columns that are `sensitive`, what the data had of each
    column (`ranges`, and a few `levels` to choose from), the `edges` between which scores are
    counted, the `bins` in which values are, of each column and of the score, and when it is to be
    looked at (`monitor`, as the config has it)."""

    service: Map = field(default_factory=Map)
    plan: str = ""
    sensitive: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    levels: Map = field(default_factory=Map)
    edges: tuple[float, ...] = ()
    bins: tuple[Bins, ...] = ()
    monitor: Map = field(default_factory=Map)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSpec:
    """A service: its contract, its model by digest, its code and its limits.

    `features` are the variables that hold the model's features, in order, `origins` the columns
    that they are made of, `made` their names and sorts; `derived` stand behind those that they are
    computed from; `scorer` names the template of the family's part; `requirements` are
    distributions with their versions. `calibration` is the method by which probabilities are
    calibrated, if they are; from `threshold` on the answer of a binary task is the positive class,
    else the more probable one. `trees` are the model, where it is one of trees. `served` is what
    else the service is to do. `target` is what the bundle is made to be; `optional` are
    distributions that it can do without, with their versions and uses. `container` are the keys of
    `deploy.container`.
    """

    name: str
    model: str
    family: str
    scorer: str
    contract: Contract
    columns: tuple[ServedColumn, ...]
    features: tuple[str, ...]
    origins: tuple[str, ...]
    made: tuple[tuple[str, str], ...]
    example: Map
    requirements: tuple[tuple[str, str], ...]
    max_records: int
    max_body_bytes: int
    calibration: str = ""
    threshold: float | None = None
    derived: tuple[DerivedColumn, ...] = ()
    carried: Carried = field(default_factory=Carried)
    trees: Trees | None = None
    target: str = "http"
    optional: tuple[tuple[str, str, str], ...] = ()
    container: Map = field(default_factory=Map)
    served: Served = field(default_factory=Served)

    @property
    def ranges(self) -> tuple[Range, ...]:
        return self.served.ranges

    @property
    def explains(self) -> bool:
        """Whether the scorer tells what each feature adds to a score."""
        if self.trees is None:
            return self.scorer == _LINEAR
        return not self.trees.linear

    @property
    def model_class(self) -> str:
        """The class of the family's code: the scorer itself, or what a calibrated one builds on."""
        return "Model" if self.calibration else "Scorer"

    def __post_init__(self) -> None:
        if not is_sha256(self.model):
            raise ValueError(f"not a model's digest: {self.model!r}")
        if [c.name for c in self.columns] != [field.name for field in self.contract.request]:
            raise ValueError("the columns are not those of the contract")
        made = [*(c.attribute for c in self.columns), *(d.attribute for d in self.derived)]
        if len({*made}) != len(made):
            raise ValueError("two columns have one name in the generated code")
        if not self.features:
            raise ValueError("a service without features")
        if {len(self.made), len(self.origins)} != {len(self.features)}:
            raise ValueError(f"{len(self.features)} features, and names of {len(self.made)}")
        if self.trees is not None and (self.trees.features, self.trees.classes) != (
            len(self.features),
            len(self.contract.classes),
        ):
            raise ValueError("the trees are of other features or classes")
        if set(self.example) != {column.name for column in self.columns}:
            raise ValueError("the example has not the fields of the contract")
        if min(self.max_records, self.max_body_bytes) < 1:
            raise ValueError("a service that takes nothing")
        if self.threshold is not None and self.contract.task != "binary":
            raise ValueError(f"a threshold of a {self.contract.task} task")
