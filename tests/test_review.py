"""Reviews in every form: short enough, inert whatever names hold, the same for the same plans."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.cli.review_text import _columns, say_review
from mlops_compile.ir.change import (
    CATEGORIES,
    Cause,
    PlanChange,
    PointChange,
    ServiceChange,
    StepChange,
)
from mlops_compile.ir.review import Behaviour, GateState, Moved, Named, Review, Segment, Waiver
from mlops_compile.ir.value import dotted
from mlops_compile.present.review_causes import causes_part
from mlops_compile.present.review_markdown import MOST, code, markdown
from mlops_compile.present.review_page import page_of
from mlops_compile.present.review_steps import steps_part
from mlops_compile.present.reviewing import verdict
from tests.browser import CHROMIUM, look
from tests.project import good, make

texts = st.text(max_size=30)
HOSTILE = (
    "a|b `c` ``d`` <script>alert(1)</script> @team #1 *x* _y_ [l](http://x) \n\\ ~~z~~ {{ 7 * 7 }}"
)


def review(names: list[str], *, many: int = 1, points: int = 0) -> Review:
    """A review in which names stand wherever a name can."""
    name = names[0]
    causes = tuple(
        Cause(
            path=("model", f"{each}{number}", "x"),
            category=CATEGORIES[number % len(CATEGORIES)],
            old=each,
            new=(each, number),
            text=each,
        )
        for number in range(many)
        for each in names
    )
    steps = tuple(
        StepChange(
            name=f"s{number}",
            kind="train",
            change="changed",
            causes=(cause,),
            effect="run",
            reason=name,
        )
        for number, cause in enumerate(causes)
    )
    return Review(
        old=Named(name=name, what=name, digest="0" * 64, steps=len(steps)),
        new=Named(name=name, what=name, digest="1" * 64, steps=len(steps), points=points + 1),
        change=PlanChange(
            steps=steps,
            service=tuple(
                ServiceChange(path=("request", each), text=f"{each} is gone", breaking=True)
                for each in names
            ),
            cosmetic=(Cause(path=(name,), category="cosmetic", text=name),),
            points=tuple(
                PointChange(
                    overrides=(f"{name}={number}",),
                    change="changed",
                    old=number,
                    new=number,
                    causes=causes[:1],
                )
                for number in range(points)
            ),
        ),
        basis="old",
        metrics=(Moved(name="roc_auc", old=0.5, new=0.75, better=True),),
        behaviour=Behaviour(
            rows=9,
            changed=3,
            shift=0.1,
            segments=tuple(Segment(column=each, level=each, rows=4, changed=2) for each in names),
        ),
        unmet=(GateState(path="evaluate.gates.roc_auc", text=name),),
        waivers=(Waiver(what="contract", old="0" * 64, new="1" * 64, reason=name, used=True),),
        notes=(name,),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(text=texts)
def test_code_in_a_cell_is_one_span_on_one_line(text: str) -> None:
    shown = code(text.replace("\n", " ").replace("\r", " "))
    ticks = len(shown) - len(shown.lstrip("`"))
    inner = shown[ticks:-ticks]
    runs = {len(run) for run in re.findall("`+", inner)}
    assert ticks and ticks not in runs
    assert not re.search(r"(?<!\\)\|", shown)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cells=st.integers(1, 5).flatmap(
        lambda count: st.lists(
            st.lists(st.text("ab →()1,", max_size=70), min_size=count, max_size=count), min_size=1
        )
    ),
    width=st.integers(80, 160),
)
def test_columns_have_room_and_lose_nothing(cells: list[list[str]], width: int) -> None:
    for row, lines in zip(cells, _columns(cells, width, "  "), strict=True):
        assert all(len(line) <= width for line in lines)
        told = "".join("".join(lines).split())
        assert sorted(told) == sorted("".join("".join(row).split()))


def test_a_number_in_brackets_stays_with_what_it_counts() -> None:
    steps = ", ".join(f"point/*/{kind} (1,500)" for kind in ("train", "evaluate", "package"))
    lines = _columns([["x" * 60, steps]], 90, "  ")[0]
    assert len(lines) > 1
    assert all(re.search(r"/\w+ \(1,500\)", line) for line in lines)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(names=st.lists(texts, min_size=1, max_size=4))
def test_every_table_of_a_comment_has_its_columns(names: list[str]) -> None:
    width = 0
    for line in markdown(review(names)).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        width = width or cells
        assert cells == width, line


def test_a_comment_is_short_however_much_differs() -> None:
    for many, points in ((10_000, 0), (3, 5_000)):
        text = markdown(review(["n" * 40], many=many, points=points))
        assert len(text) <= MOST
        assert text.startswith("### Plan: ")
        assert "may break its clients" in text.split("**Causes**")[0]
    assert "more; `mlops-compile diff` lists them all." in markdown(review(["n"], many=10_000))
    assert len(markdown(review(["n" * 4000], many=400), most=2000)) <= 2000


def test_hostile_names_are_inert_in_a_comment() -> None:
    text = markdown(review([HOSTILE]))
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)  # without what is code
    for live in ("<script", "@team", "[l](http", "*x*"):
        assert live not in outside, live
    assert text.count("<details>") == text.count("</details>")


class Outside(HTMLParser):
    """What a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "link", "iframe", "object"):
            self.found.append(tag)
        self.found += [f"{name}={value}" for name, value in attrs if name.startswith("on")]
        self.found += [
            f"{n}={v}" for n, v in attrs if n in ("src", "href") and not f"{v}".startswith("#")
        ]


