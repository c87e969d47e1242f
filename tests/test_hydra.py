"""Hydra's documented behaviours, one by one: the command line composes what a plain app gets.

The plain side is Hydra's own entry on the same conf, with the built-in groups behind it. The
exception is stated in docs/config.md: a plain `key=value` also sets keys that no file lists.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from mlops_compile.cli.main import run
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.compose.search_path import register_groups
from mlops_compile.compiler.compose.versions import BASE
from mlops_compile.ir.value import thaw
from tests.project import Answer, apart, good, mlops, package_environment

FILES = {
    "conf/config.yaml": """\
defaults:
  - db: mysql
  - data: local
  - model: lightgbm
  - db@backup: mysql
  - optional local: missing
  - _self_
  - experiment: null
seed: 0
name: café
words: [a, b]
nested: {deep: {deeper: 1}, list: [1, 2]}
port: ${db.port}
path: ${nested.deep.deeper}/x
nothing: null
""",
    "conf/wide.yaml": """\
defaults:
  - db: mysql
  - server: apache
  - pair@over: one
  - _self_
  - experiment: null
seed: 0
nested: {deep: {deeper: 1}}
""",
    "conf/values.yaml": "seed: 3\nname: x\n",
    "conf/small.yaml": """\
defaults:
  - db: mysql
  - data: local
  - _self_
  - experiment: null
seed: 0
name: x
nested: {deep: {deeper: 1}}
""",
    "conf/plain.yaml": """\
defaults:
  - db: mysql
  - _self_
seed: 5
hydra: {searchpath: ["{more}"]}
""",
    "conf/first.yaml": "defaults:\n  - _self_\n  - db: mysql\ndb:\n  port: 9\n",
    "conf/last.yaml": "defaults:\n  - db: mysql\n  - _self_\ndb:\n  port: 9\n",
    "conf/packages.yaml": """\
defaults:
  - db@first: mysql
  - db@second.third: postgres
  - db@_global_: mysql
  - globals/flat
  - globals/relative@here
  - /db/nested/inner@inner
  - _self_
""",
    "conf/lists.yaml": "defaults:\n  - db: [mysql, extra]\n  - _self_\n",
    "conf/required.yaml": "defaults:\n  - db: ???\n  - _self_\n",
    "conf/sub/other.yaml": """\
# @package _global_
defaults:
  - /db: postgres
  - _self_
seed: 7
""",
    "conf/chosen.yaml": """\
defaults:
  - db: mysql
  - model: lightgbm
  - server: ${db}
  - combined: ${db}_${model}
  - _self_
""",
    "conf/swept.yaml": """\
defaults:
  - db: mysql
  - _self_
seed: 0
hydra:
  sweeper: {params: {seed: "range(1,3)", db.port: "1,2"}}
""",
    "conf/chooses.yaml": "defaults:\n  - db: mysql\n  - _self_\nof: ${hydra:runtime.choices.db}\n",
    "conf/two.yaml": """\
defaults:
  - db: mysql
  - _self_
hydra: {searchpath: ["{more}", "pkg://extra_conf"]}
""",
    "conf/db/mysql.yaml": "driver: mysql\nport: 3306\nuser: root\n",
    "conf/db/postgres.yaml": "driver: postgres\nport: 5432\nuser: ${.driver}\n",
    "conf/db/extra.yaml": "timeout: 10\n",
    "conf/db/nested/inner.yaml": "# @package _group_\nvalue: 1\n",
    "conf/db/child.yaml": "defaults:\n  - mysql\n  - _self_\nport: 1\n",
    "conf/server/mysql.yaml": "for: mysql\n",
    "conf/server/postgres.yaml": "for: postgres\n",
    "conf/server/apache.yaml": "defaults:\n  - parts@parts: small\n  - _self_\nhost: here\n",
    "conf/server/site/nginx.yaml": "# @package server\nhost: there\n",
    "conf/server/parts/small.yaml": "size: 1\n",
    "conf/server/parts/large.yaml": "size: 9\n",
    "conf/slash.yaml": "defaults:\n  - data: eu/shop\n  - _self_\n",
    "conf/data/local.yaml": "name: local\n",
    "conf/data/eu/shop.yaml": "name: shop\n",
    "conf/data/eu/other.yaml": "# @package data\nname: other\n",
    "conf/pair/one.yaml": "left: 1\n",
    "conf/pair/two.yaml": "left: 2\n",
    "conf/combined/mysql_lightgbm.yaml": "chosen: both\n",
    "conf/combined/postgres_ridge.yaml": "chosen: other\n",
    "conf/combined/mysql_mine.yaml": "chosen: mine\n",
    "conf/globals/flat.yaml": "# @package _global_\nflat: true\n",
    "conf/globals/relative.yaml": "relative: true\n",
    # The user's files among the built-in ones: one beside, one in place of, one on top of one.
    "conf/model/mine.yaml": "defaults:\n  - ridge\n  - _self_\nparams: {alpha: 3.0}\n",
    "conf/model/ridge.yaml": "family: ridge\nparams: {alpha: 2.0}\n",
    "conf/prepare/mine.yaml": "defaults:\n  - scaled\n  - _self_\nextra: 1\n",
    "conf/experiment/big.yaml": """\
