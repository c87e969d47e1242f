"""The user's own functions: what of their code counts, what is refused, and how they are run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlops_compile as mc
from mlops_compile.ir.code import Code, FunctionCode, LocatedCode
from mlops_compile.ir.problem import StepError
from mlops_compile.steps.functions import Functions, Unreadable, closure, imported
from tests.project import good, make, package_environment

FILES = {
    "shop/__init__.py": '"""The shop."""\n',
    "shop/rates.py": "from shop.deep import tools\nfrom .deep.tools import half\nimport numpy\n"
    "def rate(a, b):\n    'A rate.'\n    return None if not a or not b else tools.half(a) / b\n",
    "shop/deep/tools.py": "def half(x):\n    return x / 2  # by two\n",
    "shop/other.py": "def other(x):\n    return x\n",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def test_the_code_that_a_function_reaches(tmp_path: Path) -> None:
    found = closure([write(tmp_path, FILES)], "shop.rates.rate")
    assert sorted(found.files) == ["shop/__init__.py", "shop/deep/tools.py", "shop/rates.py"]
    assert found.imports == ("numpy",)
    assert "by two" not in str(found.files) and "A rate" not in str(found.files)


@pytest.mark.parametrize(
    ("path", "old", "new", "counts"),
    [
        ("shop/deep/tools.py", "# by two", "# halved", False),
        ("shop/deep/tools.py", "    return", "\n    return  ", False),
        ("shop/rates.py", "A rate.", "Another text.", False),
        ("shop/other.py", "return x", "return 7", False),
        ("shop/deep/tools.py", "x / 2", "x / 3", True),
        ("shop/__init__.py", '"""The shop."""', "import shop.other", True),
    ],
)
def test_what_of_the_code_counts(
    tmp_path: Path, path: str, old: str, new: str, counts: bool
) -> None:
    before = closure([write(tmp_path / "a", FILES)], "shop.rates.rate").digest
    changed = {**FILES, path: FILES[path].replace(old, new)}
    assert changed != FILES
    after = closure([write(tmp_path / "b", changed)], "shop.rates.rate").digest
    assert (before != after) == counts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import importlib\ndef f(x): return x", "importlib"),
        ("def f(x): return __import__('os')", "__import__"),
        ("def f(x): return eval('x')", "eval"),
        ("A = open(__file__)\ndef f(x): return x", "__file__"),
        ("from .. import y\ndef f(x): return x", "out of its package"),
        ("import m.gone\ndef f(x): return x", "no module m.gone"),
        ("def f(x) return x", "expected ':'"),
        ("def g(x): return x", "no function 'f'"),
    ],
)
def test_code_that_cannot_be_told(tmp_path: Path, text: str, says: str) -> None:
    write(tmp_path, {"m/__init__.py": "", "m/n.py": text})
    with pytest.raises(Unreadable, match=says) as caught:
        closure([tmp_path], "m.n.f")
    assert caught.value.hint


def test_a_module_without_source(tmp_path: Path) -> None:
    (tmp_path / "m.pyc").write_bytes(b"")
    with pytest.raises(Unreadable, match="has no source"):
        closure([tmp_path], "m.f")


def test_a_stated_version_takes_all_of_the_package(tmp_path: Path) -> None:
    text = "import importlib\ndef f(x): return importlib.import_module('m.late').g(x)"
    write(tmp_path, {"m/__init__.py": "", "m/n.py": text, "m/late.py": "def g(x): return x + 1"})
    found = closure([tmp_path], "m.n.f", stated=True)
    assert "m/late.py" in found.files
    with imported(found.files) as load:
        assert load("m.n.f")(1) == 2


def test_imported_modules_leave_no_trace(tmp_path: Path) -> None:
    import json as before

    path, finders = [*sys.path], [*sys.meta_path]
    with imported({"json/__init__.py": "def f(): return 'ours'"}) as load:
        assert load("json.f")() == "ours"
    assert sys.modules["json"] is before and sys.path == path and sys.meta_path == finders
    with imported({"shop/a.py": "X = 1\ndef f(): return X"}) as load:
        assert load("shop.a.f")() == 1
    assert not any(name.startswith("shop") for name in sys.modules)
    with imported({"shop/a.py": "def f(): return 2"}) as load:
        assert load("shop.a.f")() == 2


def test_code_that_changed_since_the_lock_is_a_sentence(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    digest = closure([root], "shop.rates.rate").digest
    pinned = FunctionCode(name="shop.rates.rate", digest=digest, distributions=("numpy",))
    located = LocatedCode(code=Code(roots=("src",), functions=(pinned,)), roots=(root,))
    found = Functions.verified(located, ["shop.rates.rate"])
    assert found is not None and set(found.versions) == {"numpy"}
    (root / "shop/deep/tools.py").write_text("def half(x):\n    return x\n", "utf-8")
    with pytest.raises(StepError, match="has changed since the lock was written"):
        Functions.verified(located, ["shop.rates.rate"])


@pytest.mark.parametrize(
    "value",
    [
        {"roots": ["src"]},
        {"roots": "src", "functions": {}},
        {"roots": [], "functions": {"a.b": {"digest": "x", "distributions": []}}},
        {"roots": [], "functions": {"ab": {"digest": "0" * 64, "distributions": []}}},
        {"roots": [], "functions": {"a.b": {"digest": "0" * 64}}},
    ],
)
def test_code_of_a_lock_that_is_none(value: Any) -> None:
    from mlops_compile.ir.value import freeze

    with pytest.raises(ValueError):
        Code.from_dict(freeze(value))


OWN = """\
numeric: auto
columns:
  age: [drop]
