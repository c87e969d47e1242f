"""Lists of preparations, followed from a type of column to what the model's family takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import KeyPath, Map, Value, dotted
from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Shape, Sort

# What may be missing in a list, the likeliest first.
_ADDED = ("impute", "one_hot", "ordinal", "date_parts", "category", "frequency")

Chain = tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """What ends a list before it is through: where and why."""

    message: str
    below: KeyPath = ()
    hint: str = ""


def chain_problem(chain: Chain, start: Sort, family: Family, where: KeyPath) -> Problem | None:
    """What stops a list on its way from a type of column to what the family takes."""
    stop = _through(chain, start, family)
    if not isinstance(stop, _Stop):
        return None
    hint = stop.hint or _written(where, _mended(chain, start, family))
    return problem("impossible", stop.message, (*where, *stop.below), hint)


def sorts_of(chain: Chain, start: Sort, family: Family) -> tuple[Sort, ...] | None:
    """The features that a list makes of a column, by sort; None where only the rows tell."""
    made = _through(chain, start, family)
    counted = all(PREPARATIONS[name].counted for entry in chain for name in _named(entry))
    return None if isinstance(made, _Stop) or not counted else tuple(shape.sort for shape in made)


def _named(entry: Value) -> Map:
    assert isinstance(entry, Map)
    return entry


def _through(chain: Chain, start: Sort, family: Family) -> tuple[Shape, ...] | _Stop:
    """The shapes at the end of a list, or what stops it."""
    shapes: tuple[Shape, ...] = (Shape(sort=start, missing=True),)
    for position, entry in enumerate(chain):
        ((name, options),) = _named(entry).items()
        preparation = PREPARATIONS[name]
        spec = from_value(preparation.spec, options)
        made: list[Shape] = []
        for shape in shapes:
            if shape.sort not in preparation.accepts:
                message = (
                    f"{name} cannot take {_plain(shape.sort)} values,"
                    f" it takes {' and '.join(preparation.accepts)} values"
                )
                return _Stop(message=message, below=(str(position),))
            if unfit := preparation.unfit(spec, shape.sort):
                below = (str(position), name, unfit.option)
                return _Stop(message=unfit.message, below=below, hint=unfit.hint)
            made += preparation.shapes(spec, shape)
        if not made and position < len(chain) - 1:
            message = f"{name} leaves nothing for what stands behind it"
            hint = f"write [{name}]"
            return _Stop(message=message, below=(str(position + 1),), hint=hint)
        shapes = tuple(made)
    for shape in shapes:
        if shape.sort not in family.accepts:
            message = f"ends in {_plain(shape.sort)} values, which {family.name} cannot take"
            return _Stop(message=message)
        if shape.missing and not family.missing:
            message = f"may leave missing values, which {family.name} cannot take"
            return _Stop(message=message)
    return shapes


def _plain(sort: Sort) -> str:
    """A sort of value in the words of the docs."""
    return "native category" if sort == "code" else sort


def _mended(chain: Chain, start: Sort, family: Family) -> Chain:
    """A list that gets through: this one with one or two preparations more, or the usual one."""
    for longer in _longer(chain) if chain else ():
        if not isinstance(_through(longer, start, family), _Stop):
            return longer
    usual = family.chains[start]
    assert isinstance(usual, tuple)
    return usual


def _longer(chain: Chain) -> Iterator[Chain]:
    for more in (1, 2):
        for names in itertools.product(_ADDED, repeat=more):
            added = tuple(Map({name: Map()}) for name in names)
            for place in range(len(chain) + 1):
                yield (*chain[:place], *added, *chain[place:])


def _written(where: KeyPath, chain: Chain) -> str:
    """A list as it is set on the command line."""
    setting = f"{dotted(where)}={_text(chain)}"
    return f"for example {setting}" if "{" not in setting else f"for example '{setting}'"


def _text(value: Value) -> str:
    match value:
        case tuple():
            return f"[{','.join(map(_text, value))}]"
        case Map() if len(value) == 1 and not any(map(_has_keys, value.values())):
            return next(iter(value))
        case Map():
            return f"{{{','.join(f'{name}: {_text(item)}' for name, item in value.items())}}}"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"' if not value.isidentifier() else value
        case _:
            return str(value)


def _has_keys(value: Value) -> bool:
    return not isinstance(value, Map) or bool(value)
