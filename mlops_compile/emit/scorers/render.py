"""The files of a scorer of trees: C and Python, from one model."""

from __future__ import annotations

import jinja2

from mlops_compile.emit.scorers import c, python
from mlops_compile.emit.scorers.literals import number
from mlops_compile.emit.scorers.ranked import ranked
from mlops_compile.ir.trees import ZERO, Trees

C, PYTHON, CONTRIBUTIONS = "scorer.c", "trees.py", "contributions.py"


def scorer_files(model: Trees, templates: jinja2.Environment) -> dict[str, str]:
    """Texts by file name: the same model, the same bytes."""
    found = {C: c_text(model, templates), PYTHON: python_text(model, templates)}
    if not model.linear:  # a leaf that is a sum of features has no value of its own to share
        template = templates.get_template("scorers/contributions.py.jinja")
        found[CONTRIBUTIONS] = template.render(zero=python.literal(ZERO))
    if not (model.linear and python.is_nested(model)):
        found[python.DATA] = python.data(model)
    return found


def c_text(model: Trees, templates: jinja2.Environment) -> str:
    """The source of a library with `score` and `score_rows`."""
    nested = c.is_nested(model)
    categories = model.categories()
    shape = (
        {"functions": c.functions(model), "sets": c.sets(model)}
        if nested
        else {"ranked": ranked(model)}
    )
    return templates.get_template("scorers/scorer.c.jinja").render(
        model=model,
        nested=nested,
        categories=categories,
        known=c.known(model) if categories else "",
        linear_leaves=c.linear_leaves(model) if model.linear else "",
        base=", ".join(map(number, model.base)),
        steepness="-" if model.steepness == 1 else f"{number(-model.steepness)} * ",
        zero=number(ZERO),
        **shape,
    )


def python_text(model: Trees, templates: jinja2.Environment) -> str:
    """The source of a module with `load`."""
    nested = python.is_nested(model)
    return templates.get_template("scorers/model.py.jinja").render(
        model=model,
        nested=nested,
        linear=model.linear,
        functions=tuple(python.functions(model)) if nested else (),
        linear_leaves=tuple(python.linear_leaves(model)) if nested and model.linear else (),
        scores=", ".join(f"s{n}" for n in range(len(model.base))),
        base=", ".join(map(python.literal, model.base)),
        steepness="-" if model.steepness == 1 else f"{python.literal(-model.steepness)} * ",
        zero=python.literal(ZERO),
    )