# @package _global_
defaults:
  - override /db: postgres
seed: 42
nested: {deep: {deeper: 2}}
""",
    "conf/experiment/deep/one.yaml": "# @package _global_\nseed: 43\n",
    "more/db/sqlite.yaml": "driver: sqlite\nport: 0\nuser: me\n",
    "more/db/mysql.yaml": "driver: hidden\n",
    "more/cache/redis.yaml": "kind: redis\n",
    "more/cache/disk.yaml": "kind: disk\n",
    "more/config.yaml": "hidden: 1\n",
    "other/config.yaml": "defaults:\n  - cache: disk\n  - _self_\nseed: 8\n",
    "other/cache/disk.yaml": "kind: other\n",
    "extra_conf/__init__.py": "",
    "extra_conf/db/packed.yaml": "driver: packed\nport: 4\n",
    "extra_conf/queue/rabbit.yaml": "kind: rabbit\n",
}
MORE = ("--config-dir", "more")
SEARCH = "hydra.searchpath=[more]"
PACKAGE = "hydra.searchpath=[pkg://extra_conf,more]"

# What the grammar makes of a value; all of them are set in one command.
VALUES = [
    "'quoted, text'",
    '"it\'s"',
    r"'it\'s'",
    r"a\,b",
    r"a\ b\=c",
    r"'back\\slash'",
    r"'trailing\\\\'",
    "'東京'",
    "''",
    "",
    "null",
    "1e3",
    "'1e3'",
    "0x1F",
    "1_000",
    "True",
    "NO",
    "12:30",
    "a b c",
    "/a/b-c.d:e%f",
    "str(3)",
    "int(3.0)",
    "float(3)",
    "bool(true)",
    "[x,y,[z]]",
    "[]",
    "{}",
    "[{a: 1},{b: [2]}]",
    "{a: {b: [1, 'x y']}, c: null}",
    "sort([3,1,2])",
    "sort([b,a], reverse=true)",
    "${seed}",
    "'${seed} and ${name}'",
    "???",
]

# What is composed alike; one behaviour a line.
SAME: list[tuple[str, ...]] = [
    (),
    # Overrides of values: the grammar.
    ("seed=1",),
    ("seed=1", "seed=2", "seed=1"),
    ("nested.deep.deeper=3",),
    ("nested={deep: {deeper: 4}}",),
    ("nested.deep={deeper: {}}",),
    ("words.0=z",),
    ("port=${seed}",),
    ("name='${seed}-${name2}'", "+name2=x"),
    # Adding, forcing, deleting.
    ("+new=1",),
    ("+new.deep.key=1",),
    ("+nested={other: 1}",),
    ("+nested.deep.more=[1,2]",),
    ("++seed=3",),
    ("++new.key={a: {b: 1}}",),
    ("~seed",),
    ("~seed=0",),
    ("~nested.list",),
    ("~nested.list=[1,2]",),
    # Choosing options of groups.
    ("db=postgres",),
    ("db=child",),
    ("db=[mysql,extra]",),
    ("data=eu/other",),
    ("data=eu/shop",),
    ("--config-name", "slash"),
    ("--config-name", "wide", "server=site/nginx"),
    ("--config-name", "wide", "server/parts=large"),
    ("--config-name", "chosen", "model=mine"),
    ("model=mine",),
    ("model=ridge",),
    ("+prepare=mine",),
    ("+prepare=scaled",),
    ("+prepare@prepared=mine",),
    ("db@backup=postgres",),
    ("+db@third=postgres",),
    ("+db@third=[mysql,extra]",),
    ("--config-name", "wide", "pair@over=two"),
    ("~db@backup",),
    ("~experiment",),
    ("--config-name", "wide", "~server"),
    ("~db@backup=mysql",),
    ("db={port: 5}",),
    ("db.port=5", "db=postgres"),
    ("+globals=relative",),
    ("+globals=flat",),
    # Experiments.
    ("experiment=big",),
    ("--config-name", "wide", "experiment=big", "server=site/nginx"),
    ("experiment=big", "seed=1"),
    ("experiment=deep/one",),
    ("experiment=[big,deep/one]",),
    # Primary configs and what their defaults lists say.
    ("--config-name", "first"),
    ("--config-name=last",),
    ("-cn", "packages"),
    ("--config-name", "packages", "first.port=1"),
    ("--config-name", "packages", "db@second.third=mysql"),
    ("--config-name", "lists"),
    ("--config-name", "lists", "db=[extra,postgres]"),
    ("--config-name", "sub/other"),
    ("--config-name", "required", "db=mysql"),
    ("--config-name", "chosen"),
    ("--config-name", "chosen", "db=postgres", "model=ridge"),
    ("--config-name", "chooses", "db=postgres"),
    # More search paths: their folders are groups too.
    (*MORE, "db=sqlite"),
    (*MORE, "+cache=redis"),
    ("+cache=redis", "-cd=more", "seed=1"),
    (*MORE, "+cache@caches.one=redis", "+cache@caches.two=disk"),
    ("--config-name", "plain"),
    ("--config-name", "plain", "db=sqlite"),
    ("--config-name", "plain", "+cache=redis"),
    ("--config-name", "two", "+queue=rabbit", "+cache=disk"),
    (SEARCH, "+cache=[disk,redis]"),
    (SEARCH, "db=sqlite", "db.port=7"),
    (PACKAGE, "db=packed"),
    (PACKAGE, "+queue=rabbit", "+cache=redis"),
    (*MORE, "--config-path", "{root}/other"),
    ("--config-path", "{root}/other", "cache=disk", "seed=1"),
]

SWEEPS: list[tuple[str, ...]] = [
    ("seed=1,2",),
    ("seed=range(1,3)",),
    ("seed=range(0,1,0.5)", "name=x"),
    ("seed=choice(3,1)",),
    ("seed=sort(3,1)",),
    ("seed=tag(a,choice(1,2))",),
    ("seed=sort(choice(3,1,2), reverse=true)",),
    ("name='a,b',c", "seed=1"),
    ("name=[a,b],[c]",),
    ("nested={deep: {deeper: 1}},{deep: {deeper: 2}}",),
    ("db=glob(*,exclude=extra)",),
    ("db=glob([m*,p*],exclude=[child])",),
    ("experiment=glob([b*,n*])", "name=a,b"),
    ("db=mysql,postgres", "+model=ridge,mine"),
    ("db=[mysql,extra],postgres",),
    ("data=eu/shop,eu/other",),
    ("experiment=big,deep/one",),
    ("+new=1,2",),
    ("++seed=1,2",),
    ("--config-name", "swept"),
    ("--config-name", "swept", "seed=5,6"),
    (*MORE, "+cache=redis,disk"),
    (*MORE, "+cache=glob(*)"),
]

# What both refuse.
REFUSED: list[tuple[str, ...]] = [
    ("db=none",),
    ("db=null",),
    ("++db=mysql",),
    ("+db=postgres",),
    ("+seed=3",),
    ("~none",),
    ("~seed=9",),
    ("~db@none",),
    ("db@none=mysql",),
    ("nogroup@x=y",),
    ("pair=two",),
    ("seed=1,2",),
    ("seed=range(1,3)",),
    ("seed=[1",),
    ("name=a=b",),
    ("name=東京",),
    ("seed = 1",),
    ("name=a,b c",),
    ("port=${none}",),
    ("hydra.none=1",),
    ("hydra.searchpath=more",),
    ("experiment=none",),
    ("--config-name", "none"),
    ("--config-name", "required"),
    ("--config-dir", "none"),
    ("--config-path", "{root}/none"),
    ("-m", "seed=interval(1,2)"),
    ("-m", "hydra.job.name=a,b"),
    ("-m", "db=mysql,none"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hydra")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("{more}", str(folder / "more")), "utf-8")
    return folder


@pytest.fixture
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(root)
    return root


def _plain(monkeypatch: pytest.MonkeyPatch, root: Path, words: Sequence[str]) -> list[Any]:
    """What a plain app's function gets, job by job; Hydra's errors pass through."""
    got: list[Any] = []
    register_groups()

    def task(config: DictConfig) -> None:
        got.append(OmegaConf.to_container(config, resolve=True))

    quiet = [
        *("hydra.output_subdir=null", "hydra.run.dir=.", "hydra/job_logging=disabled"),
        *("hydra/hydra_logging=disabled", "hydra.sweep.dir=swept", "hydra.sweep.subdir=."),
    ]
    flags, overrides = _flags_first(words)
    if not flags:
        with initialize_config_dir(str(root / "conf"), **BASE):
            config = hydra.compose("config", overrides=overrides)
        return [OmegaConf.to_container(config, resolve=True)]
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["app.py", *flags, *quiet, *overrides])
    try:
        hydra.main(config_path=str(root / "conf"), config_name="config", **BASE)(task)()
    finally:
        GlobalHydra.instance().clear()
    return got


def _flags_first(words: Sequence[str]) -> tuple[list[str], list[str]]:
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(word)
        elif word in ("-m", "--help", "--hydra-help", "--version") or "=" in word:
            flags.append(word)
        else:
            flags += [word, rest.pop(0)]
    return flags, overrides


def _placed(words: Sequence[str], root: Path) -> list[str]:
    return [word.replace("{root}", str(root)) for word in words]


@pytest.fixture
def ours(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def ours(*words: str) -> Answer:
        capsys.readouterr()
        code = run(list(words))
        said = capsys.readouterr()
        return Answer(code=code, out=said.out, err=said.err)

    return ours


@pytest.fixture(scope="module")
def values(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every value of VALUES under a key of its own: of a plain app, and of the command line."""
    words = [f"+v{number}={text}" for number, text in enumerate(VALUES)]
    with initialize_config_dir(str(root / "conf"), **BASE):
        plain = OmegaConf.to_container(hydra.compose("values", overrides=words), resolve=True)
    answer = mlops(root, "config", "--json", "--config-name", "values", *words)
    assert answer.code == 0 and answer.err == "" and isinstance(plain, dict), answer.err
    return plain, answer.document["config"]


