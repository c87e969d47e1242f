"""What a run made: every output by digest, with times and the platform it ran on."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock, html_table
from mlops_compile.ir.lock_format import FORMAT, check_format
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.value import Map, Value, canonical, parse, pretty

Status: TypeAlias = Literal["ran", "hit", "failed", "skipped"]


# What of the evaluation a record repeats; the rest is in the run's evaluation.json.
SUMMARY = ("intervals", "segments")
RECORD_FILE = "record.json"  # of a run directory, once the run ended


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How a step ended. `action` is its action key, empty where it was never known.

    `seconds` is the wall time of the work, `memory` its peak in bytes (both of the earlier run, for
    a hit; 0: not known), `size` the bytes of all files of its outputs, `told` what it says of
    itself; none of these is compared. A failed step has its `problems`, the `exit_code`
    that they call for, and the file of its `log` if there is one.
    """

    step: str
    kind: str
    status: Status = field(compare=False)
    action: str = ""
    outputs: tuple[tuple[str, Digest], ...] = ()
    seconds: float = field(default=0.0, compare=False)
    memory: int = field(default=0, compare=False)
    size: int = field(default=0, compare=False)
    told: Map = field(default_factory=Map, compare=False)
    error: str = field(default="", compare=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    exit_code: int = field(default=0, compare=False)
    log: str = field(default="", compare=False)

    def output(self, port: str) -> Digest:
        return dict(self.outputs)[port]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A lock and what each of its steps made; `platform` is where, and is not compared.

    `metrics` is the content of the evaluate step's `metrics` output, by part; under `folds` is
    that of the summarise step, in a cross-validation; `evaluation` holds the `SUMMARY` of its
    `evaluation`. Of a search, `trials` are all that were tried, in order, each with its `number`,
    `params` (values by dotted key), `status` (ok or failed), `objective`, `deviation` and `each` (a
    number a fold), or `error` and `log`; `best` is the winner.
    """

    lock: Lock
    results: tuple[StepResult, ...]
    platform: Map = field(default_factory=Map, compare=False)
    metrics: Map = field(default_factory=Map)
    evaluation: Map = field(default_factory=Map)
    trials: tuple[Map, ...] = ()
    best: Map = field(default_factory=Map)

    def __getitem__(self, step: str) -> StepResult:
        for result in self.results:
            if result.step == step:
                return result
        raise KeyError(step)

    @property
    def ok(self) -> bool:
        return all(result.status in ("ran", "hit") for result in self.results)

    @property
    def model(self) -> str | None:
        """The model's digest, once a training step has made one."""
        return self._output("train", "model")

    @property
    def bundle(self) -> str | None:
        """The bundle's digest, once packaged."""
        return self._output("package", "bundle")

    def _output(self, kind: str, port: str) -> str | None:
        for result in self.results:
            # Steps of a fold, `fold/1/train`, are beside the plan's own.
            if result.kind == kind and "/" not in result.step and port in dict(result.outputs):
                return result.output(port).sha256
        return None

    def _repr_html_(self) -> str:
        rows = [
            (r.step, r.status, f"{r.seconds:.2f} s", ", ".join(p for p, _ in r.outputs))
            for r in self.results
        ]
        caption = f"run of plan {self.lock.digest[:12]}: {'ok' if self.ok else 'failed'}"
        return html_table(("step", "status", "time", "outputs"), rows, caption)


def results_value(record: RunRecord) -> tuple[Value, ...]:
    """The steps of the run document."""
    rows: list[Value] = []
    for result in record.results:
        row: dict[str, Value] = {
            "name": result.step,
            "kind": result.kind,
            "key": result.action,
            "status": result.status,
            "seconds": round(result.seconds, 3),
            "memory": result.memory,
            "outputs": Map({port: digest.to_dict() for port, digest in result.outputs}),
        }
        if result.size:
            row["size"] = result.size
        if len(result.told):
            row["told"] = result.told
        if result.error:
            row["error"] = result.error
        if result.log:
            row["log"] = result.log
        rows.append(Map(row))
    return tuple(rows)


def encode_record(record: RunRecord) -> str:
    """The text of a run directory's record.json."""
    value: dict[str, Value] = {
        "format": FORMAT,
        "plan": record.lock.digest,
        "platform": record.platform,
        "metrics": record.metrics,
        "evaluation": record.evaluation,
        "steps": results_value(record),
    }
    if record.trials:
        value |= {"trials": record.trials, "best": record.best}
    return pretty(Map(value))


def trials_csv(record: RunRecord) -> str:
    """The trials of a search as a csv text: a row a trial, a column a value."""
    params = [trial["params"] for trial in record.trials]
    names = sorted({name for values in params if isinstance(values, Map) for name in values})
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["number", "status", "objective", "deviation", *names, "error", "log"])
    for trial in record.trials:
        own = trial["params"]
        assert isinstance(own, Map)
        told = [trial.get(name) for name in ("number", "status", "objective", "deviation")]
        held = [own.get(name) for name in names]
        rows.writerow(
            [_cell(item) for item in (*told, *held, trial.get("error"), trial.get("log"))]
        )
    return text.getvalue()


