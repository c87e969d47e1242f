"""`batch`: a command that scores files of any size, column by column where nothing is odd."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_compile.emit.batches import differences
from mlops_compile.ir.resources import resource
from mlops_compile.ir.serving import DerivedColumn, ServedColumn, ServingSpec
from mlops_compile.ir.value import canonical
from mlops_compile.steps.targets import Target

if TYPE_CHECKING:
    import jinja2

_READERS = ("from_csv.py", "from_jsonl.py", "from_parquet.py", "reading.py")
_FILES = ("batch.py", "columns.py", "writing.py", *_READERS)
_LOOKUP = re.compile(r"(\w+)\.get\((\w+), NAN\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """How a column of values becomes columns of features.

    `name` is the column's, `inputs` the variables of a row that the loop takes. `lines` compute
    others from these; `made` are those that are kept, each with its places among the features, and
    `lasting` whether a later loop takes it. Where one expression is all, it is `only`.
    """

    name: str
    inputs: tuple[str, ...]
    lines: tuple[str, ...]
    made: tuple[tuple[str, tuple[int, ...], bool], ...]
    only: str = ""

    @property
    def source(self) -> str:
        """What the loop goes over."""
        columns = ", ".join(f'columns["{name}"]' for name in self.inputs)
        return columns if len(self.inputs) == 1 else f"zip({columns}, strict=True)"

    @property
    def table(self) -> str:
        """The table in which values are looked up, NaN for others, if that is all."""
        found = _LOOKUP.fullmatch(self.only)
        return found[1] if found and self.inputs == (found[2],) else ""


def files(spec: ServingSpec, templates: jinja2.Environment) -> Mapping[str, str]:
    """The command and its parts."""
    columns: list[ServedColumn | DerivedColumn] = [*spec.columns, *spec.derived]
    lines = tuple(line for column in columns for line in column.lines)
    shared = _loaded(lines) - _stored(lines) - {column.attribute for column in columns}
    own = {
        "spec": spec,
        "loops": loops(spec),
        "shared": sorted({*shared, "FEATURES", "NAN"}),
        "quick": ":" not in spec.scorer,  # another distribution's scorer knows records alone
        "times": any(column.kind.startswith("datetime") for column in spec.columns),
    }
    found = {name: templates.get_template(f"batch/{name}.jinja").render(own) for name in _FILES}
    found["bundle.py"] = (resource("templates") / "service" / "bundle.py").read_text("utf-8")
    return {**found, "example.jsonl": canonical(spec.example).decode("utf-8") + "\n"}


def loops(spec: ServingSpec) -> tuple[Loop, ...]:
    """A loop for each column that has features or from which another is derived, in the order of
    the code of a row."""
    found = [_loop(spec, column, column.lines) for column in spec.columns]
    for place, derived in enumerate(spec.derived):
        others = tuple(line for later in spec.derived[place + 1 :] for line in later.lines)
        found.append(_loop(spec, derived, derived.lines, derived.attribute in _loaded(others)))
    return tuple(loop for loop in found if loop.made)


def _loop(
    spec: ServingSpec,
    column: ServedColumn | DerivedColumn,
    lines: tuple[str, ...],
    lasting: bool = False,
) -> Loop:
    columns: list[ServedColumn | DerivedColumn] = [*spec.columns, *spec.derived]
    attributes = {item.attribute for item in columns}
    stored = _stored(lines)
    own = stored if isinstance(column, DerivedColumn) else stored | {column.attribute}
    places: dict[str, tuple[int, ...]] = {column.attribute: ()} if lasting else {}
    for place, name in enumerate(spec.features):
        if name in own:
            places[name] = (*places.get(name, ()), place)
    made = tuple((name, places[name], lasting and name == column.attribute) for name in places)
    taken = _loaded(lines) | {*places} - stored
    return Loop(
        name=column.name,
        inputs=tuple(sorted(taken & attributes - stored)),
        lines=lines,
        made=made,
        only=_only(lines, made),
    )


def _only(lines: tuple[str, ...], made: tuple[tuple[str, tuple[int, ...], bool], ...]) -> str:
    """The expression that is all that lines compute; nothing where there is more."""
    if len(lines) != 1 or len(made) != 1:
        return ""
    (statement,) = ast.parse(lines[0]).body
    if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) != made[0][0]:
        return ""
    _, _, expression = lines[0].partition(" = ")
    return expression


def _loaded(lines: tuple[str, ...]) -> set[str]:
    """The names that lines read, but for those of Python itself."""
    return _found(lines, ast.Load) - {*dir(builtins)}


def _stored(lines: tuple[str, ...]) -> set[str]:
    return _found(lines, ast.Store)


def _found(lines: tuple[str, ...], how: type[ast.expr_context]) -> set[str]:
    nodes = [node for line in lines for node in ast.walk(ast.parse(line))]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, how)}


TARGET = Target(
    name="batch",
    files=files,
    distributions=("msgspec",),
    optional=(("pyarrow", "Parquet"),),
    start="batch/start.md.jinja",
    entry="batch.py",
    serves=False,
    differences=differences,
)
