"""Tables of the families' parameters, generated from their libraries; reading one imports none."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from mlops_compile.ir.parameter import Parameter
from mlops_compile.ir.resources import package_text
from mlops_compile.steps.families import FAMILIES

FOLDER = Path(__file__).resolve().parent


@cache
def parameters(family: str) -> tuple[Parameter, ...]:
    """The parameters of a family, by name: ours from this folder, else from the `package:path` that
    it names. KeyError for a family without a table."""
    files = {file.stem: file for file in FOLDER.glob("*.json")}
    if family in files:
        text = files[family].read_text(encoding="utf-8")
    else:
        text = package_text(FAMILIES[family].table)
    return tuple(Parameter.from_dict(table) for table in json.loads(text))
