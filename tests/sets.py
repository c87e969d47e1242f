"""Small stand-ins for three public data sets, generated, with the same columns and the same traps.

`adult` (census): no header, `, ` between cells, `?` for what is missing, a full stop behind the
classes of the test file, a blank last line. `taxis`: times, a total that is the sum of its parts,
many zones, missing boroughs. `penguins`: missing measurements and sexes.

With MLOPS_DATA set to a folder of the real files (adult-train.csv, adult-test.csv, taxis.csv,
penguins.csv), copies of these are taken instead.
"""

from __future__ import annotations

import csv
import io
import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.project import CONFIG

REAL = os.environ.get("MLOPS_DATA", "")
ROWS = 240


@dataclass(slots=True)
class Table:
    """The cells of a file, and how it is written. `before` is what is broken on a line of it, by
    bytes that are put in front."""

    names: list[str]
    rows: list[list[str]]
    header: bool = True
    separator: str = ","
    end: str = ""
    before: dict[int, bytes] = field(default_factory=dict)

    def line(self, line: int) -> list[str]:
        """The cells on a line of the file, to be read or changed."""
        return self.rows[line - 1 - self.header]

    def put(self, name: str, values: Callable[[int], str], *, lines: range | None = None) -> None:
        """Set a column's cells, in all rows or on some lines."""
        place = self.names.index(name)
        for number in lines or range(1 + self.header, len(self.rows) + 1 + self.header):
            self.line(number)[place] = values(number)

    @property
    def data(self) -> bytes:
        """The file."""
        rows = [self.names, *self.rows] if self.header else self.rows
        lines = [f"{self.separator.join(map(_quoted, row))}\n".encode() for row in rows]
        for line, data in self.before.items():
            lines[line - 1] = data + lines[line - 1]
        return b"".join(lines) + self.end.encode()


def _quoted(cell: str) -> str:
    if not any(char in cell for char in ',"\n'):
        return cell
    return '"' + cell.replace('"', '""') + '"'


@dataclass(slots=True, kw_only=True)
class Set:
    """A data set: its files by name, its data config, and columns of each sort."""

    name: str
    main: str
    files: dict[str, Table]
    config: str
    target: str
    number: str
    whole: str
    text: str

    @property
    def table(self) -> Table:
        return self.files[self.main]

    def make(self, directory: Path) -> Path:
        """A project around the files."""
        (directory / "conf" / "data").mkdir(parents=True)
        config = CONFIG.format(data=self.name, model="lightgbm")
        (directory / "conf" / "config.yaml").write_text(config, "utf-8")
        (directory / "conf" / "data" / f"{self.name}.yaml").write_text(self.config, "utf-8")
        for name, table in self.files.items():
            (directory / name).write_bytes(table.data)
        return directory


_CENSUS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]
_ADULT = """\
name: adult
target: income
task: binary
positive: ">50K"
source:
  kind: csv
  path: adult-train.csv
  options:
    header: false
    columns: [{columns}]
    missing: ["?"]
test:
  kind: csv
  path: adult-test.csv
  options:
    header: false
    columns: ${{data.source.options.columns}}
    missing: ["?"]
    replace: {{income: {{"<=50K.": "<=50K", ">50K.": ">50K"}}}}
split: {{kind: file}}
"""


def adult() -> Set:
    """Who earns over 50,000, of a census in two files."""
    files = {}
    for name, stop in (("adult-train.csv", ""), ("adult-test.csv", ".")):
        rows = _real(name, header=False) or [_person(stop, seed) for seed in _seeds(name)]
        files[name] = Table(list(_CENSUS), rows, header=False, separator=", ", end="\n")
    return Set(
        name="adult",
        main="adult-train.csv",
        files=files,
        config=_ADULT.format(columns=", ".join(_CENSUS)),
        target="income",
        number="hours-per-week",
        whole="fnlwgt",
        text="workclass",
    )


def _person(stop: str, draw: random.Random) -> list[str]:
    age, years = draw.randint(17, 80), draw.randint(1, 16)
    rich = age / 10 + years + draw.gauss(0, 3) > 16
    work = draw.choice(["Private", "State-gov", "Self-emp-inc", "?"])
    return [
        str(age),
        work,
        str(draw.randint(20_000, 400_000)),
        f"level-{years}",
        str(years),
        draw.choice(["Divorced", "Never-married", "Widowed"]),
        "?" if work == "?" else draw.choice(["Sales", "Tech-support", "Other-service"]),
        draw.choice(["Husband", "Wife", "Own-child"]),
        draw.choice(["White", "Black", "Other"]),
        draw.choice(["Male", "Female"]),
        draw.choice(["0", "0", "0", "2174"]),
        draw.choice(["0", "0", "0", "1902"]),
        str(draw.randint(10, 60)),
        draw.choice(["United-States", "United-States", "Cuba", "?"]),
        (">50K" if rich else "<=50K") + stop,
    ]


