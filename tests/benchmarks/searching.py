"""Rows of searches: trials beside a hand-written Optuna loop, a grid beside Hydra with joblib; a
trial beyond its fit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.benchmarks.engine import ADULT, adult
from tests.benchmarks.pairs import Command, Pair, Row, compare, environment

SCRIPT = """
import sys

import lightgbm
import numpy as np
import optuna
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split

file, columns, trials, folds, rounds = sys.argv[1:]
frame = pd.read_csv(
    file, header=None, names=columns.split(","), na_values="?", skipinitialspace=True
)
y = (frame.pop("income") == ">50K").astype(int).to_numpy()
for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
    frame[name] = frame[name].astype("category")
x_train, x_test, y_train, y_test = train_test_split(frame, y, test_size=0.2, stratify=y)
split = StratifiedKFold(int(folds), shuffle=True, random_state=0).split(x_train, y_train)
parts = list(split)
fixed = dict(
    objective="binary", verbosity=-1, num_threads=1, deterministic=True, force_col_wise=True
)


def fitted(params, x, y):
    return lightgbm.train(fixed | params, lightgbm.Dataset(x, y), int(rounds))


def objective(trial):
    params = dict(
        num_leaves=trial.suggest_int("num_leaves", 8, 64, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.4, 1.0),
    )
    scores = []
    for train, test in parts:
        model = fitted(params, x_train.iloc[train], y_train[train])
        scores.append(roc_auc_score(y_train[test], model.predict(x_train.iloc[test])))
    return np.mean(scores)


optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(
    direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
)
study.optimize(objective, int(trials))
model = fitted(study.best_params, x_train, y_train)
print(study.best_value, roc_auc_score(y_test, model.predict(x_test)))
"""
_ROUNDS = 100
# A training script as an app of Hydra, whose sweep joblib runs: each job reads and trains.
APP = """
import hydra
import lightgbm
import numpy as np
import pandas as pd
from omegaconf import DictConfig
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    frame = pd.read_csv(
        config.file, header=None, names=config.columns, na_values="?", skipinitialspace=True
    )
    y = (frame.pop("income") == ">50K").astype(int).to_numpy()
    for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
        frame[name] = frame[name].astype("category")
    x, _, y, _ = train_test_split(frame, y, test_size=0.2, stratify=y, random_state=0)
    scores = []
    for train, test in StratifiedKFold(config.folds, shuffle=True, random_state=0).split(x, y):
        data = lightgbm.Dataset(x.iloc[train], y[train])
        model = lightgbm.train(dict(config.params), data, config.rounds)
        scores.append(roc_auc_score(y[test], model.predict(x.iloc[test])))
    return float(np.mean(scores))


if __name__ == "__main__":
    main()
"""
APP_CONFIG = """
defaults: [{override hydra/launcher: joblib}]
hydra: {launcher: {n_jobs: 2}}
params:
  objective: binary
  verbosity: -1
  num_threads: 1
  deterministic: true
  force_col_wise: true
