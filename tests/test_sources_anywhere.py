"""Sources wherever they are and however they are written: the same rows are the same run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mlops_compile.ir.problem import CompileError
from mlops_compile.steps.sources.places import one_file, path_problems
from tests.project import SMALL, good, make, mlops, stored

URI = "memory://shop/rows.csv"


@pytest.fixture
def memory() -> Any:
    """fsspec's objects in memory, none at the end."""
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def outputs(directory: Path, *words: str) -> dict[str, Any]:
    """The digests of a run's results, by step."""
    document = good(directory, "run", "--json", *SMALL, *words).document
    return {step["name"]: step["outputs"] for step in document["steps"]}


def statuses(directory: Path, *words: str) -> set[str]:
    document = good(directory, "run", "--json", *SMALL, *words).document
    return {step["status"] for step in document["steps"]}


def rows(directory: Path) -> pa.Table:
    options = pa.csv.ConvertOptions(strings_can_be_null=True)
    return pa.csv.read_csv(directory / "rows.csv", convert_options=options)


def write_forms(directory: Path) -> dict[str, tuple[str, ...]]:
    """The rows of a project in several forms, and how each is named."""
    table = rows(directory)
    plain = directory / "rows.jsonl"
    with plain.open("w") as file:
        for row in table.to_pylist():
            held = {k: v.isoformat() if k == "since" else v for k, v in row.items()}
            file.write(json.dumps({k: v for k, v in sorted(held.items()) if v is not None}) + "\n")
    pq.write_table(table, directory / "rows.parquet")
    for number in range(3):
        part = table.slice(number * 80, 80)
        (directory / "parts").mkdir(exist_ok=True)
        pq.write_table(part, directory / "parts" / f"{number}.parquet", row_group_size=17)
    (directory / "rows.zst").write_bytes(
        pa.compress((directory / "rows.csv").read_bytes(), codec="zstd", asbytes=True)
    )
    return {
        "rows.csv": (),
        "rows.zst": (),
        "rows.jsonl": ("data.source.kind=jsonl",),
        "rows.parquet": ("data.source.kind=parquet",),
        "parts": ("data.source.kind=parquet",),
        "parts/*.parquet": ("data.source.kind=parquet",),
    }


def test_the_same_rows_in_any_form_give_the_same_results(tmp_path: Path) -> None:
    directory = make(tmp_path / "p")
    forms = write_forms(directory)
    first = outputs(directory)
    first.pop("acquire")
    for path, words in forms.items():
        found = outputs(directory, f"data.source.path={path!r}", *words)
        acquired = found.pop("acquire")
        assert acquired and found == first, path


def test_a_folder_is_a_source_that_outlives_its_files(tmp_path: Path) -> None:
    """Its files are in the store after a run, are kept by `store gc`, and go by `store forget`."""
    directory = make(tmp_path / "p")
    write_forms(directory)
    words = ("data.source.kind=parquet", "data.source.path=parts")
    good(directory, "compile", *SMALL, *words)
    lock = json.loads((directory / "plan.lock.json").read_text())
    assert lock["sources"]["data"]["files"] == 3
    first = outputs(directory, *words)
    shutil.rmtree(directory / "parts")
    parts = [name for name in stored(directory) if name.startswith("blobs")]
    good(directory, "store", "gc")
    assert parts == [name for name in stored(directory) if name.startswith("blobs")]
    assert statuses(directory, "--locked", *words) == {"hit"}
    for path in (directory / ".mlops" / "store" / "actions").rglob("*"):
        if path.is_file():
            path.unlink()
    assert outputs(directory, "--locked", *words) == first
    good(directory, "store", "forget", "parts", "--reason", "asked to")
    assert stored(directory) == {}


def test_an_added_renamed_or_changed_file_is_another_source(tmp_path: Path) -> None:
    directory = make(tmp_path / "p")
    write_forms(directory)
    words = ("data.source.kind=parquet", "data.source.path=parts")

    def digest() -> str:
        good(directory, "compile", *SMALL, *words)
        lock = json.loads((directory / "plan.lock.json").read_text())
        return str(lock["sources"]["data"]["digest"])

    seen = [digest()]
    (directory / "parts" / "2.parquet").rename(directory / "parts" / "3.parquet")
    seen.append(digest())
    shutil.copy(directory / "parts" / "0.parquet", directory / "parts" / "4.parquet")
    seen.append(digest())
    shutil.copy(directory / "parts" / "1.parquet", directory / "parts" / "4.parquet")
    seen.append(digest())
    assert len(set(seen)) == 4


