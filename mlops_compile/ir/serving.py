"""All that the templates of a service may see."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.value import Map

KINDS = ("numeric", "categorical", "boolean", "datetime", "datetime_utc")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTable:
    """A constant of the generated code: the code of each level."""

    name: str
    codes: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedColumn:
    """A field of a request, and how it becomes features.

    `attribute` is its name in the generated code; `kind` is one of `KINDS`. `lines` are
    straight-line Python that turn the variable `attribute` (None or NaN where missing) into
    features, `tables` the constants that they use.
    """

    name: str
    attribute: str
    kind: str
    nullable: bool
    lines: tuple[str, ...]
    tables: tuple[LevelTable, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of a field; one of {', '.join(KINDS)}")
        for name in (self.attribute, *(table.name for table in self.tables)):
            if not (name.isascii() and name.isidentifier()):
                raise ValueError(f"not a name for generated code: {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSpec:
    """A service: its contract, its model by digest, its code and its limits.

    `features` are the variables that hold the model's features, in order, `made` the features'
    names and sorts; `scorer` names the template of the family's part; `requirements` are
    distributions with their versions. `calibration` is the method by which probabilities are
    calibrated, if they are; from `threshold` on the answer of a binary task is the positive class,
    else the more probable one.
    """

    name: str
    model: str
    family: str
    scorer: str
    contract: Contract
    columns: tuple[ServedColumn, ...]
    features: tuple[str, ...]
    made: tuple[tuple[str, str], ...]
    example: Map
    requirements: tuple[tuple[str, str], ...]
    max_records: int
    max_body_bytes: int
    calibration: str = ""
    threshold: float | None = None

    @property
    def model_class(self) -> str:
        """The class of the family's code: the scorer itself, or what a calibrated one builds on."""
        return "Model" if self.calibration else "Scorer"

    def __post_init__(self) -> None:
        if not is_sha256(self.model):
            raise ValueError(f"not a model's digest: {self.model!r}")
        if [c.name for c in self.columns] != [field.name for field in self.contract.request]:
            raise ValueError("the columns are not those of the contract")
        if len({column.attribute for column in self.columns}) != len(self.columns):
            raise ValueError("two columns have one name in the generated code")
        if not self.features:
            raise ValueError("a service without features")
        if len(self.made) != len(self.features):
            raise ValueError(f"{len(self.features)} features, and names of {len(self.made)}")
        if set(self.example) != {column.name for column in self.columns}:
            raise ValueError("the example has not the fields of the contract")
        if min(self.max_records, self.max_body_bytes) < 1:
            raise ValueError("a service that takes nothing")
        if self.threshold is not None and self.contract.task != "binary":
            raise ValueError(f"a threshold of a {self.contract.task} task")
