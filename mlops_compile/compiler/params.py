"""Parameters of a family: checked by the table of its library, and brought to its main names."""

from __future__ import annotations

from mlops_compile.compiler.instead import number_in, shown
from mlops_compile.compiler.read import Reader
from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.parameter import Parameter
from mlops_compile.ir.value import Map, Value, thaw
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.families.parameters import parameters


def settle_params(reader: Reader, family: Family, params: Map) -> tuple[Map, frozenset[str]]:
    """The params under the library's main names, without those that are null; and the names of
    those that are not known, because what is given for them is faulty."""
    unknown: set[str] = set()
    table = {item.name: item for item in parameters(family.name)}
    names = {alias: item.name for item in table.values() for alias in (item.name, *item.aliases)}
    given: dict[str, str] = {}
    found: dict[str, Value] = {}
    for name, value in params.items():
        where = ("model", "params", name)
        main = names.get(name)
        if main is None:
            hint = _other_parameter(name, family)
            reader.complain("unknown-key", f"{family.name} has no such parameter", where, hint)
            unknown |= {meant for alias, meant in names.items() if repr(alias) in hint}
            continue
        if main in given or (name != main and main in params):
            other = given.get(main, main)
            also = "which is" if other == main else f"and {other} is"
            message = f"is another name of {main}, {also} set too"
            hint = f"keep one: model.params.{main}={shown(value)}"
            reader.complain("given-twice", message, where, hint)
            unknown.add(main)
            continue
        given[main] = name
        if table[main].refused:
            reader.complain("refused", table[main].refused, where)
        elif (complaint := table[main].complaint(thaw(value))) is not None:
            hint = _other_value(value, table[main])
            reader.complain("wrong-value", complaint, where, hint)
            unknown.add(main)
        elif value is not None:
            number = "int" not in table[main].types and "float" in table[main].types
            as_float = number and isinstance(value, int) and not isinstance(value, bool)
            found[main] = float(value) if as_float else value  # type: ignore[arg-type]
    return Map(found), frozenset(unknown)


def _other_parameter(name: str, family: Family) -> str:
    """What may be meant by a parameter that a family does not have: one that can be set."""
    free = [item for item in parameters(family.name) if not item.refused]
    mains = tuple(item.name for item in free)
    near = nearest(name, (*mains, *(alias for item in free for alias in item.aliases)))
    having = [
        other.name
        for other in FAMILIES.values()
        if any(name in (item.name, *item.aliases) for item in parameters(other.name))
    ]
    if having:
        *others, last = having
        return f"it is a parameter of {', '.join(others)}{' and ' * bool(others)}{last}"
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
    if isinstance(value, float) and "float" not in parameter.types and value == int(value):
        return f"write {int(value)}"
    if isinstance(value, tuple | Map) or parameter.default is None:
        return f"{parameter.name}: {parameter.doc}" if parameter.doc else ""
    return f"leave it out for the library's default, {shown(parameter.default)}"
