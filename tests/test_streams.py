"""Answers that cannot be written: a full disk, a closed stream, a reader that has gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MLOPS = f"{sys.executable} -m mlops_compile"


def shell(command: str, directory: Path) -> tuple[int, str]:
    """The exit code, and what was said on stderr."""
    told = subprocess.run(["bash", "-c", command], cwd=directory, capture_output=True, text=True)
    return told.returncode, told.stderr


@pytest.mark.parametrize("words", ["--help", "schema", "config"])
def test_a_full_disk_is_told(words: str, tmp_path: Path) -> None:
    code, said = shell(f"{MLOPS} {words} > /dev/full", tmp_path)
    assert (code, said) == (2, "error[MC0094]: stdout cannot be written: No space left on device\n")


def test_problems_are_told_where_their_document_cannot_be(tmp_path: Path) -> None:
    code, said = shell(f"{MLOPS} nope --json > /dev/full", tmp_path)
    assert code == 2 and said.startswith("error[MC0100]: there is no verb 'nope'")
    assert "Traceback" not in said


def test_what_is_printed_to_a_closed_stream_comes_into_no_file(tmp_path: Path) -> None:
    code, said = shell(f"{MLOPS} schema -o schemas >&- <&-", tmp_path)
    assert (code, said) == (0, "")
    for file in (tmp_path / "schemas").rglob("*.json"):
        json.loads(file.read_text("utf-8"))
    assert shell(f"{MLOPS} explain MC0001 >&- 2>&-", tmp_path) == (0, "")


def test_a_reader_that_has_gone_ends_it_quietly() -> None:
    words = [*MLOPS.split(), "schema"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 130
