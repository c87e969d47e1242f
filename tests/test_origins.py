"""Origins name the place whose change changes the value, whatever a config is composed of."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.compose.interpolations import names_in, sources_of
from mlops_compile.compiler.compose.origins import settings_of
from mlops_compile.ir.config import Config
from mlops_compile.ir.origin import Origin, Settings
from mlops_compile.ir.value import KeyPath, leaves
from tests.catalogue import answer_of
from tests.project import make

CHANGED = 424242
EXAMPLES = int(os.environ.get("ORIGINS_EXAMPLES", "12"))  # each takes a second


@dataclass(frozen=True)
class Conf:
    """Files of a conf/ and overrides."""

    files: Mapping[str, str]
    overrides: tuple[str, ...]

    def compose(self, directory: Path) -> Config:
        shutil.rmtree(directory / "conf", ignore_errors=True)
        for name, text in self.files.items():
            file = directory / "conf" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return compose(self.overrides, directory)

    def changed_at(self, directory: Path, origin: Origin) -> Conf:
        """The same with another value at a place."""
        if not origin.line:
            overrides = [
                _put(text, origin) if origin.source == f"override {text}" else text
                for text in self.overrides
            ]
            return Conf(self.files, tuple(overrides))
        name = str((Path.cwd() / origin.source).relative_to(directory / "conf"))
        lines = self.files[name].splitlines()
        lines[origin.line - 1] = _put(lines[origin.line - 1], origin)
        return Conf({**self.files, name: "\n".join(lines) + "\n"}, self.overrides)


def _put(text: str, origin: Origin) -> str:
    begin = origin.column - 1
    return f"{text[:begin]}{CHANGED}{text[begin + origin.width :]}"


@st.composite
def bodies(draw: st.DrawFn, used: list[int]) -> str:
    """Some keys in YAML, block and flow style, each value a number of its own."""

    def number() -> int:
        used.append(len(used))
        return used[-1]

    lines = []
    for key in draw(
        st.lists(st.sampled_from(["k", "m", "list", "deep", "é", "merged"]), unique=True)
    ):
        match key:
            case "m" if draw(st.booleans()):
                lines.append(f"m: {{n: {number()}, o: {number()}}}  # flow")
            case "m":
                lines += ["m:", f"  n: {number()}", f"  'o' : {number()}"]
            case "list":
                lines.append(f"list: [{number()}, {number()}]")
            case "deep":
                lines += ["deep:", "    a:", f"        b: {number()}", f"        c: {number()}"]
            case "merged":
                lines += [f"base: &base {{x: {number()}, y: {number()}}}"]
                lines += [f"also: &also {{y: {number()}, z: {number()}}}"]
                lines += ["merged:", f"  x: {number()}", "  <<: [*base, *also]"]
            case _:
                lines.append(f"{key}:   {number()}")
    return "\n".join(lines) + "\n"


@st.composite
def confs(draw: st.DrawFn) -> Conf:
    """A conf/ with groups, nested groups, packages, an experiment, and overrides."""
    used: list[int] = []
    body = bodies(used)
    package = draw(st.sampled_from(["", "# @package _global_\n", "# @package other.place\n"]))
    nested = draw(st.sampled_from(["", "defaults:\n  - sub: x\n  - _self_\n"]))
    inner = draw(st.sampled_from(["defaults:\n  - _self_\n  - /b@here: one\n", ""]))
    order = draw(st.permutations(["  - a: one", "  - b: one", "  - _self_"]))
    defaults = "\n".join(["defaults:", *order, "  - experiment: null"])
    interpolated = draw(st.sampled_from(["", "i: ${root}\n", "i: ${j.x}\nj: {x: '${root}'}\n"]))
    files = {
        "config.yaml": f"{defaults}\nroot: 900\ngone: 901\n{interpolated}{draw(body)}",
        "a/one.yaml": nested + draw(body),
        "a/two.yaml": inner + draw(body),
        "a/sub/x.yaml": draw(body),
        "b/one.yaml": package + draw(body),
        "b/two.yaml": draw(body),
        "experiment/e.yaml": f"# @package _global_\ndefaults:\n  - override /b: two\n{draw(body)}",
    }
    value = st.integers(1000, 9999)
    values = st.one_of(
        st.builds(lambda k, v: f"{k}={v}", st.sampled_from(["k", "m.n", "a.k", "b.m.o"]), value),
        st.builds(lambda k, v: f"+{k}={v}", st.sampled_from(["new", "new2.x"]), value),
        st.builds(lambda v, w: f"list=[{v}, {w}]", value, value),
        st.builds(lambda v, w: f"a.m={{n: {v}, new: {{x: {w}}}}}", value, value),
        st.builds(lambda v: f"++deep.a.b={v}", value),
        st.builds(lambda v, w: f"a={{m: {{n: {v}}}, k: {w}}}", value, value),
        st.builds(lambda v: f"b={{deep: {{a: {{b: {v}}}}}}}", value),
        st.builds(lambda v: f"deep={{a: {{b: {v}}}}}", value),
        st.builds(lambda v: f"root={v}", value),
    )
    chosen = draw(st.lists(st.sampled_from(["a=two", "b=two", "experiment=e"]), unique=True))
    given_values = draw(st.lists(values, max_size=3, unique_by=lambda text: text.partition("=")[0]))
    last = draw(st.sampled_from([(), ("new=[1, 2]", "new.1=7"), ("~gone",), ("~gone", "gone=5")]))
    return Conf(files, (*chosen, *given_values, *last))


@settings(max_examples=EXAMPLES)
@given(confs(), st.data())
def test_an_origin_names_the_place_whose_change_changes_the_value(
    conf: Conf, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder).resolve()
        config = conf.compose(directory)
        found = settings_of(config.composition)
        own = [path for path, value in leaves(config.values) if isinstance(value, int)]
        assert all(path in found for path in own), [path for path in own if path not in found]
        for path in data.draw(st.lists(st.sampled_from(own), max_size=3, unique=True)):
            origin = found[path][-1].value
            after = dict(leaves(conf.changed_at(directory, origin).compose(directory).values))
            assert after[path] == CHANGED, (path, str(origin))
            _from_sources(conf, directory, found, path)


@pytest.mark.parametrize(
    ("overrides", "path", "width"),
    [
        (("a={k: 5}",), ("a", "k"), "5"),
        (("a.m={o: 5}",), ("a", "m", "n"), "1"),
        (("list=[3, 4]", "list.0=5"), ("list", "0"), "5"),
        (("~a.k",), ("a", "k"), "~a.k"),
        (("~a.k", "a.k=5"), ("a", "k"), "5"),
        ((), ("a", "merged", "x"), "2"),
        ((), ("a", "merged", "y"), "4"),
    ],
)
def test_what_is_marked(
    tmp_path: Path, overrides: tuple[str, ...], path: KeyPath, width: str
) -> None:
    merged = "base: &base {x: 2, y: 3}\nmerged: {y: 4, <<: *base}\n"
    conf = Conf(
        {
            "config.yaml": "defaults:\n  - a: one\n  - _self_\nlist: [1, 2]\n",
            "a/one.yaml": f"k: 1\nm: {{n: 1}}\n{merged}",
        },
        overrides,
    )
    origin = settings_of(conf.compose(tmp_path).composition)[path][-1].value
    assert origin.text[origin.column - 1 : origin.column - 1 + origin.width] == width


def _from_sources(conf: Conf, directory: Path, found: Settings, path: KeyPath) -> None:
    """The value of an interpolation changes with what it comes from."""
    for name, setting in sources_of(path, found):
        if "${" not in setting.written:
            changed = conf.changed_at(directory, setting.value).compose(directory)
            assert dict(leaves(changed.values))[path] == CHANGED, (path, name)


@settings(max_examples=30)
@given(confs())
def test_what_was_replaced_is_what_would_be_there_without_the_last_override(conf: Conf) -> None:
    plain = [text for text in conf.overrides if text.partition("=")[0] in ("k", "m.n")]
    if not plain:
        return
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder).resolve()
        found = settings_of(conf.compose(directory).composition)
        for text in plain:
            path = tuple(text.partition("=")[0].split("."))
            without = Conf(conf.files, tuple(item for item in conf.overrides if item != text))
            before = dict(leaves(without.compose(directory).values))
            earlier = found[path][:-1]
            assert (path in before) == bool(earlier)
            assert not earlier or str(before[path]) == earlier[-1].written


@pytest.mark.parametrize(
    ("written", "path", "names"),
    [
        ("${a.b}", ("x",), (("a", "b"),)),
        ("${.b}", ("x", "y"), (("x", "b"),)),
        ("${..b.c}", ("x", "y", "z"), (("x", "b", "c"),)),
        ("one ${a} and ${b[0]}", ("x",), (("a",), ("b", "0"))),
        ("${oc.select:a.b,7}", ("x",), (("a", "b"),)),
        ("${oc.env:HOME}", ("x",), ()),
        ("plain", ("x",), ()),
    ],
)
def test_names_in_an_interpolation(written: str, path: KeyPath, names: tuple[KeyPath, ...]) -> None:
    assert names_in(written, path) == names


def test_a_choice_is_told_with_its_place(tmp_path: Path) -> None:
    conf = Conf(
        {
            "config.yaml": "defaults:\n  - a: one\n  - b: one\n  - experiment: null\n",
            "a/one.yaml": "k: 1\n",
            "b/one.yaml": "k: 2\n",
            "b/two.yaml": "k: 3\n",
            "experiment/e.yaml": "# @package _global_\ndefaults:\n  - override /b: two\n",
        },
        ("experiment=e",),
    )
    found = settings_of(conf.compose(tmp_path).composition)
    assert found[("a", "k")][-1].choice == "a=one"
    assert str(found[("a", "k")][-1].chosen).endswith("conf/config.yaml:2:8")
    assert found[("b", "k")][-1].choice == "b=two"
    assert str(found[("b", "k")][-1].chosen).endswith("conf/experiment/e.yaml:3:18")


@pytest.mark.parametrize("scheme", ["", "pkg://"])
def test_origins_of_places_that_a_search_path_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    package = tmp_path / "places_of_configs"
    (package / "a").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "a/more.yaml").write_text("k: 7\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    conf = Conf(
        {
            "config.yaml": "defaults:\n  - a: one\n  - _self_\n",
            "a/one.yaml": "k: 1\n",
        },
        (f"hydra.searchpath=[{scheme}{package.name}]", "a=more"),
    )
    found = settings_of(conf.compose(tmp_path).composition)
    assert str(found[("a", "k")][-1].value) == "places_of_configs/a/more.yaml:1:4"
    assert found[("a", "k")][-1].choice == "a=more"


def test_a_choice_without_a_group_and_one_in_a_folder(tmp_path: Path) -> None:
    conf = Conf(
        {
            "config.yaml": "defaults:\n  - /a/one@here\n  - experiment: null\n  - _self_\n",
            "a/one.yaml": "k: 1\n",
            "experiment/deep/e.yaml": "# @package _global_\nx: 1\n",
        },
        ("experiment=deep/e",),
    )
    found = settings_of(conf.compose(tmp_path).composition)
    assert found[("here", "k")][-1].choice == "a/one"
    assert found[("x",)][-1].choice == "experiment=deep/e"
    assert str(found[("x",)][-1].chosen) == "override experiment=deep/e"


def test_choices_and_items_are_shown(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    answer = answer_of(
        project,
        ("config", "--origins", "evaluate.metrics=[f1,accuracy]", "evaluate.metrics.0=recall"),
    )
    assert "=lightgbm" in answer.out and "conf/config.yaml:4:12" in answer.out
    assert "    item 0 from override evaluate.metrics.0=recall\n" in answer.out