"""
# Ten by ten.
LEAVES = (8, 10, 13, 16, 20, 25, 32, 40, 51, 64)
RATES = (0.02, 0.027, 0.037, 0.049, 0.067, 0.09, 0.12, 0.16, 0.22, 0.3)


def _words(trials: int, folds: int, workers: int, rounds: int = _ROUNDS) -> tuple[str, ...]:
    below = "search.space.model.params"
    return (
        *(sys.executable, "-m", "mlops_compile", "run", "--json", "--quiet", "-j", str(workers)),
        *("search=tpe", f"search.trials={trials}", f"search.cv.folds={folds}"),
        *("search.metric=roc_auc", "execution.threads=1", f"model.params.num_iterations={rounds}"),
        f"{below}.num_leaves={{low: 8, high: 64, log: true}}",
        f"{below}.learning_rate={{low: 0.02, high: 0.3, log: true}}",
        f"{below}.feature_fraction={{low: 0.4, high: 1.0}}",
    )


def _project(directory: Path, file: Path) -> Path:
    made = [sys.executable, "-m", "mlops_compile", "init", "adult", "--data", str(file)]
    made += ["--target", "income", "--columns", ADULT]
    subprocess.run(made, cwd=directory, env=dict(environment()), check=True, capture_output=True)
    return directory / "adult"


def trials(directory: Path, runs: int, *, count: int, folds: int, workers: int) -> Pair:
    """A search on adult from nothing, refitted, evaluated and packaged, beside a loop that reads,
    searches on one core, refits and evaluates."""
    file = adult(1)
    project = _project(directory, file)
    script = directory / "script.py"
    script.write_text(SCRIPT)
    told = (str(file), ADULT, str(count), str(folds), str(_ROUNDS))
    try:
        ours = Command(
            words=_words(count, folds, workers),
            directory=project,
            environment=environment(),
            before=lambda: shutil.rmtree(project / ".mlops", ignore_errors=True),
        )
        peer = replace(ours, words=(sys.executable, str(script), *told), before=lambda: None)
        return compare(ours, peer, min(runs, 3))
    finally:
        shutil.rmtree(file.parent)


def grid(directory: Path, runs: int) -> Pair:
    """A grid of 100 points with five folds, on two workers from nothing, its best one refitted,
    evaluated and packaged, beside a script that Hydra's joblib launcher runs 100 times in two
    processes."""
    file = adult(1)
    project = _project(directory, file)
    leaves, rates = (",".join(map(str, values)) for values in (LEAVES, RATES))
    (directory / "app" / "conf").mkdir(parents=True)
    (directory / "app" / "app.py").write_text(APP)
    held = f"file: {file}\ncolumns: [{ADULT}]\nfolds: 5\nrounds: {_ROUNDS}\n"
    (directory / "app" / "conf" / "config.yaml").write_text(APP_CONFIG + held)
    below = "search.space.model.params"
    words = [
        word
        for word in _words(100, 5, 2)
        if not word.startswith((below, "search=", "search.trials="))
    ]
    words += ["search=grid", f"{below}.num_leaves={{choices: [{leaves}]}}"]
    words += [f"{below}.learning_rate={{choices: [{rates}]}}"]
    asked = (f"+params.num_leaves={leaves}", f"+params.learning_rate={rates}")
    try:
        ours = Command(
            words=words,
            directory=project,
            environment=environment(),
            before=lambda: shutil.rmtree(project / ".mlops", ignore_errors=True),
        )
        peer = Command(
            words=(sys.executable, "app.py", "-m", *asked),
            directory=directory / "app",
            environment=environment(),
        )
        return compare(ours, peer, min(runs, 3))
    finally:
        shutil.rmtree(file.parent)


def overhead(directory: Path, runs: int) -> str:
    """Milliseconds of a trial without folds beyond its fit, its answers and their score, on one
    worker: what runs of 300 and of 100 more trials took beyond what their worker measured, less
    each other, so that what a run costs by itself is in neither."""
    file = adult(1)
    project = _project(directory, file)
    found = []
    try:
        for turn in range(min(runs, 5)):
            words = (*_words(0, 2, 1, 5)[1:], "search.cv=null", "data.split.validation_size=0.2")
            words = tuple(w for w in words if "cv.folds" not in w and "trials=" not in w)
            words += ("search=random", f"seed={turn}")
            rest = []
            for count in (20, 120, 420):
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, *words, f"search.trials={count}"],
                    cwd=project,
                    env=dict(environment()),
                    check=True,
                    capture_output=True,
                )
                seconds = time.perf_counter() - start
                steps = json.loads(done.stdout)["steps"]
                rest.append(seconds - sum(s["seconds"] for s in steps if s["status"] == "ran"))
            found.append((rest[2] - rest[1]) / 200 * 1000)
    finally:
        shutil.rmtree(file.parent)
    found.sort()
    return f"{found[len(found) // 2]:.1f} ms ({found[0]:.1f} to {found[-1]:.1f})"


_LOOP = "a hand-written Optuna loop on one core"
ROWS = (
    Row("search-1", "100 trials, 5 folds, adult, one worker", _LOOP, "<= 1.1",
        partial(trials, count=100, folds=5, workers=1)),
    Row("search-2", "the same on two workers", _LOOP, "<= 0.6",
        partial(trials, count=100, folds=5, workers=2)),
    Row("search-few", "10 trials, 3 folds, adult, one worker", _LOOP, "-",
        partial(trials, count=10, folds=3, workers=1)),
    Row("grid", "a grid of 100 points, 5 folds, adult, two workers",
        "a script below Hydra's joblib launcher, two processes", "<= 0.33", grid),
    Row("trial", "a trial beyond its fit and score, one fold", "-", "<= 5 ms", overhead),
)  # fmt: skip
