"""Prometheus rules of a service: what of its metrics is an alert, as the config has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_compile.emit.bins import MISSING
from mlops_compile.emit.dns import dns_name
from mlops_compile.ir.reference import SCORE
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.monitoring import Monitor, seconds_of

# What a service does is looked at over this time; what it is asked, over `monitor.window`.
_SOON = "10m"
# The last bucket of durations below infinity, in seconds: quantiles are told up to there.
_LAST_BUCKET = 10
_ANSWERS = 'path=~"/predict|/v2/.+/infer"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: a query (PromQL) whose result is kept under a `name`, or is an alert of that name
    once it lasted for so long (`lasts`). `summary` and `description` are sentences, in which
    Prometheus fills in labels and values."""

    name: str
    query: str
    lasts: str = ""
    severity: str = ""
    summary: str = ""
    description: str = ""


def job_of(spec: ServingSpec) -> str:
    """The job under which Prometheus is to ask a service."""
    return dns_name(spec.name)


def records(spec: ServingSpec) -> tuple[Rule, ...]:
    """Rules that keep what alerts compare: over the window, of all processes together."""
    job, window = f'job="{job_of(spec)}"', monitor_of(spec).window
    return tuple(
        Rule(name=name, query=query)
        for name, query in (*_distances(job, window), *_gaps(job, window))
    )


def _distances(job: str, window: str) -> Iterator[tuple[str, str]]:
    """The population stability index of each column, and of the score."""
    there, own = f'{{{job}, bin!="{MISSING}"}}', f"{{{job}}}"
    share, half = "job_column_bin:mlops_reference_share:max", "job_column:mlops_bins:half"
    counts, rows = "job_column_bin:mlops_values:window", "job_column:mlops_values:window"
    now = "job_column_bin:mlops_values_share:window"
    yield share, f"max by (job, column, bin) (mlops_reference_share{there})"
    yield half, f"0.5 * count by (job, column) ({share}{own})"
    yield (
        counts,  # without bins of bundles that were served before
        f"sum by (job, column, bin) (increase(mlops_values_total{there}[{window}]))\n"
        f"and on (job, column, bin) {share}{own}",
    )
    yield rows, f"sum by (job, column) ({counts}{own})"
    yield (
        now,  # each bin with its share of half a value for each, so that none is impossible
        f"(\n  {counts}{own}\n  + on (job, column, bin)\n"
        f"  {share}{own} * on (job, column) group_left () {half}{own}\n)\n"
        f"/ on (job, column) group_left ()\n({rows}{own} + {half}{own})",
    )
    yield (
        "job_column:mlops_drift_psi:window",
        f"sum by (job, column) (\n  ({now}{own} - {share}{own})\n"
        f"  * ln({now}{own} / {share}{own})\n)",
    )


def _gaps(job: str, window: str) -> Iterator[tuple[str, str]]:
    """How many records there were, and which shares of the values of a column are missing, or of
    those that are there not as the data had them."""
    records, gone = "job:mlops_predictions:window", "job_column:mlops_values_missing:window"
    own = f"{{{job}}}"
    yield records, f"sum by (job) (increase(mlops_predictions_total{own}[{window}]))"
    for name in ("missing", "unseen", "out_of_range"):
        counted = f"job_column:mlops_values_{name}:window"
        yield (
            counted,
            f"sum by (job, column) (increase(mlops_values_{name}_total{own}[{window}]))",
        )
        whole = f"on (job) group_left () {records}{own}"
        if name != "missing":
            there = f"{records}{own} - on (job) group_right () {gone}{own}"
            whole = f"on (job, column) ({there})"
        yield f"job_column:mlops_values_{name}_share:window", f"{counted}{own}\n/ {whole}"


def service_alerts(spec: ServingSpec) -> tuple[Rule, ...]:
    """What is an alert of how a service does, the most urgent first."""
    return tuple(_service(monitor_of(spec), f'job="{job_of(spec)}"', _plain(spec.name)))


def data_alerts(spec: ServingSpec) -> tuple[Rule, ...]:
    """What is an alert of what it is asked and answers."""
    told = monitor_of(spec), f'job="{job_of(spec)}"', _plain(spec.name)
    return (*_volume(*told), *_breaks(*told), *_drift(*told))


def _service(monitor: Monitor, job: str, name: str) -> Iterator[Rule]:
    yield Rule(
        name="MlopsServiceDown",
        query=f"sum(up{{{job}}}) == 0 or absent(up{{{job}}})",
        lasts="2m",
        severity="critical",
        summary=f"{name} is down.",
        description=f"Prometheus reaches no process of {name}.",
    )
    rate = f"sum(rate(mlops_http_requests_total{{{job}, {_ANSWERS}"
    yield Rule(
        name="MlopsErrors",
        query=f'{rate}, status=~"5.."}}[{_SOON}]))\n/ {rate}}}[{_SOON}]))\n'
        f"> {monitor.most_errors!r}",
        lasts="5m",
        severity="critical",
        summary=f"{name} fails.",
        description="{{ $value | humanizePercentage }} of the requests for answers failed (status"
        f" 5xx) in the last {_SOON}; {_percent(monitor.most_errors)} is allowed.",
    )
    if monitor.most_seconds is not None and monitor.most_seconds < _LAST_BUCKET:
        bucket = f"mlops_http_request_duration_seconds_bucket{{{job}, {_ANSWERS}}}"
        yield Rule(
            name="MlopsLatency",
            query=f"histogram_quantile(0.99, sum by (le) (rate({bucket}[{_SOON}])))\n"
            f"> {monitor.most_seconds!r}",
            lasts="5m",
            severity="warning",
            summary=f"{name} is slow.",
            description="One of 100 requests for answers took {{ $value | humanizeDuration }} or"
            f" more in the last {_SOON}; {monitor.most_seconds:.4g} s is allowed.",
        )
    yield Rule(
        name="MlopsLogDropped",
        query=f"sum by (reason) (increase(mlops_log_dropped_total{{{job}}}[{_SOON}])) > 0",
        severity="warning",
        summary=f"{name} loses predictions.",
        description='{{ $value | printf "%.0f" }} records were answered and not logged in the last'
        f" {_SOON} ({{{{ $labels.reason }}}}): full is the queue, failed the disk. Nothing can be"
        " monitored of them.",
    )


