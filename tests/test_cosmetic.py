"""Which changes of files are told to change nothing."""

from __future__ import annotations

from mlops_compile.compiler.compare.texts import cosmetic_changes
from mlops_compile.ir.value import KeyPath

MODEL = b"family: lightgbm\nparams: {num_leaves: 9}\n"
MODULE = b"LIMIT = 3\n"


def told(
    old: dict[str, bytes], new: dict[str, bytes], *paths: KeyPath, functions: bool = False
) -> dict[str, str]:
    found = cosmetic_changes(old, new, told=paths, functions=functions, differs=bool(paths))
    return {cause.path[0]: cause.text for cause in found}


def test_another_name_of_a_file_is_cosmetic_unless_causes_may_come_of_it() -> None:
    old, new = {"conf/model/a.yaml": MODEL}, {"conf/model/b.yaml": b"# same\n" + MODEL}
    named = {"conf/model/a.yaml": "renamed to conf/model/b.yaml"}
    assert told(old, new) == named
    assert told(old, new, ("seed",)) == named
    # The built-in file of that name is chosen in its place.
    assert told(old, new, ("model", "params", "num_leaves")) == {}


def test_another_name_of_a_module_is_cosmetic_unless_functions_differ() -> None:
    old, new = {"src/a.py": MODULE}, {"src/b.py": MODULE}
    assert told(old, new) == {"src/a.py": "renamed to src/b.py"}
    assert told(old, new, ("code", "a", "f"), functions=True) == {}
