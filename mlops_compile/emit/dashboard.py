"""The Grafana dashboard of a service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlops_compile.emit.alerts import job_of, monitor_of
from mlops_compile.emit.bins import MISSING
from mlops_compile.ir.reference import SCORE
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.monitoring import Monitor

_SCHEMA_VERSION = 41
_COLUMNS, _HEIGHT = 24, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_ANSWERS = 'path=~"/predict|/v2/.+/infer"'
Panel = dict[str, Any]


def dashboard(spec: ServingSpec) -> Map:
    """A dashboard as Grafana imports it. Its variables: the data source and the job."""
    found: Any = freeze(
        {
            "uid": f"mlops-{job_of(spec)}"[:40],
            "title": spec.name,
            "description": f"What is asked of {spec.name}, and what it answers.",
            "tags": ["mlops_compile"],
            "schemaVersion": _SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "time": {"from": "now-24h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": _variables(job_of(spec))},
            "annotations": {"list": []},
            "links": [],
            "panels": _placed([*_panels(monitor_of(spec))]),
        }
    )
    return Map(found)


def _variables(job: str) -> list[Panel]:
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
        },
        {
            "name": "job",
            "label": "Job",
            "type": "constant",
            "query": job,
            "current": {"text": job, "value": job},
            "hide": 2,
        },
    ]


def _panels(monitor: Monitor) -> Iterator[Panel]:
    """The panels, each with its width."""
    yield from _traffic(monitor)
    yield from _drift(monitor)
    yield from _kept()


def _traffic(monitor: Monitor) -> Iterator[Panel]:
    """What is asked, and how it is answered."""
    http, answers = "mlops_http_requests_total{%s}", f'job="$job", {_ANSWERS}'
    bucket = f"mlops_http_request_duration_seconds_bucket{{{answers}}}{_RATE}"
    yield _stat("Up", [('sum(up{job="$job"})', "")])
    yield _stat("Workers", [('sum(mlops_workers{job="$job"})', "")])
    yield _stat("Records answered", [(_increase("mlops_predictions_total"), "")], "short")
    yield _stat("Feedback", [(_increase("mlops_feedback_total"), "")], "short")
    yield _stat("In progress", [('sum(mlops_http_requests_in_progress{job="$job"})', "")])
    yield _stat("Model", [('mlops_bundle_info{job="$job"}', "{{model}}")], names=True)
    yield _lines(
        "Requests",
        [(f"sum by (path) (rate({http % _JOB}{_RATE}))", "{{path}}")],
        "reqps",
        about="Requests a second, by path.",
    )
    failed = answers + ', status=~"%s.."'
    yield _lines(
        "Errors",
        [
            (
                f"sum by (status) (rate({http % (failed % digit)}{_RATE}))\n"
                f"/ on () group_left () sum(rate({http % answers}{_RATE}))",
                "{{status}}",
            )
            for digit in "45"
        ],
        "percentunit",
        about="Share of the requests for answers, by status. 4xx are refused, 5xx failed.",
        threshold=monitor.most_errors,
    )
    yield _lines(
        "Latency",
        [
            (f"histogram_quantile({part}, sum by (le) (rate({bucket})))", f"p{100 * part:g}")
            for part in (0.5, 0.9, 0.99)
        ],
        "s",
        about="Seconds to an answer.",
        threshold=monitor.most_seconds,
    )
    yield _lines(
        "Predictions",
        [(f"sum by (class) (rate(mlops_predictions_total{{{_JOB}}}{_RATE}))", "{{class}}")],
        "short",
        about="Records answered a second, by class.",
    )
    buckets = f"mlops_prediction_score_bucket{{{_JOB}}}[$__range]"
    yield {
        **_bars("Scores", [(f"sum by (le) (increase({buckets}))", "{{le}}", "heatmap")]),
        "description": "Scores over the shown time, by the upper edge of their bucket.",
    }


def _drift(monitor: Monitor) -> Iterator[Panel]:
    """Beside the reference: the values of columns, and what is answered."""
    yield _lines(
        "Drift by column",
        [(f"mlops_drift_psi{{{_JOB}}}", "{{column}}")],
        about="Population stability index of the latest records (10,000 of each process at most).",
        threshold=monitor.drift.psi,
    )
    window = f"[{monitor.window}]"
    yield _bars(
        f"Drift over {monitor.window}",
        [(f"sort_desc(job_column:mlops_drift_psi:window{{{_JOB}}})", "{{column}}", "time_series")],
        about="Population stability index, as the rules of alerts.yaml have it.",
        threshold=monitor.drift.psi,
    )
    for name, title in (
        ("missing", "Missing values"),
        ("unseen", "Unseen levels"),
        ("out_of_range", "Values out of range"),
    ):
        share = f"sum by (column) (rate(mlops_values_{name}_total{{{_JOB}}}{_RATE}))"
        records = f"sum(rate(mlops_predictions_total{{{_JOB}}}{_RATE}))"
        yield _lines(
            title,
            [(f"{share}\n/ on () group_left () {records}", "{{column}}")],
            "percentunit",
            about="Share of the records, by column.",
        )
    score = f'{_JOB}, column="{SCORE}", bin!="{MISSING}"'
    yield _bars(
        "Scores beside the reference",
        [
            (
                f"max by (bin) (mlops_reference_share{{{score}}})",
                "reference {{bin}}",
                "time_series",
            ),
            (
                f"sum by (bin) (increase(mlops_values_total{{{score}}}{window}))\n"
                f"/ on () group_left () sum(increase(mlops_values_total{{{score}}}{window}))",
                "now {{bin}}",
                "time_series",
            ),
        ],
        "percentunit",
        about=f"Shares of the bins, in the test rows and over {monitor.window}.",
    )


def _kept() -> Iterator[Panel]:
    """What is logged, and who works."""
    yield _lines(
        "Log",
        [
            (f"sum(rate(mlops_log_records_total{{{_JOB}}}{_RATE}))", "written"),
            (
                f"sum by (reason) (rate(mlops_log_dropped_total{{{_JOB}}}{_RATE}))",
                "lost: {{reason}}",
            ),
            (f"sum(mlops_log_queued{{{_JOB}}})", "waiting"),
        ],
        about="Records a second that are written and lost, and those that wait.",
    )
    yield _lines(
        "Feedback and workers",
        [
            (f"sum(rate(mlops_feedback_total{{{_JOB}}}{_RATE}))", "truths a second"),
            (f"sum(mlops_workers{{{_JOB}}})", "workers"),
        ],
    )


_JOB, _RATE = 'job="$job"', "[$__rate_interval]"


def _increase(name: str) -> str:
    return f"sum(increase({name}{{{_JOB}}}[$__range]))"


def _panel(kind: str, title: str, queries: Sequence[tuple[str, ...]], width: int) -> Panel:
    targets = []
    for place, (query, legend, *form) in enumerate(queries):
        target = {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": query}
        targets.append({**target, "legendFormat": legend, **({"format": form[0]} if form else {})})
    return {
        "type": kind,
        "title": title,
        "datasource": _SOURCE,
        "targets": targets,
        "gridPos": {"w": width},
    }


def _field(unit: str, threshold: float | None = None) -> Panel:
    steps: list[Panel] = [{"color": "green", "value": None}]
    custom: Panel = {}
    if threshold is not None:
        steps.append({"color": "red", "value": threshold})
        custom = {"thresholdsStyle": {"mode": "dashed"}}
    limits = {"mode": "absolute", "steps": steps}
    return {
        "defaults": {"unit": unit, "min": 0, "thresholds": limits, "custom": custom},
        "overrides": [],
    }


def _stat(
    title: str, queries: Sequence[tuple[str, ...]], unit: str = "none", names: bool = False
) -> Panel:
    found = _panel("stat", title, queries, 4)
    found["fieldConfig"] = _field(unit)
    found["options"] = {
        "textMode": "name" if names else "auto",
        "graphMode": "none",
        "colorMode": "none" if names else "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    if names:
        found["targets"][0]["instant"] = True
    return found


def _lines(
    title: str,
    queries: Sequence[tuple[str, ...]],
    unit: str = "short",
    about: str = "",
    threshold: float | None = None,
) -> Panel:
    found = _panel("timeseries", title, queries, 8)
    found["description"] = about
    found["fieldConfig"] = _field(unit, threshold)
    found["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return found


def _bars(
    title: str,
    queries: Sequence[tuple[str, ...]],
    unit: str = "short",
    about: str = "",
    threshold: float | None = None,
) -> Panel:
    found = _panel("bargauge", title, queries, 8)
    found["description"] = about
    found["fieldConfig"] = _field(unit, threshold)
    del found["fieldConfig"]["defaults"]["custom"]
    for target in found["targets"]:
        target["instant"] = True
    found["options"] = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return found


def _placed(panels: list[Panel]) -> list[Panel]:
    """With ids and places, row by row."""
    x = y = 0
    found: list[Panel] = []
    for number, panel in enumerate(panels, 1):
        width = panel["gridPos"]["w"]
        height = 4 if panel["type"] == "stat" else _HEIGHT
        if x + width > _COLUMNS:
            x, y = 0, y + found[-1]["gridPos"]["h"]
        place = {"x": x, "y": y, "w": width, "h": height}
        found.append({"id": number, **panel, "gridPos": place})
        x += width
    return found