def _volume(monitor: Monitor, job: str, name: str) -> Iterator[Rule]:
    if "volume" not in monitor.alerts:
        return
    days = seconds_of(monitor.window) / 86_400
    a_day = f"job:mlops_predictions:window{{{job}}} / {days!r}"
    ends = (("Low", "<", monitor.least_volume), ("High", ">", monitor.most_volume))
    for end, beyond, threshold in ends:
        if threshold is None:
            continue
        query = f"{a_day}\n{beyond} {threshold!r}"
        if end == "Low":  # of a service that is younger than the window nothing is known
            query += f"\nand on (job) count by (job) (up{{{job}}} offset {monitor.window})"
        yield Rule(
            name=f"MlopsVolume{end}",
            query=query,
            lasts="5m",
            severity="warning",
            summary=f"{name} is asked {'less' if end == 'Low' else 'more'} than usual.",
            description='{{ $value | printf "%.4g" }} records a day were answered in the last'
            f" {monitor.window}; {threshold:.4g} is the {'least' if end == 'Low' else 'most'}.",
        )


def _drift(monitor: Monitor, job: str, name: str) -> Iterator[Rule]:
    psi = f"job_column:mlops_drift_psi:window{{{job}, column%s}}"
    enough = f"job_column:mlops_values:window{{{job}}} >= {monitor.least_rows}"
    far, known = f"{psi} >= {monitor.drift.psi!r}", f"and on (job, column) {enough}"
    allowed = f"{monitor.drift.psi:.4g} is allowed."
    said = 'is {{ $value | printf "%.3g" }} over the last ' + f"{monitor.window}; {allowed}"
    columns, score = f'!="{SCORE}"', f'="{SCORE}"'
    if "drift" in monitor.alerts:
        yield Rule(
            name="MlopsDrift",
            query=f"{far % columns}\n{known}",
            lasts="10m",
            severity="warning",
            summary=f"{{{{ $labels.column }}}} of {name} drifted.",
            description="The population stability index of {{ $labels.column }} against the data"
            f" that the model learned from {said}",
        )
    if "dataset" in monitor.alerts:
        yield Rule(
            name="MlopsDataDrift",
            query=f"count by (job) ({far % columns}\n  {known})\n/ count by (job)"
            f" ({psi % columns}\n  {known})\n>= {monitor.drift.columns!r}",
            lasts="10m",
            severity="warning",
            summary=f"The data of {name} drifted.",
            description="{{ $value | humanizePercentage }} of the columns drifted over the last"
            f" {monitor.window}, each by a population stability index of {monitor.drift.psi:.4g} or"
            " more.",
        )
    if "score" in monitor.alerts:
        yield Rule(
            name="MlopsScoreDrift",
            query=f"{far % score}\n{known}",
            lasts="10m",
            severity="warning",
            summary=f"The answers of {name} drifted.",
            description=f"The population stability index of the score against the test rows {said}",
        )


def _breaks(monitor: Monitor, job: str, name: str) -> Iterator[Rule]:
    asked = monitor.breaks
    before = f'max by (job, column) (mlops_reference_share{{{job}, bin="{MISSING}"}})'
    enough = f"and on (job) job:mlops_predictions:window{{{job}}} >= {monitor.least_rows}"
    more = "are missing, more than in the data that the model learned from"
    kinds = (
        ("missing", "missing", "Missing", asked.missing, more),
        ("unseen", "unseen", "Unseen", asked.unseen, "are levels that the data had not"),
        ("range", "out_of_range", "OutOfRange", asked.range, "are beyond those of the data"),
    )
    for kind, measured, title, threshold, words in kinds:
        if kind not in monitor.alerts:
            continue
        share = f"job_column:mlops_values_{measured}_share:window{{{job}}}"
        if kind == "missing":
            share = f"({share} - on (job, column) {before})"
        compared = ""  # times move on, unless monitor.times says otherwise
        if kind == "range":
            compared = f"\nand on (job, column) job_column:mlops_bins:half{{{job}}}"
        yield Rule(
            name=f"Mlops{title}",
            query=f"{share} {'>=' if threshold else '>'} {threshold!r}{compared}\n{enough}",
            lasts="10m",
            severity="warning",
            summary=f"{{{{ $labels.column }}}} of {name} broke.",
            description="{{ $value | humanizePercentage }} of the values of {{ $labels.column }}"
            f" {words}, over the last {monitor.window}; {_percent(threshold)} is allowed.",
        )


def monitor_of(spec: ServingSpec) -> Monitor:
    """When a service is to be looked at."""
    return from_value(Monitor, spec.served.monitor)


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _plain(text: str) -> str:
    """A text in which Prometheus fills nothing in, in one line."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line.replace("{{", '{{ "{{" }}')