_RIDES = [
    "pickup",
    "dropoff",
    "passengers",
    "distance",
    "fare",
    "tip",
    "tolls",
    "total",
    "color",
    "payment",
    "pickup_zone",
    "dropoff_zone",
    "pickup_borough",
    "dropoff_borough",
]
_TAXIS = """\
name: taxis
target: fare
task: regression
source: {kind: csv, path: taxis.csv}
columns:
  dropoff: {role: ignore}
  total: {role: ignore}
  tip: {role: ignore}
split: {kind: time, column: pickup, test_size: 0.25}
"""


def taxis() -> Set:
    """The fare of a ride."""
    rows = _real("taxis.csv", header=True) or [_ride(draw) for draw in _seeds("taxis.csv")]
    return Set(
        name="taxis",
        main="taxis.csv",
        files={"taxis.csv": Table(list(_RIDES), rows)},
        config=_TAXIS,
        target="fare",
        number="distance",
        whole="passengers",
        text="payment",
    )


def _ride(draw: random.Random) -> list[str]:
    day, minute = f"2019-03-{draw.randint(1, 31):02} {draw.randint(0, 22):02}", draw.randint(0, 29)
    distance = draw.uniform(0.5, 12)
    fare = round(3 + 2.5 * distance + draw.gauss(0, 1), 1)
    tip, tolls = round(draw.choice([0, 0.2]) * fare, 2), draw.choice([0.0, 0.0, 5.76])
    boroughs = [draw.choice(["Manhattan", "Queens", "Brooklyn", ""]) for _ in range(2)]
    return [
        f"{day}:{minute:02}:09",
        f"{day}:{minute + draw.randint(5, 30):02}:24",
        str(draw.randint(0, 6)),
        f"{distance:.2f}",
        str(fare),
        str(tip),
        str(tolls),
        f"{fare + tip + tolls:.2f}",
        draw.choice(["yellow", "yellow", "green"]),
        draw.choice(["credit card", "cash", ""]),
        *[f"{borough or 'Unknown'} zone {draw.randint(1, 30)}" for borough in boroughs],
        *boroughs,
    ]


_BIRDS = [
    "species",
    "island",
    "bill_length_mm",
    "bill_depth_mm",
    "flipper_length_mm",
    "body_mass_g",
    "sex",
]
_PENGUINS = """\
name: penguins
target: species
task: multiclass
source: {kind: csv, path: penguins.csv}
split: {kind: stratified, test_size: 0.25}
"""


def penguins() -> Set:
    """Which of three species."""
    rows = _real("penguins.csv", header=True) or [_bird(draw) for draw in _seeds("penguins.csv")]
    return Set(
        name="penguins",
        main="penguins.csv",
        files={"penguins.csv": Table(list(_BIRDS), rows)},
        config=_PENGUINS,
        target="species",
        number="bill_length_mm",
        whole="body_mass_g",
        text="island",
    )


def _bird(draw: random.Random) -> list[str]:
    kind = draw.randrange(3)
    measured = [
        f"{draw.gauss(38 + 5 * kind, 2):.1f}",
        f"{draw.gauss(18 - kind, 1):.1f}",
        str(round(draw.gauss(190 + 10 * kind, 5))),
        str(round(draw.gauss(3700 + 500 * kind, 300))),
    ]
    if draw.random() < 0.02:
        measured = [""] * 4
    island = draw.choice(["Biscoe", "Dream", "Torgersen"])
    species = ("Adelie", "Chinstrap", "Gentoo")[kind]
    return [species, island, *measured, draw.choice(["MALE", "FEMALE", "MALE", "FEMALE", ""])]


SETS: Mapping[str, Callable[[], Set]] = {"adult": adult, "taxis": taxis, "penguins": penguins}


def _seeds(name: str) -> Iterator[random.Random]:
    draw = random.Random(name)
    return (draw for _ in range(ROWS))


def _real(name: str, *, header: bool) -> list[list[str]]:
    if not REAL:
        return []
    text = (Path(REAL) / name).read_text("utf-8")
    rows = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
    return rows[1:] if header else rows