derive:
  half: {function: shop.rates.rate, inputs: [amount, age], type: numeric}
  days: {function: shop.other.other, inputs: [city], type: categorical}
rows: ["age > 20", "amount is not missing"]
"""
WORDS = ("model.params.num_iterations=5", "code.roots=[src]")


def project(directory: Path) -> Path:
    place = make(directory)
    write(place, {f"src/{name}": text for name, text in FILES.items()})
    write(place, {"conf/prepare/auto.yaml": OWN})
    return place


def test_a_project_with_functions(tmp_path: Path) -> None:
    """Compiled, run, explained, packaged, and served where the project is not."""
    place = project(tmp_path / "p")
    record = mc.run(WORDS, project=place)
    lock = record.lock
    assert json.loads(lock.text)["code"]["roots"] == ["src"]
    assert [name for name, _ in lock.environment if name == "numpy"] == ["numpy"]
    request = [field.name for field in lock.contract.request]
    assert "age" in request and "half" not in request  # dropped, and derived from
    assert dict(lock.plan["train"].inputs)["train"].step == "prepare"
    answer = good(place, "compile", *WORDS)
    assert answer.out.count("hit ") == len(lock.plan.steps)
    tools = place / "src/shop/deep/tools.py"
    tools.write_text(tools.read_text("utf-8").replace("/ 2", "/ 4"), "utf-8")
    text = good(place, "compile", *WORDS).out
    assert "code of shop.rates.rate changed" in text and "shop.other" not in text
    again = mc.run(WORDS, project=place)
    assert again["prepare"].status == "ran" and again["split"].status == "hit"


def test_the_bundle_carries_the_functions(tmp_path: Path) -> None:
    place = project(tmp_path / "p")
    good(place, "run", *WORDS)
    (bundle,) = place.glob("outputs/*/*/bundle")
    (place / "src").rename(place / "gone")
    record = json.loads((bundle / "example.json").read_text("utf-8"))
    code = (
        "import msgspec, json; from schema import Record; from scorer import features, Scorer;"
        f"r = msgspec.json.decode(json.dumps({record!r}), type=Record);"
        "print(len(features(r)), Scorer(__import__('pathlib').Path('.')).scores([r]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=bundle,
        env=package_environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (bundle / "functions/shop").iterdir() if p.suffix) == [
        "__init__.py",
        "other.py",
        "rates.py",
    ]