@pytest.mark.parametrize("number", range(len(VALUES)), ids=VALUES)
def test_a_value_of_the_grammar(values: tuple[dict[str, Any], dict[str, Any]], number: int) -> None:
    plain, composed = (json.dumps(side[f"v{number}"]) for side in values)
    assert composed == plain


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("words", SAME, ids=" ".join)
def test_composes_as_a_plain_app(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    ours: Callable[..., Answer],
    words: tuple[str, ...],
) -> None:
    placed = _placed(words, here)
    (plain,) = _plain(monkeypatch, here, placed)
    answer = ours("config", "--json", *placed)
    assert answer.code == 0, answer.err
    composed = answer.document["config"]
    assert composed == plain
    # JSON holds no difference of 1 and 1.0 and true that Python's `==` would see.
    assert json.dumps(composed, sort_keys=True) == json.dumps(plain, sort_keys=True)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_sweeps_as_a_plain_app(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    ours: Callable[..., Answer],
    words: tuple[str, ...],
) -> None:
    words = (*(() if "--config-name" in words else ("--config-name", "small")), *words)
    plain = _plain(monkeypatch, here, ["-m", *words])
    assert len(plain) > 1
    answer = ours("config", *words, "-m", "--json")
    assert answer.code == 0, answer.err
    assert [point["config"] for point in answer.document["points"]] == plain


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refuses_as_a_plain_app(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    ours: Callable[..., Answer],
    words: tuple[str, ...],
) -> None:
    placed = _placed(words, here)
    with pytest.raises(Exception, match=r"."):
        _plain(monkeypatch, here, placed)
    answer = ours("config", *placed)
    assert answer.code == 3 and answer.out == ""
    assert answer.err.startswith(("error: ", "error[")) and "bug" not in answer.err


