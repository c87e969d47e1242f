"""Reports: one page of a run or sweep that needs nothing beside it, whatever its names hold."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import mlops_compile
from mlops_compile.ir.plan import Ref, Step
from mlops_compile.ir.value import Map
from mlops_compile.present.graph import Box, draw, edges_of
from mlops_compile.present.secret import Secret
from mlops_compile.present.tried import MOST_DRAWN, Axis, Tried, Try
from tests.browser import CHROMIUM, look
from tests.project import good, make, mlops

QUICK = ("model.params.num_iterations=3", "execution.threads=1", "evaluate.bootstrap.resamples=20")
SCRIPT, MUSTACHE, MATHS = "<script>alert(1)</script>", "{{ 7 * 7 }}{% raw %}", "$x^{frac$ & co"
LINES, SECRET = 'two\nlines "quoted"', "home town"
YES, NO = "<b>yes</b>", "no & 'no'"
DATA = f"""
columns:
  {json.dumps(SECRET)}: {{sensitive: true}}
"""
SEARCH = (
    *QUICK,
    "evaluate.segment_rows=5",
    "data.split.validation_size=0.25",
    "search=grid",
    "search.cv=null",
    "search.space.model.params.num_leaves={choices: [3, 9]}",
    "search.space.model.params.learning_rate={low: 0.1, high: 0.5, step: 0.4}",
)


def quoted(cell: str) -> str:
    return '"{}"'.format(cell.replace('"', '""'))


def rows(count: int = 240) -> str:
    """A table whose names and values are hostile."""
    draw = random.Random(4)
    head = [SCRIPT, MUSTACHE, MATHS, "d", SECRET, "target"]
    lines = [",".join(map(quoted, head))]
    for _ in range(count):
        one, town = draw.uniform(0, 9), draw.choice(["<i>Oslo</i>", "{{ Rome }}", LINES])
        target = YES if one + (town > "a") * 3 + draw.gauss(0, 2) > 6 else NO
        cells = (f"{one:.2f}", quoted(town), f"{draw.gauss(0, 1):.3f}", f"{draw.random():.3f}")
        lines.append(",".join((*cells, f"Hidden{draw.randint(1, 3)}", quoted(target))))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = make(tmp_path_factory.mktemp("report"), search=True)
    (found / "rows.csv").write_text(rows(), "utf-8")
    with (found / "conf" / "data" / "shop.yaml").open("a", encoding="utf-8") as file:
        file.write(f"positive: {json.dumps(YES)}\n{DATA}")
    return found


def ran(project: Path, *words: str, code: int = 0) -> Path:
    """The directory of a run."""
    answer = mlops(project, "run", "--json", "--quiet", *words)
    assert answer.code == code, answer.err + answer.out
    return project / str(answer.document["directory"])


@pytest.fixture(scope="module")
def searched(project: Path) -> Path:
    return ran(project, *SEARCH, f"evaluate.segments=[{json.dumps(MUSTACHE)}]")


@pytest.fixture(scope="module")
def failed(project: Path) -> Path:
    """A run whose gate is not met."""
    gates = "evaluate.gates={roc_auc: '>= 0.999'}"
    return ran(project, *QUICK, "evaluate.include=[confusion]", gates, code=6)


@pytest.fixture(scope="module")
def page(searched: Path) -> str:
    """The page of a search, which the tests that read one share."""
    file = searched.parent / "page.html"
    good(searched, "report", str(searched), "-o", str(file))
    return file.read_text("utf-8")


class Read(HTMLParser):
    """What a page consists of: tags with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, name: str) -> Iterator[str]:
        """The values of an attribute."""
        return (found[name] for _, found in self.tags if name in found)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def check_page(page: str) -> Read:
    """What holds of every page."""
    read = Read(page)
    known = {tag for tag, _ in read.tags}
    assert not known & {"script", "link", "iframe", "object", "embed", "base", "img", "image"}
    policy = [found for tag, found in read.tags if tag == "meta" and "http-equiv" in found]
    assert policy and policy[0]["content"].startswith("default-src 'none'")
    for place in (*read.of("href"), *read.of("src")):
        assert "//" not in place and ":" not in place, place
    assert not re.search(r"url\((?!#)|@import|https?://", page)
    assert not [name for _, found in read.tags for name in found if name.startswith("on")]
    ids = Counter(read.of("id"))
    assert ids and max(ids.values()) == 1
    inside = [place[1:] for place in read.of("href") if place.startswith("#")]
    inside += re.findall(r"url\(#([^)]+)\)", page)
    assert {*inside} <= {*ids}
    headings = [tag for tag, _ in read.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == "h1" and headings.count("h1") == 1 and "h2" in headings
    figures = sum(tag == "figure" for tag, _ in read.tags)
    told = [found for tag, found in read.tags if found.get("role") == "img"]
    assert figures == len(told) and all(found["aria-label"] for found in told)
    assert sum(tag == "svg" for tag, _ in read.tags) == figures
    assert page.count("<summary>The numbers: ") == figures
    assert "#0a00" not in page and "#0b00" not in page  # every colour is the style's
    return read


def test_a_search_is_told_whole(page: str, searched: Path) -> None:
    read = check_page(page)
    record = json.loads((searched / "record.json").read_text("utf-8"))
    best = record["best"]
    wanted = ["History", "Parallel coordinates", "Importance of parameters", "num_leaves",
              "learning_rate", "ROC curve", "Precision and recall", "Calibration",
              "Confusion matrix", "The plan", "Time per step", "Importance by gain",
              f"Best: trial {best['number']} with {best['objective']:.4g}", record["plan"],
              "4 trials, ran", "1 column marked sensitive"]  # fmt: skip
    assert [text for text in wanted if text not in read.text] == []
    for name, value in record["metrics"]["test"].items():
        assert name in read.text and f"{value:.4g}" in read.text
    for step in record["steps"]:
        assert step["name"] in read.text


def test_names_of_data_are_texts(page: str) -> None:
    text = Read(page).text
    for name in (MATHS, YES, NO, "<i>Oslo</i>", "{{ Rome }}"):
        assert name in text, name
    assert 'two lines "quoted"' in text and "{{ 7 * 7 }}" in text and "<script>" in text
    assert "mathdefault" not in page


def test_sensitive_columns_are_nowhere(page: str) -> None:
    assert SECRET not in page and "Hidden" not in page


def test_the_same_directory_gives_the_same_page_wherever_it_is(
    failed: Path, tmp_path: Path
) -> None:
    told = mlops_compile.report(failed)
    read = check_page(told)
    assert "✗ not met" in read.text and "roc_auc" in read.text and "What went wrong" in read.text
    assert "gate is not met" in read.text and "✗ failed" in read.text
    shutil.copytree(failed, tmp_path / "elsewhere")
    good(tmp_path, "report", "elsewhere", "-o", "deep/page.html")
    assert (tmp_path / "deep" / "page.html").read_text("utf-8") == told


def test_what_failed_is_told_with_its_log(project: Path) -> None:
    words = ("data.task=regression", f"data.target={json.dumps(MATHS)}", "data.positive=null")
    directory = ran(project, *QUICK, *words, "model.params.objective=gamma", code=5)
    read = check_page(mlops_compile.report(directory))
    record = json.loads((directory / "record.json").read_text("utf-8"))
    (step,) = [step for step in record["steps"] if step["status"] == "failed"]
    assert step["error"].split("\n")[0].split("  ")[0] in read.text
    assert f"logs/{step['name']}.log" in read.text and str(directory) not in read.text
    assert "did not run" in read.text


@pytest.fixture(scope="module")
def swept(project: Path) -> dict[str, Any]:
    """The document of a sweep of which half the points are wrong."""
    words = ("-m", "seed=1,2", "model=lightgbm,ridge", "execution.threads=1",
             "evaluate.bootstrap=null", "evaluate.include=[curves]")  # fmt: skip
    answer = mlops(project, "run", "--json", "--quiet", *words)
    assert answer.code == 3
    return answer.document


def links(page: Read) -> list[str]:
    return [place for place in page.of("href") if not place.startswith("#")]


def test_a_sweep(swept: dict[str, Any], tmp_path: Path) -> None:
    directory = Path(swept["directory"])
    good(tmp_path, "report", str(directory), "-o", "page.html")
    read = check_page((tmp_path / "page.html").read_text("utf-8"))
    for text in ("Sweep of 4 points", "2 done, 2 failed", "ridge is for regression", "seeds",
                 "Leaderboard", "All 4 points", "Time by kind of step", "ROC curve"):  # fmt: skip
        assert text in read.text, text
    line = swept["leaderboard"][0]
    assert f"{line['value']:.4g} ± {line['deviation']:.2g}" in read.text
    found = {(tmp_path / place).resolve() for place in links(read)}
    assert found == {(directory / str(n)).resolve() for n in range(4)}


@pytest.mark.slow
def test_a_sweep_elsewhere_and_one_of_another_launcher(
    swept: dict[str, Any], tmp_path: Path
) -> None:
    pages = []
    for name in ("here", "there"):
        shutil.copytree(swept["directory"], tmp_path / name)
        pages.append(mlops_compile.report(tmp_path / name, tmp_path / name / "page.html"))
    assert pages[0] == pages[1] and {*links(Read(pages[0]))} == {"0", "1", "2", "3"}
    # What another launcher leaves: the directories of the points alone.
    (tmp_path / "here" / "sweep.json").unlink()
    read = check_page(mlops_compile.report(tmp_path / "here"))
    assert "Sweep of 2 points" in read.text and "seed=1" in read.text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("report",), 2, "RUN"),
        (("report", "outputs"), 2, "-o"),
        (("report", "conf", "-o", "page.html"), 3, "not the directory of a run or sweep"),
        (("report", "nowhere", "-o", "page.html"), 3, "not the directory of a run or sweep"),
        (("report", "rows.csv", "-o", "page.html"), 3, "not the directory of a run or sweep"),
        (("report", "cut", "-o", "page.html"), 3, "takes up one that was cut off"),
        (("report", "broken", "-o", "page.html"), 3, "broken"),
        (("report", "swept", "-o", "page.html"), 3, "broken"),
        (("report", "RUN", "-o", "conf"), 3, "is a directory"),
        (("report", "RUN", "-o", "rows.csv/page.html"), 3, "cannot be written"),
    ],
)
def test_what_cannot_be_told(
    failed: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    make(tmp_path)
    (tmp_path / "cut" / ".hydra").mkdir(parents=True)
    shutil.copytree(failed, tmp_path / "broken")
    (tmp_path / "broken" / "record.json").write_text("{}")
    (tmp_path / "swept").mkdir()
    (tmp_path / "swept" / "sweep.json").write_text('{"format": 1, "points": [1]}')
    named = [str(failed) if word == "RUN" else word for word in words]
    before = sorted(tmp_path.rglob("*"))
    answer = mlops(tmp_path, *named)
    assert answer.code == code and said in answer.err and not answer.out, answer.err
    assert sorted(tmp_path.rglob("*")) == before


# What pages are made of


def step(name: str, *taken: str) -> Step:
    inputs = tuple((f"p{n}", Ref(step=other, output="out")) for n, other in enumerate(taken))
    return Step(name=name, kind="train", version=1, params=Map(), inputs=inputs, outputs=("out",))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_a_plan_stand_below_what_they_take_from_and_apart(seed: int) -> None:
    draws = random.Random(seed)
    names = [f"s{n}" for n in range(draws.randint(1, 14))]
    steps = [
        step(name, *draws.sample(names[:n], min(n, draws.randint(0, 3))))
        for n, name in enumerate(names)
    ]
    edges = edges_of(steps)
    svg = draw({name: Box(name=name, line="ran", status="ran") for name in names}, edges)
    places = [(float(x), float(y)) for x, y in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"', svg)]
    at = dict(zip(names, places, strict=True))
    for name, taken in edges.items():
        assert all(at[other][1] + 46 < at[name][1] for other in taken)
    for n, (x, y) in enumerate(places):
        assert all(abs(x - a) >= 150 or abs(y - b) >= 46 for a, b in places[:n])
    assert svg.count('class="edge"') == sum(map(len, edges.values()))
    # What an edge that is left out would say is said by a longer way.
    reach: dict[str, set[str]] = {}
    for one in steps:
        near = edges[one.name]
        reach[one.name] = near.union(*(reach[other] for other in near))
        assert {ref.step for _, ref in one.inputs} <= reach[one.name]


def test_of_many_trials_the_best_are_drawn_and_some_of_all_others() -> None:
    draws = random.Random(1)
    tries = tuple(
        Try(name=str(n), number=n, values={"a": n}, objective=draws.random() if n % 9 else None)
        for n in range(1000)
    )
    axes = (Axis(key="a"),)
    tried = Tried(what="trial", metric="rmse", maximize=False, tries=tries, axes=axes)
    drawn = tried.drawn
    assert len(drawn) == MOST_DRAWN == len({one.name for one in drawn})
    assert drawn[: MOST_DRAWN // 3] == tried.good[: MOST_DRAWN // 3]
    assert drawn[-1] in tried.good[-10:] and "300 of 888" in tried.thinned


def test_what_derives_from_a_sensitive_column_is_hidden_too() -> None:
    columns = Map({"race": Map({"sensitive": True}), "age": Map({"type": "numeric"})})
    derive = Map({"ratio": Map({"ratio": ("race", "age")}), "own": Map({"sum": ("age", "age")})})
    document = Map({"data": Map({"columns": columns}), "prepare": Map({"derive": derive})})
    secret = Secret.of(document)
    assert secret.names == ("race", "ratio")
    assert secret.text("race, raced, data.columns.race.type and own") == (
        "(sensitive), raced, data.columns.(sensitive).type and own"
    )
    assert secret.drawing("<text race='1'>race &amp; age</text>") == (
        "<text race='1'>(sensitive) &amp; age</text>"
    )
    assert secret.hides_feature("race#2") and not secret.hides_feature("age#2")


# In a browser


browsed = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (apt-get install it)")


def seen(page: str, folder: Path) -> None:
    """What must hold of a page on a phone and on a desk, in light and in dark."""
    colours = {}
    for width, dark in ((360, False), (360, True), (1200, False)):
        found = look(page, folder, width=width, dark=dark)
        answer: dict[str, Any] = found.answer
        assert answer["over"] == 0 and answer["beyond"] == [], (width, answer["beyond"])
        assert found.refused == () and "script" not in answer["tags"]
        assert all(tab == 0 and over == "auto" for tab, over in answer["boxes"])
        assert answer["small"] == 0
        colours[dark] = (*answer["colours"], answer["line"])
        assert contrast(*answer["colours"]) >= 7
    light, dark_ = colours[False], colours[True]
    assert all(one != other for one, other in zip(light, dark_, strict=True))


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours, `rgb(1, 2, 3)`."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
@browsed
def test_the_page_of_a_search_in_chromium(page: str, tmp_path: Path) -> None:
    seen(page, tmp_path)
    text = look(page, tmp_path, width=360).answer["text"]
    assert MATHS in text and YES in text and SECRET not in text


@pytest.mark.slow
@browsed
def test_a_thousand_trials_and_a_thousand_points(
    project: Path, searched: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    shutil.copytree(searched, many)
    record = json.loads((many / "record.json").read_text("utf-8"))
    draws = random.Random(2)
    record["trials"] = [
        {**draws.choice(record["trials"]), "number": n, "objective": draws.random()}
        for n in range(1, 1001)
    ]
    best = max(record["trials"], key=lambda trial: trial["objective"])
    record["best"] |= {"number": best["number"], "objective": best["objective"]}
    (many / "record.json").write_text(json.dumps(record), "utf-8")
    text = mlops_compile.report(many)
    check_page(text)
    assert "Drawn are 300 of 1,000" in text and len(text) < 1_000_000
    seen(text, tmp_path)

    words = ("-m", *QUICK, "model.params.num_leaves=3,5")
    swept = Path(mlops(project, "run", "--json", "--quiet", *words).document["directory"])
    document = json.loads((swept / "sweep.json").read_text("utf-8"))
    first, points = document["points"][0], []
    for n in range(1000):
        leaves = [f"model.params.num_leaves={n + 2}", f"model.params.max_depth={n % 7}"]
        own = {"point": n, "overrides": leaves, "directory": f"{document['directory']}/{n % 2}"}
        points.append({**first, **own, "objective": draws.random()})
    document["points"] = points
    document["leaderboard"] = [{"points": [*range(1000)], "metric": "roc_auc"}]
    (swept / "sweep.json").write_text(json.dumps(document), "utf-8")
    text = mlops_compile.report(swept)
    check_page(text)
    assert "Sweep of 1,000 points" in text and len(text) < 1_000_000
    seen(text, tmp_path)


def page_variables() -> dict[str, dict[str, str]]:
    """The colours of the page's style, by scheme."""
    place = Path(mlops_compile.__file__).resolve().parent
    folder = place / "templates" if (place / "templates").is_dir() else place.parent / "templates"
    style = (folder / "report" / "style.css.jinja").read_text("utf-8")
    light, dark = style.split("@media screen", 1)
    found = re.compile(r"--([\w-]+): (#[0-9a-f]{6})")
    return {"light": dict(found.findall(light)), "dark": dict(found.findall(dark))}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_what_is_behind_them(scheme: str) -> None:
    colours = {
        name: f"rgb({int(text[1:3], 16)}, {int(text[3:5], 16)}, {int(text[5:], 16)})"
        for name, text in page_variables()[scheme].items()
    }
    for behind in ("paper", "card"):
        for name in ("ink", "soft", "accent", "good", "bad"):
            assert contrast(colours[name], colours[behind]) >= 4.5, name
        for name, colour in colours.items():
            if name.startswith(("line-", "scale-")):
                assert contrast(colour, colours[behind]) >= 2.8, name
