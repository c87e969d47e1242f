"""All that the templates of a service may see."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.value import Map


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedColumn:
    """A field of a request, and how it becomes features.

    `attribute` is its name in the generated code; `kind` is `numeric`, `categorical`, `boolean`,
    `datetime` or `datetime_utc`. `lines` are straight-line Python that turn the variable
    `attribute` (None or NaN where missing) into features.
    """

    name: str
    attribute: str
    kind: str
    nullable: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSpec:
    """A service: its contract, its model by digest, its code and its limits.

    `features` are the variables that hold the model's features, in order; `scorer` names the
    template of the family's part; `requirements` are distributions with their versions.
    """

    name: str
    model: str
    family: str
    scorer: str
    contract: Contract
    columns: tuple[ServedColumn, ...]
    features: tuple[str, ...]
    example: Map
    requirements: tuple[tuple[str, str], ...]
    max_records: int
    max_body_bytes: int

    def __post_init__(self) -> None:
        if not is_sha256(self.model):
            raise ValueError(f"not a model's digest: {self.model!r}")
        if [c.name for c in self.columns] != [field.name for field in self.contract.request]:
            raise ValueError("the columns are not those of the contract")
        if not self.features:
            raise ValueError("a service without features")