APP = """\
import hydra
from hydra.core.plugins import Plugins
from mlops_compile.compiler.compose.search_path import BuiltInGroups
from mlops_compile.compiler.compose.versions import BASE

Plugins.instance().register(BuiltInGroups)


@hydra.main(config_path="conf", config_name="config", **BASE)
def app(config):
    print(config.seed)


app()
"""
# Words for both, and from where on the answer may hold times of this process.
OUR_PLUGINS = ("Together", "Sweeping")  # what --info=plugins lists besides
ANSWERS: dict[tuple[str, ...], str] = {
    ("--cfg", "job"): "",
    ("--cfg", "job", "--resolve", "db=postgres"): "",
    ("-c", "job", "-p", "db"): "",
    ("--cfg", "job", "--package", "_global_", "seed=4"): "",
    ("--cfg", "job", "--package", "nested.deep.deeper"): "",
    ("--cfg=hydra", "--package=hydra.overrides", "seed=4", "+new=1", "hydra.verbose=true"): "",
    ("--cfg", "all", "--package", "hydra.runtime.choices", "db=child", "experiment=big"): "",
    ("--info", "defaults", "experiment=big"): "",
    ("--info", "defaults-tree", "db=child"): "",
    ("--info", "searchpath", "--config-dir", "more"): "",
    ("--info=plugins",): "Profiling information",
    ("-i", "config", "hydra.job.name=x", "hydra.run.dir=.", "hydra.sweep.dir=."): "",
    ("--help", "db=postgres", "hydra.job.name=mlops_compile"): "",
    ("--hydra-help",): "Install or Uninstall",
    ("--version",): "",
}