def _cell(value: Value) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return canonical(value).decode("utf-8")


def decode_record(text: str, lock: Lock, name: str, plan: str = "") -> RunRecord:
    """The record of a run directory's text, beside its lock; `plan` is the digest of that as it
    was written, which may be in an older format. CompileError if it is broken."""
    try:
        value = parse(text)
        if not isinstance(value, Map):
            raise ValueError("no JSON object")
        check_format(value, name)
        if value["plan"] not in (lock.digest, plan):
            raise ValueError("it is of another plan than the lock beside it")
        steps, platform, metrics = value["steps"], value["platform"], value["metrics"]
        if not isinstance(steps, tuple) or not isinstance(platform, Map):
            raise ValueError("`steps` is a list and `platform` an object")
        results = tuple(result_of(row) for row in steps)
        evaluation = value.get("evaluation", Map())  # records of before it was kept have none
        if not isinstance(metrics, Map) or not isinstance(evaluation, Map):
            raise ValueError("`metrics` and `evaluation` are objects")
        trials, best = value.get("trials", ()), value.get("best", Map())
        if not isinstance(trials, tuple) or not isinstance(best, Map):
            raise ValueError("`trials` is a list and `best` an object")
        if not all(isinstance(trial, Map) for trial in trials):
            raise ValueError("a trial is an object")
    except (ValueError, KeyError, OverflowError) as error:
        hint = "run again to write a whole one"
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CompileError([problem("record", f"{name} is broken: {why}", hint=hint)]) from None
    return RunRecord(
        lock=lock,
        results=results,
        platform=platform,
        metrics=metrics,
        evaluation=evaluation,
        trials=tuple(trial for trial in trials if isinstance(trial, Map)),
        best=best,
    )


def result_of(row: Value) -> StepResult:
    """A step of a run document; ValueError, or KeyError, for what is none."""
    if not isinstance(row, Map):
        raise ValueError("a step is an object")
    outputs = row["outputs"]
    if not isinstance(outputs, Map):
        raise ValueError("`outputs` is an object")
    status = row["status"]
    if status not in ("ran", "hit", "failed", "skipped"):
        raise ValueError(f"{status!r} is no status")
    seconds = row["seconds"]
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise ValueError("`seconds` is a number")
    told = row.get("told", Map())
    if not isinstance(told, Map):
        raise ValueError("`told` is an object")
    return StepResult(
        step=_text(row, "name"),
        kind=_text(row, "kind"),
        status=status,  # type: ignore[arg-type]
        action=_text(row, "key"),
        outputs=tuple((port, Digest.from_dict(digest)) for port, digest in outputs.items()),
        seconds=float(seconds),
        memory=_whole(row["memory"], "memory"),
        size=_whole(row.get("size", 0), "size"),  # records of before it was kept have none
        told=told,
        error=_text(row, "error") if "error" in row else "",
        log=_text(row, "log") if "log" in row else "",
    )


def _whole(value: Value, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"`{name}` is a whole number")
    return value


def _text(row: Map, name: str) -> str:
    text = row[name]
    if not isinstance(text, str):
        raise ValueError(f"`{name}` is a text")
    return text
