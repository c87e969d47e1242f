"""`monitor` and `feedback` by the command line: what they print, write, and how they end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.living import AFTER, START, WEEK, WORDS, lived
from tests.project import Answer, good, mlops
from tests.test_report import browsed, seen

QUIET, LOUD = (START + WEEK).isoformat(), AFTER


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived(tmp_path_factory.mktemp("monitor") / "project")


def monitor(project: Path, until: str, *words: str) -> Answer:
    return mlops(project, "monitor", "shop", "--until", until, *words, *WORDS)


def test_a_stable_week_is_no_alert(project: Path) -> None:
    answer = monitor(project, QUIET)
    assert answer.code == 0, answer.out
    assert answer.out.startswith("shop: no alert: 700 rows from 2026-01-01T00:00:00Z to ")
    assert "feedback: truths of 1,400 ids, 700 in this window" in answer.out


def test_a_unit_that_changed_is_an_alert(project: Path) -> None:
    answer = monitor(project, LOUD)
    assert answer.code == 8
    assert "! amount drifted:" in answer.out and "! amount: 100 % of 700 rows are" in answer.out
    assert "! age" not in answer.out and "! city" not in answer.out


def test_the_document(project: Path) -> None:
    document = monitor(project, LOUD, "--json").document
    assert (document["rows"], document["alert"]) == (700, True)
    assert document["window"] == {"start": "2026-01-08T00:00:00Z", "end": "2026-01-15T00:00:00Z"}
    by_test = {(f["kind"], f["feature"], f["test"]): f for f in document["findings"]}
    drift = by_test["drift", "amount", "wasserstein"]
    assert drift["alert"] and drift["value"] > drift["threshold"] == 0.1
    assert not by_test["drift", "age", "wasserstein"]["alert"]
    performance = document["performance"]
    assert performance["labelled"] == 700
    assert {"roc_auc"} <= {*performance["reference"]} & {*performance["real"]}
    assert document["read"]["feedback"]["ids"] == 1400


def test_thresholds_come_from_the_config(project: Path) -> None:
    off = "monitor.alerts=[volume]"
    assert monitor(project, LOUD, off).code == 0
    few = monitor(project, LOUD, off, "monitor.least_volume=1000")
    assert few.code == 8 and "100 a day" in few.out
    wrong = monitor(project, LOUD, "monitor.window=soon")
    assert wrong.code == 3 and "monitor.window" in wrong.err and "6h, 7d, 4w" in wrong.err


def test_a_window_without_rows_tells_it(project: Path) -> None:
    answer = monitor(project, "2030-01-01")
    assert answer.code == 0 and "0 rows" in answer.out
    assert monitor(project, "2030-01-01", "monitor.least_volume=1").code == 8


def test_as_markdown(project: Path) -> None:
    text = monitor(project, LOUD, "--format", "markdown").out
    assert text.startswith("### shop: ") and "- **amount drifted" in text
    assert "<details>" in text and "| Drift: age | ks |" in text


def test_the_page_is_the_same_each_time_and_loads_nothing(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert monitor(project, LOUD, "--html", str(file)).code == 8
    text = file.read_text("utf-8")
    assert "src=" not in text and "amount drifted" in text
    assert "from the service&#39;s log" in text and "measured anew" not in text
    again = tmp_path / "again.html"
    monitor(project, LOUD, "--html", str(again))
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.slow
@browsed
def test_the_page_in_chromium(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    monitor(project, LOUD, "--html", str(file))
    seen(file.read_text("utf-8"), tmp_path)


def test_what_is_not_there_is_said(project: Path) -> None:
    lost = mlops(project, "monitor", "shop", "--log", "nowhere")
    assert lost.code == 3 and "nowhere cannot be read: it is not there" in lost.err
    unnamed = mlops(project, "monitor", "shop")
    assert unnamed.code == 2 and "monitor.log names no log" in unnamed.err
    assert mlops(project, "monitor", "shop:9", *WORDS).code == 2


def test_feedback_from_a_file(project: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    for file in (copy / "log").glob("feedback-*"):
        file.unlink()
    (copy / "truths.csv").write_text("order,target\nw0-0,yes\nw0-1,no\nnever,no\n", "utf-8")
    words = ("feedback", "shop", "truths.csv", "--id", "order", "--truth", "target", *WORDS)
    assert "3 truths of truths.csv kept in" in good(copy, *words).out
    assert "in the log already" in good(copy, *words).out
    told = monitor(copy, QUIET, "--json").document["read"]["feedback"]
    assert (told["ids"], told["labelled"], told["unknown"]) == (3, 2, 1)
    (copy / "bad.csv").write_text("id,truth\nw0-2,perhaps\n", "utf-8")
    bad = mlops(copy, "feedback", "shop", "bad.csv", *WORDS)
    assert bad.code == 3 and "row 1 has the truth 'perhaps'" in bad.err
    assert len([*(copy / "log").glob("feedback-*")]) == 1
