"""A config of an older format is read as one of today's, and told what to rename."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mlops_compile.compiler.upgrade import Upgrade, upgrade
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import Map, freeze, thaw
from tests.catalogue import answer_of
from tests.project import make

# Two formats that there could be: `data.goal` became `data.target`, then `model.family` moved.
UPGRADES = (
    Upgrade(renamed=((("data", "goal"), ("data", "target")),)),
    Upgrade(renamed=((("learner", "family"), ("model", "family")), (("salt",), ("seed",)))),
)
NOWHERE = Composition(config_name="config", search_path=(), overrides=())


def upgraded(values: object) -> Config:
    frozen = freeze(values)
    assert isinstance(frozen, Map)
    return upgrade(Config(values=frozen, composition=NOWHERE), UPGRADES)


def test_keys_are_renamed_through_every_format_with_a_note_each() -> None:
    config = upgraded({"format": 1, "data": {"goal": "y", "task": "binary"}, "salt": 3})
    assert thaw(config.values) == {
        "format": 3,
        "data": {"target": "y", "task": "binary"},
        "seed": 3,
    }
    assert [(note.code, note.where) for note in config.notes] == [
        ("older-config", ("data", "goal")),
        ("older-config", ("salt",)),
    ]
    assert "data.target since format 2" in config.notes[0].message
    assert "seed since format 3" in config.notes[1].message


def test_a_format_is_only_asked_for_what_came_after_it() -> None:
    config = upgraded({"format": 2, "data": {"goal": "y"}, "salt": 3})
    assert thaw(config.values) == {"format": 3, "data": {"goal": "y"}, "seed": 3}
    assert upgraded({"data": {"goal": "y"}}).notes  # none stated: the first
    today = upgraded({"format": 3, "data": {"target": "y"}})
    assert today.notes == () and today.composition.renamed == ()


def test_where_both_names_are_set_todays_counts() -> None:
    config = upgraded({"format": 1, "salt": 3, "seed": 4})
    assert thaw(config.values) == {"format": 3, "seed": 4}
    assert len(config.notes) == 1


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(CompileError, match="knows up to 3"):
        upgraded({"format": 4})


def test_notes_and_problems_name_the_key_that_the_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mlops_compile.compiler.compose.config.upgrade", partial(upgrade, upgrades=UPGRADES)
    )
    project = make(tmp_path / "project")
    file = project / "conf" / "data" / "shop.yaml"
    file.write_text(file.read_text("utf-8").replace("target: target", "goal: target"), "utf-8")
    answer = answer_of(project, ("compile",))
    assert answer.code == 0
    assert "note[MC0021]: data.goal: is called data.target since format 2" in answer.err
    assert "conf/data/shop.yaml:3:1" in answer.err
    file.write_text(file.read_text("utf-8").replace("goal: target", "goal: Target"), "utf-8")
    answer = answer_of(project, ("compile",))
    assert answer.code == 3 and "did you mean 'target'?" in answer.err
    assert "conf/data/shop.yaml:3:7" in answer.err
