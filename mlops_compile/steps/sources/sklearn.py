"""The data sets that scikit-learn brings along; their files are pinned like any other."""

# pandas, pyarrow and scikit-learn are imported inside `read`, to keep compiling free of them.

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.steps.sources.kind import Facts, Files, SourceKind
from mlops_compile.steps.sources.places import LocalFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """What is known of a bundled set without reading it; classes are in the order of its codes."""

    files: tuple[str, ...]
    rows: int
    features: tuple[str, ...]
    classes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[ColumnFact, ...]:
        target = ColumnFact(name="target", type="string" if self.classes else "float64")
        facts = [ColumnFact(name=name, type="float64") for name in self.features]
        return tuple(sorted((*facts, target)))


_CELLS = ("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity")
_NUCLEI = (*_CELLS, "concave points", "symmetry", "fractal dimension")
SETS: Mapping[str, Bundled] = {
    "breast_cancer": Bundled(
        files=("breast_cancer.csv",),
        rows=569,
        features=(
            *(f"mean {name}" for name in _NUCLEI),
            *(f"{name} error" for name in _NUCLEI),
            *(f"worst {name}" for name in _NUCLEI),
        ),
        classes=("malignant", "benign"),
    ),
    "wine": Bundled(
        files=("wine_data.csv",),
        rows=178,
        features=(
            *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols"),
            *("flavanoids", "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue"),
            *("od280/od315_of_diluted_wines", "proline"),
        ),
        classes=("class_0", "class_1", "class_2"),
    ),
    "iris": Bundled(
        files=("iris.csv",),
        rows=150,
        features=tuple(
            f"{part} {size} (cm)" for part in ("sepal", "petal") for size in ("length", "width")
        ),
        classes=("setosa", "versicolor", "virginica"),
    ),
    "digits": Bundled(
        files=("digits.csv.gz",),
        rows=1797,
        features=tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        classes=tuple("0123456789"),
    ),
    "diabetes": Bundled(
        files=("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
        rows=442,
        features=("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SklearnOptions:
    """Which set."""

    name: str = key("name of the bundled data set", choices=tuple(SETS))


@dataclass(frozen=True, slots=True, kw_only=True)
class SklearnSource:
    """`data.source` of a bundled data set; its target is the column `target`."""

    kind: str = key("sklearn", choices=("sklearn",))
    options: SklearnOptions = key("which set")


def files(spec: SklearnSource, project: Path) -> Files:
    """The set's files inside the installed scikit-learn, found without importing it."""
    found = importlib.util.find_spec("sklearn")  # finds it, does not import it
    if found is None or not found.submodule_search_locations:
        hint = "python -m pip install scikit-learn"
        raise CompileError([problem("source", "scikit-learn is not installed", hint=hint)])
    place = Path(found.submodule_search_locations[0]) / "datasets" / "data"
    del project
    return Files(
        places=tuple(
            LocalFile(name=name, shown=str(place / name), path=place / name)
            for name in SETS[spec.options.name].files
        )
    )


def scan(
    paths: tuple[Path, ...], spec: SklearnSource, types: Mapping[str, str], target: str
) -> Facts:
    """The set's published facts, with the column types that the config asks for."""
    del paths
    bundled = SETS[spec.options.name]
    columns = tuple(
        ColumnFact(name=column.name, type=_wanted(column, types.get(column.name)))
        for column in bundled.columns
    )
    levels = tuple(sorted(bundled.classes)) if target == "target" else ()
    return Facts(rows=bundled.rows, columns=columns, levels=levels)


def _wanted(column: ColumnFact, wanted: str | None) -> str:
    """Texts can be had of every column; else it is what it is."""
    return "string" if wanted == "string" else column.type


def read(paths: tuple[Path, ...], spec: SklearnSource, source: Source, out: Path) -> None:
    """Write the set as an Arrow table; class codes become their names."""
    import pyarrow as pa
    import sklearn.datasets as datasets

    from mlops_compile.steps.tables import write_table

    del paths
    bundled = SETS[spec.options.name]
    frame = getattr(datasets, f"load_{spec.options.name}")(as_frame=True).frame
    if tuple(frame.columns) != (*bundled.features, "target") or len(frame) != bundled.rows:
        message = f"the installed scikit-learn has another {spec.options.name!r} than expected"
        raise CompileError([problem("source", message, ("data", "source"))])
    types = {column.name: column.type for column in source.columns}
    columns = {}
    for name in frame.columns:
        values = frame[name].to_numpy()
        if name == "target" and bundled.classes:
            columns[name] = pa.array([bundled.classes[int(code)] for code in values], pa.string())
        elif types[name] == "string":
            columns[name] = pa.array([repr(float(value)) for value in values], pa.string())
        else:
            columns[name] = pa.array(values.astype("float64"), pa.float64())
    write_table(out, pa.table(columns))


KIND = SourceKind(
    name="sklearn",
    spec=SklearnSource,
    distributions=("joblib", "narwhals", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy"),
    snapshot=False,
    files=files,
    location=lambda spec: f"sklearn:{spec.options.name}",
    scan=scan,
    read=read,
)