def test_hostile_names_are_inert_on_the_page() -> None:
    page = page_of(review([HOSTILE]))
    reader = Outside()
    reader.feed(page)
    assert reader.found == [] and "49" not in page.split("</style>")[1].split("x")[0]
    assert "&lt;script&gt;alert(1)" in page


def test_a_terminal_is_kept_to_its_width_and_plain_text_has_no_colours() -> None:
    out = StringIO()
    say_review(review([HOSTILE, "\x1b[31mred\x07"]), out)
    assert "\x1b" not in out.getvalue() and "\x07" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 240


def test_a_diff_is_the_same_for_the_same_plans(tmp_path: Path) -> None:
    project = make(tmp_path / "shop")
    good(project, "compile")
    words = ("diff", "plan.lock.json", "conf:seed=3")
    for form in ("text", "markdown", "html", "json"):
        one = good(project, *words, "--format", form).out
        assert one == good(project, *words, "--format", form).out and one
        good(project, *words, "--format", form, "-o", f"review.{form}")
        assert (project / f"review.{form}").read_text("utf-8") == one
    assert "<summary>Steps (8)</summary>" in (project / "review.markdown").read_text("utf-8")
    lines = good(project, *words).out.splitlines()
    assert max(map(len, lines)) <= 115
    assert lines[-1] == "2 to run, 6 may run, 0 made already." or lines[-1].endswith(
        "made already."
    )


def test_a_sweep_with_one_common_change_is_told_in_a_few_lines(tmp_path: Path) -> None:
    project = make(tmp_path / "shop")
    sweep = "seed=range(0,4) model.params.num_leaves=range(2,22)"
    good(project, "compile", "-m", *sweep.split())
    text = good(
        project,
        "diff",
        "plan.lock.json",
        f"conf: -m {sweep} model.params.max_bin=63",
        "--format",
        "markdown",
    ).out
    assert "`80 of 80 points`" in text
    assert len(text.splitlines()) < 60 and len(text) < 4000


def test_steps_of_folds_are_one_row_whatever_they_take_of_their_own_fold() -> None:
    one = review(["n"])
    steps = tuple(
        StepChange(
            name=f"fold/{number}/{kind}",
            kind=kind,
            change="changed",
            upstream=(f"fold/{number}/prepare", "folds"),
            effect="maybe",
        )
        for kind in ("train", "evaluate")
        for number in range(1, 6)
    )
    alone = StepChange(
        name="fold/6/train", kind="train", change="changed", upstream=("fold/6/prepare",)
    )
    change = replace(one.change, steps=(*steps, alone))
    part = steps_part(replace(one, change=change))
    assert part is not None and part.count == 11
    assert [row.cells[1:] for row in part.rows] == [
        ("fold/*/train (5)", "maybe", "only because of fold/*/prepare, folds"),
        ("fold/*/evaluate (5)", "maybe", "only because of fold/*/prepare, folds"),
        ("fold/6/train", "", "only because of fold/6/prepare"),
    ]


def values(*causes: Cause) -> dict[str, tuple[str, str]]:
    """Old and new value of each cause, as they are told."""
    one = review(["n"])
    step = replace(one.change.steps[0], causes=causes)
    part = causes_part(replace(one, change=replace(one.change, steps=(step,))))
    assert part is not None
    return {row.cells[1]: (row.cells[2], row.cells[3]) for row in part.rows}


def test_what_is_not_stated_is_told_by_its_default() -> None:
    path = ("model", "params", "num_leaves")
    cause = Cause(path=path, category="training", sort="removed", old=63, default=(31,))
    for default, told in (((31,), "31 (default)"), ((), "(default)"), (None, "(none)")):
        assert values(replace(cause, default=default)) == {dotted(path): ("63", told)}
    assert values(replace(cause, sort="added", old=None, new=63)) == {
        dotted(path): ("31 (default)", "63")
    }


def test_a_kind_that_differs_is_no_version() -> None:
    cause = Cause(path=("kinds", "train"), category="environment", old="train", new="other")
    assert values(cause) == {"kind of the step train": ("train", "other")}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ((0.3, 0.9), "about 1 s"),
        ((0.3, 2.2), "about 1 s to 2 s"),
        ((None, 65.0), "about 1 min 5 s"),
    ],
)
def test_the_span_of_work(seconds: tuple[float | None, float | None], said: str) -> None:
    text = verdict(replace(review(["n"]), seconds=seconds))
    assert f"; {said}" in text and text.endswith(" of work, as earlier runs took")
    assert said != "about 1 s" or "about 1 s of" in text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not here")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_in_a_browser(tmp_path: Path, width: int, dark: bool) -> None:
    project = make(tmp_path / "shop")
    good(project, "compile")
    words = "conf:seed=3 deploy.max_records=3"
    page = good(project, "diff", "plan.lock.json", words, "--format", "html").out
    seen = look(page, tmp_path, width=width, dark=dark)
    assert seen.refused == () and seen.answer["over"] <= 0 and seen.answer["beyond"] == []
    assert seen.answer["small"] == 0
    assert "script" not in seen.answer["tags"]
    assert "a request may hold 3 records" in seen.answer["text"]
