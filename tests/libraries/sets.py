"""Adult, taxis and penguins: the files of MLOPS_DATA, or generated ones of the same columns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

REAL = os.environ.get("MLOPS_DATA", "")
MISSING = ["", "?"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A file, its target for each task, and a column that can say how much a row weighs."""

    name: str
    file: str
    targets: Mapping[str, str]
    weight: str
    header: tuple[str, ...] = ()
    positive: str | None = None
    times: tuple[str, ...] = ()
    ignored: tuple[str, ...] = field(default=())

    def frame(self, folder: Path) -> pd.DataFrame:
        """All rows, as pandas reads them: numbers as float64, texts as objects with None."""
        frame = pd.read_csv(
            folder / self.file,
            header=None if self.header else 0,
            names=list(self.header) or None,
            na_values=MISSING,
            keep_default_na=False,
            skipinitialspace=True,
            parse_dates=list(self.times),
        )
        for name in frame:
            if pd.api.types.is_numeric_dtype(frame[name]):
                frame[name] = frame[name].astype("float64")
            elif name not in self.times:
                frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
        return frame

    def config(self, folder: Path) -> str:
        """The data's group file, with the target of its first task."""
        header = f"header: false, columns: {list(self.header)}, " if self.header else ""
        columns = "".join(f"\n  {name}: {{role: ignore}}" for name in self.ignored)
        task, target = next(iter(self.targets.items()))
        return (
            f"name: {self.name}\ntarget: {target}\ntask: {task}\nmissing_target: drop\n"
            f"source:\n  kind: csv\n  path: {folder / self.file}\n"
            f"  options: {{{header}missing: {MISSING}}}\n"
            f"columns:{columns or ' {}'}\n"
            "split: {kind: random, test_size: 0.2, validation_size: 0.2}\n"
        )


SETS = {
    item.name: item
    for item in (
        DataSet(
            name="adult",
            file="adult-train.csv",
            header=(
                *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status"),
                *("occupation", "relationship", "race", "sex", "capital-gain", "capital-loss"),
                *("hours-per-week", "native-country", "income"),
            ),
            targets={
                "binary": "income",
                "multiclass": "relationship",
                "regression": "hours-per-week",
            },
            weight="fnlwgt",
        ),
        DataSet(
            name="taxis",
            file="taxis.csv",
            targets={"regression": "fare", "binary": "payment", "multiclass": "pickup_borough"},
            weight="passengers",
            times=("pickup", "dropoff"),
        ),
        DataSet(
            name="penguins",
            file="penguins.csv",
            targets={"multiclass": "species", "binary": "sex", "regression": "body_mass_g"},
            weight="flipper_length_mm",
        ),
    )
}


def place(generated: Path) -> Path:
    """The folder of the files; where MLOPS_DATA is not set, `generated`, filled with stand-ins."""
    if REAL:
        return Path(REAL).resolve()
    draw = np.random.default_rng(11)
    for name, make in (("adult", _adult), ("taxis", _taxis), ("penguins", _penguins)):
        own = SETS[name]
        columns = make(draw)
        frame = pd.DataFrame(columns, columns=list(own.header) or list(columns))
        frame.to_csv(generated / own.file, header=not own.header, index=False, na_rep="?")
    return generated


def _levels(draw: np.random.Generator, rows: int, *names: str | None) -> np.ndarray:
    """Levels of falling frequency."""
    shares = 1.0 / np.arange(1, len(names) + 1)
    return draw.choice(np.array(names, dtype=object), rows, p=shares / shares.sum())


