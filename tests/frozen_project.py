"""The frozen project (tests/frozen/project): its cases, their locks, and what was made of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import mlops_compile as mc
from mlops_compile.api import compiling
from mlops_compile.api.searching import Searched, search_step
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import action_preimage, key_of
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.record import RunRecord
from mlops_compile.ir.sweep import decode_sweep
from mlops_compile.ir.value import Map, canonical, parse, pretty
from mlops_compile.steps.kinds import KINDS
from mlops_compile.store.actions import Action, Records

PLACE = Path(__file__).parent / "frozen" / "project"
LOCKS, MADE, CASES = PLACE / "plans.json", PLACE / "made.jsonl", PLACE / "cases.json"
_COMMON = {
    "defaults": [{"prepare": "auto"}, {"deploy": "http"}, {"store": "local"}, "_self_"],
    "execution": {"workers": 1, "threads": 1},
}


def cases() -> Mapping[str, Any]:
    """The config of each case."""
    found: Mapping[str, Any] = json.loads(CASES.read_text("utf-8"))
    return found


def locks() -> Mapping[str, Lock]:
    """The lock of each case, as it was written; in one document, as those of a sweep are."""
    value = parse(LOCKS.read_text("utf-8"))
    assert isinstance(value, Map)
    return {point.overrides[0]: point.lock for point in decode_sweep(value, LOCKS.name).points}


@dataclass(frozen=True)
class Made:
    """What was made: the platform; of each case the action key of each step, and of a search its
    trials and the best of them; and of each action what it was made of, and its outputs."""

    platform: Map
    cases: Mapping[str, Map]
    actions: Mapping[str, Map]

    @classmethod
    def read(cls) -> Made:
        platform, *rows = (parse(line) for line in MADE.read_text("utf-8").splitlines())
        assert isinstance(platform, Map)
        found: dict[str, dict[str, Map]] = {"case": {}, "action": {}}
        for row in rows:
            assert isinstance(row, Map)
            for sort in found:
                if sort in row:
                    found[sort][str(row[sort])] = row
        return cls(platform, found["case"], found["action"])

    @property
    def text(self) -> str:
        """A line each, so that a change of one is a change of a line."""
        rows = [self.platform, *self.cases.values(), *self.actions.values()]
        return "".join(canonical(row).decode("utf-8") + "\n" for row in rows)

    def outputs(self, key: str) -> Mapping[str, Digest]:
        """What an action made."""
        found = self.actions[key]["outputs"]
        assert isinstance(found, Map)
        return {port: Digest.from_dict(item) for port, item in found.items()}


def action_row(key: str, action: Action) -> Map:
    """An action of a store, as it is kept; versions of distributions are in the locks."""
    causes = {name: item for name, item in action.preimage.items() if name != "environment"}
    causes.pop("platform", None)
    outputs = Map({port: digest.to_dict() for port, digest in action.outputs})
    return Map({"action": key, "preimage": Map(causes), "outputs": outputs})


def case_row(name: str, record: RunRecord) -> Map:
    """What the run of a case tells."""
    steps = Map({result.step: result.action for result in record.results})
    trials = tuple(trial["params"] for trial in record.trials)
    return Map({"case": name, "steps": steps, "trials": trials, "best": record.best})


# Making it


@contextmanager
def project_of(name: str, root: Path) -> Iterator[Path]:
    """A copy of the project below a directory, with the config of a case; no store yet."""
    project = root / name
    shutil.copytree(PLACE, project, ignore=shutil.ignore_patterns("*.json", MADE.name))
    (project / "conf").mkdir()
    config = json.dumps({**_COMMON, **cases()[name]})  # JSON is YAML
    (project / "conf" / "config.yaml").write_text(config, "utf-8")
    yield project
    shutil.rmtree(project)


def made_of(name: str, root: Path, workers: mc.Workers) -> tuple[RunRecord, Mapping[str, Action]]:
    """The run of a case in an empty store, and all that is in that then."""
    with project_of(name, root) as project:
        record = mc.run((), project=project, workers=workers)
        records = Records(project / ".mlops" / "store")
        return record, {key: records.examine(key) for key in sorted(records.every_key())}


def compiled(name: str, root: Path, versions: Mapping[str, str]) -> Lock:
    """The lock that a case has by today's code, over distributions of these versions; those that
    are not among them are as they are installed."""
    installed = compiling.needed_version
    with (
        project_of(name, root) as project,
        mock.patch.object(
            compiling, "needed_version", lambda one: versions.get(one) or installed(one)
        ),
    ):
        return mc.compile((), project=project)


# Keys by today's code


@dataclass
class Walk:
    """The action keys that today's code gives to the steps of a case's lock, over what was made
    then. `raised` are step kinds that have another version by now: their results are made anew, so
    that nothing is claimed of their keys; nor of what takes results that are not known."""

    made: Made
    case: Map
    raised: frozenset[str]

    def __post_init__(self) -> None:
        self.checked: list[str] = []
        self.wrong: list[str] = []

    def lock(self, lock: Lock) -> None:
        """Go through all steps of a lock, the trials of its search, and those of its winner."""
        if search_step(lock) is None:
            self._steps(lock, lock.plan.steps, {})
            return
        searched = Searched.of(lock)
        known = self._steps(lock, searched.before.steps, {})
        trials, best = self.case["trials"], self.case["best"]
        assert isinstance(trials, tuple) and isinstance(best, Map)
        for number, params in enumerate(trials, start=1):
            assert isinstance(params, Map)
            steps, problems = searched.trial(searched.space.values(params), number)
            assert not problems
            self._steps(lock, steps, known)
        self._steps(lock, (searched.step,), known)
        winner = searched.winner(best)
        self._steps(winner, winner.plan.steps, {})

    def _steps(
        self, lock: Lock, steps: tuple[Step, ...], known: Mapping[str, Mapping[str, Digest]]
    ) -> Mapping[str, Mapping[str, Digest]]:
        """The outputs of steps by name, with those that are known."""
        found = dict(known)
        for step in steps:
            if all(ref.step in found for _, ref in step.inputs):
                inputs = {port: found[ref.step][ref.output] for port, ref in step.inputs}
                if (outputs := self._outputs(lock, step, inputs)) is not None:
                    found[step.name] = outputs
        return found

    def _outputs(
        self, lock: Lock, step: Step, inputs: Mapping[str, Digest]
    ) -> Mapping[str, Digest] | None:
        """What was made of a step; None where that is not known."""
        keys = self.case["steps"]
        assert isinstance(keys, Map)
        kept = keys.get(step.name)
        if step.kind in self.raised:
            return self.made.outputs(str(kept)) if kept is not None else None
        needs = KINDS[step.kind].needs(step.params)
        preimage = action_preimage(lock, step, needs, inputs, self.made.platform)
        key = key_of(preimage)
        self.checked.append(step.name)
        if key in self.made.actions and kept in (key, None):
            return self.made.outputs(key)
        then = self.made.actions.get(str(kept))
        was = pretty(then["preimage"]) if then is not None else "(no step was called that)"
        self.wrong.append(f"{step.name}: then {was}, now {pretty(preimage)}")
        return None


def raised_kinds(found: Mapping[str, Lock]) -> frozenset[str]:
    """The step kinds of locks that have another version today."""
    steps = (step for lock in found.values() for step in lock.plan.steps)
    return frozenset(step.kind for step in steps if KINDS[step.kind].version != step.version)
