"""Every kind of source, split, preparation and model with every other: it runs, the same each time
and not twice; or it is refused for the reason that is stated.

MATRIX_STRENGTH says how many values meet: 1 (each in some case), 2 (pairs), 3 (triples: an hour).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.compiler.recompile import again
from mlops_compile.ir.lock import encode
from mlops_compile.ir.problem import ProblemsError
from mlops_compile.ir.record import RunRecord
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.foldings import FOLDS
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.splits import SPLITS
from tests.matrix.axes import (
    AXES,
    FOLD_KEYS,
    FUNCTION,
    OPTIONS,
    PREPARE,
    QUICK,
    REFUSALS,
    SPLIT_KEYS,
    Refusal,
    allowed,
    config_of,
    refused,
)
from tests.matrix.covering import Case, completed, covering

STRENGTH = int(os.environ.get("MATRIX_STRENGTH", "1"))
CASES = covering(AXES, STRENGTH, allowed)
REFUSED = [
    (refusal, part)
    for refusal, part in refused()
    # In the quick tests, the first of each sort.
    if STRENGTH > 1 or all(part[name] == values[0] for name, values in refusal.when.items())
]


def label(case: Any) -> str:
    return ", ".join(case.values()) if isinstance(case, Mapping) else ""


class Rooms:
    """Two projects and a pool: in `long` all cases follow each other, `fresh` is empty for each."""

    def __init__(self, root: Path, workers: mc.Workers) -> None:
        self._root = root
        self._workers = workers

    def long(self, case: Case) -> RunRecord:
        return self._run(self._root / "long", case)

    def fresh(self, case: Case) -> RunRecord:
        shutil.rmtree(self._root / "fresh", ignore_errors=True)
        return self._run(self._root / "fresh", case)

    def _run(self, project: Path, case: Case) -> RunRecord:
        for folder in ("conf", "src/shop"):
            (project / folder).mkdir(parents=True, exist_ok=True)
        (project / "src/shop/__init__.py").write_text("")
        (project / "src/shop/rates.py").write_text(FUNCTION)
        # JSON is YAML.
        config = json.dumps(config_of(case, self._root / "sources"))
        (project / "conf" / "config.yaml").write_text(config)
        return mc.run((), project=project, workers=self._workers)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: Any) -> Iterator[Rooms]:
    with mc.Workers(1) as workers:
        yield Rooms(tmp_path_factory.mktemp("matrix"), workers)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_case_runs_the_same_each_time_and_not_twice(rooms: Rooms, case: Case) -> None:
    """What other cases left in a store changes nothing: no key leaves a cause out."""
    record = rooms.long(case)
    assert record.ok and record.model and record.bundle
    fresh = rooms.fresh(case)
    assert {result.status for result in fresh.results} == {"ran"}
    assert encode(fresh.lock) == encode(record.lock) == encode(again(record.lock))
    assert fresh == record  # every key, output and metric
    repeated = rooms.long(case)
    assert {result.status for result in repeated.results} == {"hit"} and repeated == record


@pytest.mark.parametrize(("refusal", "part"), REFUSED, ids=label)
def test_what_is_refused_is_refused_for_the_stated_reason(
    rooms: Rooms, refusal: Refusal, part: Case
) -> None:
    others = completed(AXES, part, lambda case: not any(_also(refusal, case)))
    case = others or completed(AXES, part, lambda case: True)
    assert case is not None
    with pytest.raises(ProblemsError) as caught:
        rooms.long(case)
    assert caught.value.exit_code == refusal.exit_code
    told = [(found.code, found.message) for found in caught.value.problems]
    assert any(code == refusal.code and refusal.says in words for code, words in told), told


def _also(refusal: Refusal, case: Case) -> Iterator[Refusal]:
    """Refusals of another reason that meet a case."""
    return (other for other in REFUSALS if other is not refusal and other.meets(case))


def test_the_axes_hold_all_that_there_is() -> None:
    assert set(SPLIT_KEYS) == set(SPLITS) and set(FOLD_KEYS) == set(FOLDS)
    assert set(QUICK) == set(FAMILIES)
    kinds = {"csv", "jsonl", "parquet", "sklearn", "sql"}
    assert set(SOURCES) == kinds
    used = json.dumps(PREPARE)
    assert [name for name in PREPARATIONS if f'"{name}"' not in used] == []
    assert OPTIONS["plain"] == {}


axes = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(
    lambda sizes: {f"axis {n}": [f"{n}.{v}" for v in range(size)] for n, size in enumerate(sizes)}
)


@given(axes, st.integers(1, 3), st.sets(st.integers(0, 30), max_size=4))
def test_a_covering_holds_every_part_that_a_case_can_hold(
    axes: Mapping[str, Sequence[str]], strength: int, banned: set[int]
) -> None:
    """By comparison with all cases that there are."""
    pairs = [
        {one: x, two: y}
        for one, two in itertools.combinations(axes, 2)
        for x, y in itertools.product(axes[one], axes[two])
    ]
    no = [pair.items() for number, pair in enumerate(pairs) if number in banned]

    def fits(case: Case) -> bool:
        return not any(pair <= case.items() for pair in no)

    def parts(cases: Sequence[Case]) -> set[tuple[tuple[str, str], ...]]:
        return {part for case in cases for part in itertools.combinations(case.items(), strength)}

    every = [
        case
        for values in itertools.product(*axes.values())
        if fits(case := dict(zip(axes, values, strict=True)))
    ]
    found = covering(axes, strength, fits)
    assert all(case in every for case in found)
    assert parts(found) == parts(every)
    assert len(found) <= len(parts(every))
    assert covering(axes, strength, fits) == found


def test_pairs_are_few_cases() -> None:
    """No more than twice the least number, which pairs of the two longest axes need."""
    wide = {
        name: [f"{name}{n}" for n in range(count)]
        for name, count in zip("abcdef", range(3, 9), strict=True)
    }
    assert 56 <= len(covering(wide, 2)) <= 2 * 56
