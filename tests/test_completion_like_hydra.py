"""Completion beside Hydra's own, on the same conf: what Hydra offers is offered.

Where Hydra's candidate is no override that could be written, the difference is stated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.plugins.completion_plugin import DefaultCompletionPlugin

from mlops_compile.cli.completion import candidates
from mlops_compile.cli.shells import read_line
from mlops_compile.compiler.compose.search_path import loader_of

FILES = {
    "conf/config.yaml": """\
defaults:
  - db: mysql
  - model: lightgbm
  - db@backup: mysql
  - _self_
  - experiment: null
seed: 0
name: café
words: [a, b]
maps: [{deep: 1}]
nested: {deep: {deeper: 1}, list: [1, 2]}
port: ${db.port}
path: ${nested.deep.deeper}/x
whole: ${nested}
flag: true
nothing: null
open: ???
gate: ">= 0.9"
"na me": 1
"a.b": 2
hydra: {searchpath: ["file://@more@"]}
""",
    "conf/required.yaml": "defaults:\n  - db: ???\n  - _self_\nseed: 1\n",
    "conf/db/mysql.yaml": "driver: mysql\nport: 3306\n",
    "conf/db/postgres.yaml": "driver: postgres\nport: 5432\nuser: ${.driver}\n",
    "conf/db/eu/maria.yaml": "# @package db\ndriver: maria\n",
    "conf/only/inner/one.yaml": "left: 1\n",
    "conf/model/mine.yaml": "defaults:\n  - ridge\n  - _self_\nparams: {alpha: 3.0}\n",
    "conf/experiment/big.yaml": """\
# @package _global_
defaults:
  - override /db: postgres
nested: {deep: {added: 2}}
""",
    "more/db/sqlite.yaml": "driver: sqlite\n",
    "more/cache/redis.yaml": "kind: redis\n",
}
Both = Callable[..., tuple[set[str], set[str]]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("@more@", str(folder / "more")), "utf-8")
    return folder


@pytest.fixture
def both(project: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """What Hydra offers for a line of words, and what is offered here."""
    monkeypatch.chdir(project)

    def both(line: str, config: str = "config") -> tuple[set[str], set[str]]:
        plugin = DefaultCompletionPlugin(loader_of((str(project / "conf"),)))
        hydras = set(plugin._query(config_name=config, line=line))
        ours = f"mlops-compile config -cn {config} {line}"
        read = read_line(ours, len(ours), "")
        return hydras, {word for word in candidates(read) if word.startswith(read.word)}

    return both


@pytest.mark.parametrize(
    "line",
    [
        *("db=", "db=m", "db/eu=", "cache=", "cac", "model=mi", "+db=", "~db"),
        *("+experiment=", "only/", "only/inner=", "hydra/launcher=", "hydra/l"),
        *("nested.", "nested.deep.", "nested.list.", "words.", "maps.", "maps.0."),
        *("se", "seed=", "flag=", "path=", "backup.dr", "whole.", "open", "hydra.", "hydra.job.n"),
        *("db=postgres db.", "db=postgres db.user=", "model=mine model.params.alpha="),
        *("experiment=big db.port=", "experiment=big nested.deep.", "~seed po"),
        *("++new.deep=1 new.", "-m seed=1,2 db=", "-m db=mysql,postgres seed=", "zzz.", "zzz="),
    ],
)
def test_what_hydra_offers_is_offered(both: Both, line: str) -> None:
    hydras, ours = both(line)
    assert hydras <= ours


def test_a_mandatory_group_that_is_not_chosen_yet(both: Both) -> None:
    hydras, ours = both("db=", "required")
    assert {"db=mysql", "db=postgres"} <= hydras <= ours
    assert both("see", "required") == (set(), {"seed="})  # Hydra has no keys before it is chosen
    hydras, ours = both("db=mysql db.", "required")
    assert hydras == {"db.driver=", "db.port="} == ours


def test_every_key_and_group(both: Both) -> None:
    hydras, ours = both("")
    # A group with groups inside of it has options too: Hydra ends its name in neither way.
    bare = {word for word in hydras if word.isalpha()}
    assert all(f"{group}=" in ours for group in bare)
    # Hydra offers keys that no override can address.
    assert hydras - bare - ours == {"na me=", "a.b="}


@pytest.mark.parametrize(
    ("line", "hydras", "offered"),
    [
        ("words=", {"words=0=", "words=1="}, {"words=[a,b]"}),  # not an override
        ("nested=", {"nested=deep.", "nested=list."}, set()),
        ("open=", {"open="}, set()),
        # A map that is not set yet.
        ("hydra.sweeper.p", {"hydra.sweeper.params."}, {"hydra.sweeper.params="}),
        ("gate=", {"gate=>= 0.9"}, {'gate=">= 0.9"'}),  # cannot be parsed without quotes
        ("x=./mo", {"x=./more"}, {"x=./more/"}),
        ("~see", set(), {"~seed"}),
        ("name=c", set(), {"name=café"}),
        ("db=mysql,po", set(), {"db=mysql,postgres"}),
        ("db=e", set(), {"db=eu/maria"}),
        ("db@back", set(), {"db@backup="}),
        ("db@backup=p", set(), {"db@backup=postgres"}),
        ("++see", set(), {"++seed="}),
        ("~nested.deep.", set(), {"~nested.deep.deeper"}),
        ("nothing=", set(), {"nothing=null"}),
    ],
)
def test_what_differs(both: Both, line: str, hydras: set[str], offered: set[str]) -> None:
    theirs, ours = both(line)
    assert ours == offered
    assert theirs in (hydras, offered)  # Hydra 1.4 has mended one