def _adult(draw: np.random.Generator) -> dict[str, np.ndarray]:
    rows = 900
    age, schooling = draw.integers(17, 91, rows), draw.integers(1, 17, rows)
    score = age / 20 + schooling / 3 + draw.normal(0, 1.5, rows)
    gain = np.where(draw.random(rows) < 0.1, draw.integers(100, 99999, rows), 0)
    return {
        "age": age,
        "workclass": _levels(draw, rows, "Private", "State-gov", None, "Never-worked"),
        "fnlwgt": draw.integers(12285, 1484705, rows),
        "education": _levels(draw, rows, *(f"grade {n}" for n in range(16))),
        "education-num": schooling,
        "marital-status": _levels(draw, rows, "Never-married", "Divorced", "Widowed"),
        "occupation": _levels(draw, rows, "Sales", "Tech-support", None, "Armed-Forces"),
        "relationship": np.array(["Husband", "Own-child", "Wife"])[
            np.digitize(age + draw.normal(0, 9, rows), [35, 60])
        ],
        "race": _levels(draw, rows, "White", "Black", "Other"),
        "sex": _levels(draw, rows, "Male", "Female"),
        "capital-gain": gain,
        "capital-loss": np.where(draw.random(rows) < 0.05, draw.integers(100, 4356, rows), 0),
        "hours-per-week": np.clip((score * 5 + draw.normal(10, 9, rows)).round(), 1, 99),
        "native-country": _levels(draw, rows, "United-States", None, *(f"c{n}" for n in range(9))),
        "income": np.where(score + gain / 20000 > 6, ">50K", "<=50K"),
    }


def _taxis(draw: np.random.Generator) -> dict[str, np.ndarray]:
    rows = 900
    pickup = np.datetime64("2019-03-01T00:00:00") + draw.integers(0, 31 * 86400, rows)
    minutes = draw.lognormal(2.2, 0.6, rows)
    distance = (minutes / 5 * draw.lognormal(0, 0.3, rows)).round(2)
    fare = (2.5 + 2.2 * distance + draw.normal(0, 0.5, rows)).clip(1).round(1)
    card = draw.random(rows) < 0.7
    tip = np.where(card, (fare * draw.uniform(0, 0.3, rows)).round(2), 0.0)
    tolls = np.where(draw.random(rows) < 0.06, 5.76, 0.0)
    borough = np.array(["Bronx", "Brooklyn", "Manhattan", "Queens"])
    zones = draw.integers(0, 40, rows)
    missing = draw.random(rows) < 0.02
    return {
        "pickup": pickup.astype(str),
        "dropoff": (pickup + (minutes * 60).astype("int64")).astype(str),
        "passengers": draw.integers(0, 7, rows),
        "distance": distance,
        "fare": fare,
        "tip": tip,
        "tolls": tolls,
        "total": (fare + tip + tolls).round(2),
        "color": _levels(draw, rows, "yellow", "green"),
        "payment": np.where(missing, None, np.where(card, "credit card", "cash")),
        "pickup_zone": np.where(missing, None, np.char.add("zone ", zones.astype(str))),
        "dropoff_zone": _levels(draw, rows, *(f"zone {n}" for n in range(40)), None),
        "pickup_borough": np.where(missing, None, borough[zones % 4]),
        "dropoff_borough": _levels(draw, rows, *borough, None),
    }


def _penguins(draw: np.random.Generator) -> dict[str, np.ndarray]:
    rows = 344
    kind = draw.integers(0, 3, rows)
    male = draw.random(rows) < 0.5
    gap = np.arange(rows) % 172 == 3
    size = kind + 0.6 * male + draw.normal(0, 0.4, rows)

    def measured(low: float, by: float, digits: int) -> np.ndarray:
        values = (low + by * size + draw.normal(0, abs(by) / 5, rows)).round(digits)
        return np.where(gap, np.nan, values)

    return {
        "species": np.array(["Adelie", "Chinstrap", "Gentoo"])[kind],
        "island": _levels(draw, rows, "Biscoe", "Dream", "Torgersen"),
        "bill_length_mm": measured(38, 4, 1),
        "bill_depth_mm": measured(19, -1.5, 1),
        "flipper_length_mm": measured(185, 12, 0),
        "body_mass_g": measured(3500, 600, 0),
        "sex": np.where(gap | (draw.random(rows) < 0.03), None, np.where(male, "MALE", "FEMALE")),
    }