@pytest.mark.parametrize("words", ANSWERS, ids=" ".join)
def test_hydra_answers_as_in_a_plain_app(root: Path, words: tuple[str, ...]) -> None:
    """What each prints in a process of its own."""
    (root / "app.py").write_text(APP, "utf-8")
    flags, overrides = _flags_first(words)
    done = subprocess.run(
        [sys.executable, "app.py", *flags, *overrides],
        cwd=root,
        env=package_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    plain, printed = done.stdout, good(root, "config", *overrides, *flags, how=apart).out
    if until := ANSWERS[words]:
        assert until in plain
        plain, printed = plain.partition(until)[0], printed.partition(until)[0]
    for plugin in OUR_PLUGINS:
        printed = printed.replace(f"\t\t{plugin}\n", "")
    assert plain.strip()
    if words[0] in ("--help", "--version"):  # ours first
        assert printed.endswith(plain) and printed.startswith(("usage: mlops-compile", "mlops-"))
    else:
        assert printed == plain


def test_the_one_kindness(here: Path, ours: Callable[..., Answer]) -> None:
    """A plain key=value also sets keys that no file lists; it is no choice of a group."""
    words = (
        "new=1",
        "nested.other.key=x",
        "nested={third: 3}",
        "model.params.mine=[1]",
        *("db=extra", "port=1"),
    )
    composed = ours("config", "--json", *words).document["config"]
    assert composed["new"] == 1 and composed["nested"]["other"] == {"key": "x"}
    assert composed["nested"]["third"] == 3 and composed["nested"]["deep"] == {"deeper": 1}
    assert composed["model"]["params"]["mine"] == [1]
    assert composed["db"] == {"timeout": 10}
    assert thaw(compose(words, here).values) == composed
    refused = ours("config", "hydra.none=1")
    assert refused.code == 3 and "none" in refused.err


@pytest.mark.parametrize("config", ["config", "plain", "first"])
@pytest.mark.parametrize("plus", ["", "+"])
def test_an_experiment_with_and_without_a_plus(
    here: Path, ours: Callable[..., Answer], config: str, plus: str
) -> None:
    """Whether the defaults list names the group or not."""
    flag = f"--config-name={config}"
    composed = ours("config", "--json", f"{plus}experiment=deep/one", flag).document["config"]
    assert composed["seed"] == 43
    points = ours("config", "--json", "-m", f"{plus}experiment=deep/one,null_", flag)
    assert points.code == 3 and "null_" in points.err


def test_overrides_are_kept_as_they_were_written(root: Path) -> None:
    """In the run's record and in the names of a sweep's directories."""
    words = ("model.params.num_iterations=2,3", "model.params.max_depth=2", "data.split.seed_=1")
    answer = mlops(
        *(root, "run", "-m", "--quiet", *words, "hydra.sweep.dir=swept"),
        "hydra.sweep.subdir=${hydra.job.override_dirname}",
    )
    # What is wrong with both points is told once.
    assert answer.code == 3 and answer.err.count("]: name: there is no such key") == 1
    names = sorted(path.name for path in (root / "swept").iterdir() if path.is_dir())
    more = "data.split.seed_=1,model.params.max_depth=2,model.params.num_iterations"
    assert names == [f"{more}=2", f"{more}=3"]
    kept = (root / "swept" / names[0] / ".hydra" / "overrides.yaml").read_text("utf-8")
    assert "- model.params.max_depth=2\n" in kept and "+" not in kept


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "nested.deep.deeper=shuffle(range(1,5))"),
        ("-m", "nested.deep.deeper=shuffle(1,2,3)"),
        ("-m", "nested.deep.deeper=tag(a,shuffle(choice(1,2)))"),
        ("nested.deep.deeper=shuffle([1,2,3])",),
        ("-m", "--config-name", "shuffled"),
    ],
    ids=" ".join,
)
def test_no_order_by_chance(
    here: Path, ours: Callable[..., Answer], words: tuple[str, ...]
) -> None:
    params = "hydra: {sweeper: {params: {nested.deep.deeper: 'shuffle(range(1,3))'}}}\n"
    (here / "conf" / "shuffled.yaml").write_text(f"nested: {{deep: {{deeper: 1}}}}\n{params}")
    before = {path.name for path in here.iterdir()}
    answer = ours("run", *words)
    assert answer.code == 3 and answer.out == ""
    assert "nested.deep.deeper: a " in answer.err
    assert "a fixed order" in answer.err
    assert {path.name for path in here.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("-m", "seed=1,2", "hydra/launcher=ray"), 3, ["no option 'ray'", "not installed"]),
        (("-m", "seed=1,2", "hydra/sweeper=optuna"), 3, ["no option 'optuna'", "not installed"]),
        (("--cfg", "job", "-m", "seed=1,2"), 2, ["--cfg shows one config"]),
        (("--info", "--cfg", "job"), 2, ["exclude each other"]),
        (("--cfg", "jb"), 2, ["--cfg", "'jb'", "hydra"]),
        (("--info", "nothing"), 2, ["--info", "'nothing'", "defaults-tree"]),
        (("--cfg",), 2, ["--cfg needs a value"]),
        (("--resolve",), 2, ["--resolve", "--cfg job --resolve"]),
        (("--multi",), 2, ["no option --multi", "--multirun"]),
        (("--experimental-rerun", "x"), 2, ["--plan"]),
        (("--cfg", "job", "--package", "none"), 3, ["no key none to show", "keys: "]),
        (("--config-dir", "none"), 3, ["no directory none"]),
        (("--config-path", "none"), 3, ["no directory none", "pkg://"]),
        (("--config-name", "none"), 3, ["no config 'none'", "configs: "]),
        (("modell=ridge", "-c", "job", "-p", "modelll"), 3, ["modelll"]),
    ],
    ids=lambda item: " ".join(map(str, item)) if isinstance(item, tuple) else "",
)
def test_the_answer_is_a_sentence(
    here: Path, ours: Callable[..., Answer], words: tuple[str, ...], code: int, says: list[str]
) -> None:
    answer = ours("config", *words)
    assert answer.code == code, answer.err
    assert answer.out == "" and answer.err.startswith(("error: ", "error["))
    for text in says:
        assert text in answer.err


def test_what_is_of_one_run_is_no_config(here: Path, ours: Callable[..., Answer]) -> None:
    for value in ("${hydra:runtime.cwd}", "${hydra.job.name}", "${oc.select:hydra.job.num}"):
        answer = ours("config", f"name={value}")
        assert answer.code == 3 and "is of one run of Hydra" in answer.err
    composed = ours("config", "--json", "name=${hydra:runtime.choices.db}").document["config"]
    assert composed["name"] == "mysql"
    assert compose(("name=${hydra:runtime.choices.db}",), here).values["name"] == "mysql"


def test_the_project_stays_the_working_directory(here: Path, ours: Callable[..., Answer]) -> None:
    answer = ours("config", "--json", "hydra.job.chdir=true", "hydra.run.dir=elsewhere")
    assert answer.code == 0 and Path.cwd() == here
