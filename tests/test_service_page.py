"""The page to try the model on, in a real browser: its form, answers and refusals; narrow, dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_compile.ir.value import freeze
from tests.browser import CHROMIUM
from tests.devtools import Tab
from tests.serving import EXAMPLE, Running, people, write

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
READY = """(async () => {
  while (!document.body.dataset.ready) await new Promise(go => setTimeout(go, 10));
})()"""
FIELDS = """[...document.querySelectorAll("form label")].map(label => {
  const input = label.querySelector("input, select");
  const levels = input.list ? input.list.options.length : 0;
  return [label.textContent, input.localName, input.value, levels];
})"""
SEND = """(async () => {
  const before = document.getElementById("id").textContent;
  const problem = document.getElementById("problem");
  problem.textContent = "";
  document.querySelector("form").requestSubmit();
  for (let n = 0; n < 500; n++) {
    await new Promise(go => setTimeout(go, 10));
    if (problem.textContent || document.getElementById("id").textContent !== before) return;
  }
})()"""
SHAPE = """({
  over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  beyond: [...document.querySelectorAll("*")].filter(one =>
    one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).length,
  low: [...document.querySelectorAll("input, select, button")].filter(one =>
    one.getBoundingClientRect().height < 40).length,
  back: getComputedStyle(document.body).backgroundColor,
})"""


def _set(name: str, value: str) -> str:
    return f"fields.find(one => one.name === {name!r}).input.value = {value!r}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(write(people(), tmp_path_factory.mktemp("page") / "bundle")) as found:
        yield found


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (360, True)])
def test_a_form_an_answer_and_a_refusal(
    running: Running, tmp_path: Path, width: int, dark: bool
) -> None:
    with Tab(tmp_path, width=width, dark=dark) as tab:
        tab.open(f"{running.url}/")
        tab.value(READY)
        assert tab.value("document.title") == "people"
        fields = tab.value(FIELDS)
        assert [field[1:] for field in fields] == [
            ["input", "38", 0],
            ["input", EXAMPLE["from"], 0],
            ["input", "cook", 2],
            ["select", "true", 0],
        ]
        assert ["may be empty" in field[0] for field in fields] == [False, True, True, False]
        tab.value(SEND)
        expected = running.predict().json()
        assert tab.value("document.getElementById('prediction').textContent") == "no"
        rows = tab.value(
            "[...document.querySelectorAll('#probabilities .row')].map(one => one.textContent)"
        )
        assert rows == [
            name + str(float(f"{expected['probabilities'][name]:.5g}")) for name in ("no", "yes")
        ]
        drivers = tab.value(
            "[...document.querySelectorAll('#drivers .row span:first-child')]"
            ".map(one => one.textContent)"
        )
        assert sorted(drivers) == ["age", "from:hour", "job", "paid"]
        shape = tab.value(SHAPE)
        assert (shape["over"], shape["beyond"], shape["low"]) == (0, 0, 0)
        light = sum(map(int, shape["back"].strip("rgb()").split(","))) > 384
        assert light is not dark
        tab.value(_set("age", "old"))
        tab.value(SEND)
        problem = tab.value("document.getElementById('problem').textContent")
        assert problem == "Expected `float`, got `str` - at `$.age`"
        assert tab.value("document.getElementById('answer').hidden")
        marked = "[...document.querySelectorAll('[aria-invalid=true]')].length"
        assert tab.value(marked) == 1
        assert [text for text in tab.complaints() if "422" not in text] == []


def test_what_is_not_shown_of_many_features_is_said(running: Running, tmp_path: Path) -> None:
    with Tab(tmp_path) as tab:
        tab.open(f"{running.url}/")
        tab.value(READY)
        for features, said in ((12, ""), (15, "and 3 more that add less")):
            names = f"[...Array({features}).keys()].map(n => ['f' + n, n])"
            tab.value(f"drivers({{base: 0, features: Object.fromEntries({names})}})")
            assert tab.value("document.querySelectorAll('#drivers .row').length") == 12
            text = tab.value("document.getElementById('drivers').textContent")
            assert text.endswith(said) and ("more that" in text) == bool(said)


def test_values_are_text_whatever_they_are(tmp_path: Path) -> None:
    """Nothing of names, levels or answers becomes a part of the page."""
    spec = people()
    served = replace(spec.served, levels=freeze({"job": ["<img src=x onerror=alert(1)>"]}))
    spec = replace(spec, name="<b>people</b>", served=served)
    with (
        Running(write(spec, tmp_path / "bundle")) as running,
        Tab(tmp_path) as tab,
    ):
        tab.open(f"{running.url}/")
        tab.value(READY)
        assert tab.value("document.getElementById('title').textContent") == "<b>people</b>"
        assert tab.value("document.querySelectorAll('b, img').length") == 0


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    with (
        Running(write(people(), tmp_path / "bundle"), MLOPS_TOKEN_PREDICT="secret") as running,
        Tab(tmp_path) as tab,
    ):
        tab.open(f"{running.url}/")
        tab.value(READY)
        tab.value(SEND)
        assert "token" in tab.value("document.getElementById('problem').textContent")
        tab.value("document.getElementById('token').value = 'secret'")
        tab.value(SEND)
        assert tab.value("document.getElementById('prediction').textContent") == "no"
