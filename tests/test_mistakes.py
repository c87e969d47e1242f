"""Every mistake of the catalogue gets the text that it is meant to get; UPDATE_GOLDEN=1 writes.

The quick tests make the first mistakes of each code and chapter; the rest is slow.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hydra
import pytest
from _pytest.mark import ParameterSet
from packaging.version import Version

from tests.catalogue import Mistake, answer_of, catalogue
from tests.project import make

_FIRST = 2  # mistakes of a code in a chapter
OLD_HYDRA = Version(hydra.__version__) < Version("1.4.0rc1")
# Hydra 1.4 takes some of what 1.3 refuses.
MISTAKES = tuple(item for item in catalogue() if OLD_HYDRA or "(Hydra 1.3)" not in item.title)


def _files(project: Path) -> dict[str, bytes]:
    """Every file of a project but what may be cached."""
    return {
        str(file.relative_to(project)): file.read_bytes()
        for file in project.rglob("*")
        if file.is_file() and ".mlops/cache" not in str(file)
    }


def _cases() -> Iterator[ParameterSet]:
    """The mistakes, slow where those before them in their chapter told as much."""
    told: Counter[tuple[Path, str]] = Counter()
    for item in MISTAKES:
        codes = {(item.chapter, code) for code in re.findall(r"MC\d{4}", item.says) or [""]}
        is_quick = any(told[code] < _FIRST for code in codes)
        told.update(codes)
        yield pytest.param(item, id=item.name, marks=() if is_quick else pytest.mark.slow)


@pytest.mark.parametrize("mistake", _cases())
def test_the_text_of_a_mistake(mistake: Mistake, tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    mistake.make(project)
    before = _files(project)
    answer = answer_of(project, mistake.words)
    if os.environ.get("UPDATE_GOLDEN"):
        mistake.write(answer)
        return
    assert answer.err == mistake.says
    assert answer.code == mistake.code
    assert answer.code in (0, 2, 3) and "Traceback" not in answer.err
    if answer.code:
        assert answer.out == ""
        assert _files(project) == before
