"""Waivers: for one pair of plans each, in no lock and no key, and shown in a review."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.compiler.spec import StatedWaiver
from mlops_compile.compiler.waivers import waivers_for
from tests.project import good, make

digests = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(digests, digests, digests, st.integers(12, 64), st.integers(12, 64))
def test_a_waiver_is_for_its_pair_alone(
    old: str, new: str, other: str, first: int, second: int
) -> None:
    stated = StatedWaiver(what="gates", old=old[:first], new=new[:second], reason="agreed")
    (held,) = waivers_for([stated], old, new)
    assert held.used and (held.what, held.reason) == ("gates", "agreed")
    for pair in ((new, old), (old, other), (other, new)):
        (held,) = waivers_for([stated], *pair)
        assert held.used == (pair[0][:first] == old[:first] and pair[1][:second] == new[:second])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make(tmp_path_factory.mktemp("shop"))
    good(project, "compile")
    return project


RECORDS = "deploy.max_records=7"  # breaks clients that send more


def waiver(what: str, old: str, new: str) -> str:
    return (
        f"review.waivers=[{{what: {what}, old: '{old}', new: '{new}', reason: agreed with them}}]"
    )


def test_a_waiver_is_in_no_lock(project: Path) -> None:
    stated = waiver("gates", "0" * 12, "1" * 12)
    assert mc.compile([stated], project=project).text == mc.compile(project=project).text


@pytest.mark.parametrize(
    ("what", "used"), [("contract", True), ("gates", True), ("contract", False)]
)
def test_a_review_shows_whether_a_waiver_holds(
    project: Path, what: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # nothing is wrapped
    old, new = mc.compile(project=project).digest, mc.compile([RECORDS], project=project).digest
    stated = waiver(what, old[:12] if used else "0" * 12, new)
    operands = ("plan.lock.json", f'conf:{RECORDS} "{stated}"')
    document = json.loads(good(project, "diff", *operands, "--format", "json").out)
    assert document["new"]["plan"] == new
    assert not document["api"]["compatible"]  # waived or not
    (held,) = document["waivers"]
    assert held["used"] == used and held["what"] == what
    assert held["reason"] == "agreed with them"
    text = " ".join(good(project, "diff", *operands).out.split())
    told = "may break its clients (waived)" in text
    assert told == (used and what == "contract")
    assert ("holds" if used else "is for another pair of plans") in text
    assert "agreed with them" in text


def test_a_waiver_in_a_file_is_for_the_digests_of_a_sweep(tmp_path: Path) -> None:
    project = make(tmp_path / "shop")
    good(project, "compile", "-m", "-o", "old.json", "seed=0,1")
    words = ("diff", "old.json", f"conf:-m seed=0,1 {RECORDS}", "--format", "json")
    document = json.loads(good(project, *words).out)
    digests = (document[side]["plan"] for side in ("old", "new"))
    stated = waiver("contract", *digests).replace("review.waivers=", "review: {waivers: ") + "}"
    config = project / "conf" / "config.yaml"
    config.write_text(f"{config.read_text('utf-8')}{stated}\n", "utf-8")
    document = json.loads(good(project, *words).out)
    assert [held["used"] for held in document["waivers"]] == [True]