def test_an_object_behind_a_uri_is_pinned_and_copied(tmp_path: Path, memory: Any) -> None:
    directory = make(tmp_path / "p")
    memory.pipe("/shop/rows.csv", (directory / "rows.csv").read_bytes())
    at = f"data.source.path={URI!r}"
    first = outputs(directory)
    assert outputs(directory, at) == first
    good(directory, "compile", *SMALL, at)
    memory.pipe("/shop/rows.csv", b"age,target\n1,yes\n2,no\n")
    refused = mlops(directory, "compile", *SMALL, at)
    assert refused.code == 3
    memory.store.clear()
    shutil.rmtree(directory / ".mlops" / "store" / "actions")
    assert outputs(directory, "--locked", at) == first  # by the pin of the lock, from the copy
    (directory / "plan.lock.json").unlink()
    gone = mlops(directory, "compile", *SMALL, at)
    assert gone.code == 3 and f"there is no object {URI}" in gone.err


def test_an_object_is_read_again_only_when_it_changed(tmp_path: Path, memory: Any) -> None:
    directory = make(tmp_path / "p")
    memory.pipe("/shop/rows.csv", (directory / "rows.csv").read_bytes())
    at = f"data.source.path={URI!r}"
    good(directory, "compile", *SMALL, at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(memory), "get_file", None)  # whoever fetches now, fails
        good(directory, "compile", *SMALL, at)
        memory.pipe("/shop/rows.csv", (directory / "rows.csv").read_bytes() + b"1,,,,,no\n")
        assert mlops(directory, "compile", *SMALL, at).code == 3


def test_a_folder_of_objects_is_one_source(tmp_path: Path, memory: Any) -> None:
    directory = make(tmp_path / "p")
    write_forms(directory)
    for file in (directory / "parts").iterdir():
        memory.pipe(f"/shop/{file.name}", file.read_bytes())
    words = ("data.source.kind=parquet",)
    here = outputs(directory, "data.source.path=parts", *words)
    assert outputs(directory, "data.source.path='memory://shop'", *words) == here
    assert outputs(directory, "data.source.path='memory://shop/*.parquet'", *words) == here


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://me:secret@bucket/rows.csv", "a password"),
        ("https://h/rows.csv?X-Amz-Signature=abc", "a signature or a key"),
        ("https://h/rows.csv?sv=1&sig=abc", "a signature or a key"),
        ("zip://a.csv::s3://bucket/a.zip", "a chain of URIs"),
    ],
)
def test_a_secret_in_a_uri_is_refused_before_anybody_is_asked(
    tmp_path: Path, path: str, said: str
) -> None:
    directory = make(tmp_path / "p")
    before = stored(directory)
    answer = mlops(directory, "compile", f"data.source.path={path!r}")
    assert answer.code == 3 and said in answer.err
    assert "secret" not in answer.err and "abc" not in answer.err
    assert stored(directory) == before and not (directory / "plan.lock.json").exists()


@pytest.mark.parametrize("path", ["rows@home:8.csv", "s3://bucket/a@b:c.csv", "s3://user@h/x"])
def test_a_path_without_a_secret_is_none(path: str) -> None:
    assert not [*path_problems(path)]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere://x/rows.csv", "there is no protocol 'nowhere'"),
        ("http://127.0.0.1:9/rows.csv", "http"),
        ("gs://bucket/rows.csv", "needs a package that is not installed"),
    ],
)
def test_what_cannot_be_reached_is_a_sentence(tmp_path: Path, path: str, said: str) -> None:
    with pytest.raises(CompileError) as caught:
        one_file(path, tmp_path).places[0].stamp()
    (problem,) = caught.value.problems
    assert said in problem.message and "\n" not in problem.message
    if "package" in said:
        assert problem.hint == "python -m pip install 'mlops_compile[gcs]'"
