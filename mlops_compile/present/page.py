"""Renders a page: one html text that needs nothing beside it."""

from __future__ import annotations

from itertools import count

import jinja2
from markupsafe import Markup

from mlops_compile.ir.resources import resource
from mlops_compile.present.blocks import Figure, Link, Page, Table, Text
from mlops_compile.present.drawing import numbered
from mlops_compile.present.secret import Secret

_TEMPLATE = "report/page.html.jinja"
_SORTS = {Table: "table", Figure: "figure", Text: "text"}


def render(page: Page, secret: Secret) -> str:
    """The page as html. What comes from data is escaped wherever it stands, and sensitive columns
    are named nowhere."""

    def told(value: object) -> object:
        """What is written: a drawing as it is, and no text that names a sensitive column."""
        return secret.text(value) if type(value) is str else value

    numbers = count(1)

    def drawing(figure: Figure) -> Markup:
        """A figure's svg with ids of its own. Its texts were escaped as it was drawn."""
        return Markup(secret.drawing(numbered(figure.svg, next(numbers), figure.wide)))

    own = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
        finalize=told,
    )
    own.filters["sort_of"] = lambda block: _SORTS[type(block)]
    own.filters["is_link"] = lambda cell: isinstance(cell, Link)
    own.filters["is_links"] = lambda cell: isinstance(cell, tuple)
    own.filters["drawing"] = drawing
    return own.get_template(_TEMPLATE).render(page=page)
