"""Points of a multirun: composed fast, they are what Hydra composes; sweeps side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_compile.cli.launching import grid
from mlops_compile.compiler.compose.overrides import open_keys
from mlops_compile.compiler.compose.points import Points
from mlops_compile.compiler.compose.search_path import register_groups
from mlops_compile.compiler.compose.versions import BASE
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import canonical

EXAMPLES = int(os.environ.get("POINTS_EXAMPLES", "5"))  # each takes a second
FILES = {
    "config.yaml": """\
defaults:
  - db: mysql
  - _self_
  - extra: null
seed: 0
env: [HOME_TOWN]
name: café
words: [a, "${name}"]
nested: {deep: {deeper: 1}, list: [1, 2]}
port: ${db.port}
path: ${nested.deep.deeper}/x/${seed}
whole: ${nested.deep}
nothing: null
""",
    "db/mysql.yaml": "driver: mysql\nport: 3306\nuser: ${.driver}\n",
    "db/postgres.yaml": "driver: postgres\nport: 5432\nuser: root\nmore: {a: 1}\n",
    "extra/one.yaml": "# @package _global_\nseed: 7\nnested: {deep: {deeper: ${seed}}}\n",
}
PLAIN = ["1", "1.0", "2", "true", "null", "x", "'1'", "'a b'", "1e3", "-0.0", "0.0", "''", "'東'"]
ODD = ["${seed}", "'${name}'", "???", "[1]", "{a: 1}", "{deeper: 2}", ".nan", "nan", "inf", ""]
KEYS = [
    *("seed", "++seed", "name", "nested.deep.deeper", "db.port", "db.driver", "new", "+new.key"),
    *("words.0", "nested.deep", "nested", "port", "db.more.a", "env", "format", "whole.deeper"),
]
WHOLE = [
    *("db=mysql", "db=postgres", "extra=one", "~nested.list", "~seed", "~nothing=null"),
    *("nested={deep: {deeper: 5}}", "db={port: 5}", "+db@second=mysql", "db=none", "seed=${port}"),
]


@st.composite
def sweeps(draw: st.DrawFn) -> list[list[str]]:
    """Points that share their keys, and differ in values, as a sweep's do."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3))
    values = st.one_of(st.sampled_from(PLAIN), st.sampled_from(PLAIN), st.sampled_from(ODD))
    rows = draw(st.lists(st.tuples(*(values for _ in keys)), min_size=2, max_size=4))
    points = [[f"{key}={value}" for key, value in zip(keys, row, strict=True)] for row in rows]
    place = draw(st.integers(0, len(keys)))
    choice = st.lists(st.sampled_from(WHOLE), max_size=1)
    return [[*point[:place], *draw(choice), *point[place:]] for point in points]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("points")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    register_groups()
    setup_globals()
    with initialize_config_dir(str(folder), **BASE), open_keys():
        yield folder
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


def new_points() -> Points:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    master = hydra.compose_config("config", [], run_mode=RunMode.MULTIRUN)
    return Points(hydra.config_loader, master, {})


def composed(points: Points, overrides: list[str], *, full: bool) -> tuple[object, ...]:
    try:
        point = points.full(overrides) if full else points.point(overrides)
    except CompileError as error:
        return tuple((found.code, found.where, found.message) for found in error.problems)
    return canonical(point.config.values), point.config.composition, point.overrides


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sweep=sweeps())
def test_fast_composition_is_hydras(root: Path, sweep: list[list[str]]) -> None:
    points, oracle = new_points(), new_points()
    for overrides in sweep:
        fast = composed(points, overrides, full=False)
        assert fast == composed(oracle, overrides, full=True), overrides


def test_points_of_plain_values_are_composed_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, full = new_points(), []
    monkeypatch.setattr(
        points, "full", lambda overrides: full.append(overrides) or Points.full(points, overrides)
    )
    made = [points.point([f"seed={n}", f"db={db}"]) for db in ("mysql", "postgres") for n in (1, 2)]
    assert len(full) == 2
    assert [point.config.values["seed"] for point in made] == [1, 2, 1, 2]
    assert [point.config.values["path"] for point in made] == ["1/x/1", "1/x/2"] * 2
    # What is equal is one object, by which later passes know it.
    assert len({id(point.config.values["nested"]) for point in made}) == 1


def points_of(*overrides: str) -> list[str]:
    return [" ".join(point) for point in grid(OverridesParser.create().parse_overrides(overrides))]


def test_sweeps_of_a_tag_zip_go_side_by_side() -> None:
    assert points_of("a=tag(zip,choice(1,2))", "x=u,v", "b=tag(zip,choice(3,4))") == [
        *("a=1 x=u b=3", "a=1 x=v b=3", "a=2 x=u b=4", "a=2 x=v b=4")
    ]
    assert points_of("a=tag(zip1,range(0,2))", "b=tag(zip2,range(0,2))") == [
        *("a=0 b=0", "a=0 b=1", "a=1 b=0", "a=1 b=1")
    ]
    assert points_of("a=tag(other,choice(1,2))", "b=tag(other,choice(1,2))") == [
        *("a=1 b=1", "a=1 b=2", "a=2 b=1", "a=2 b=2")
    ]
    with pytest.raises(CompileError, match=r"of tag zip, a has 2, b has 3"):
        points_of("a=tag(zip,choice(1,2))", "b=tag(zip,choice(1,2,3))")
