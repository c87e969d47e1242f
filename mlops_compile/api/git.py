"""What git knows of a project: its refs, a file of the project at each of them, its settings."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlops_compile.ir.problem import CompileError, Problem, problem

_LOCAL = ("refs/heads", "refs/tags")


def has_git(project: Path) -> bool:
    """Whether a project is in a git repository. CompileError where that cannot be told."""
    told = _git(project, "rev-parse", "--git-dir")
    if told.returncode == 0:
        return True
    repository = any((place / ".git").exists() for place in (project, *project.resolve().parents))
    if repository:
        raise CompileError([_failed(told.stderr)])
    return False


def local_refs(project: Path) -> tuple[str, ...]:
    """HEAD, every local branch and every tag that there are."""
    head = _git(project, "rev-parse", "--verify", "--quiet", "HEAD").returncode == 0
    form = "--format=%(refname) %(objecttype) %(*objecttype)"
    told = _git(project, "for-each-ref", form, *_LOCAL)
    if told.returncode:
        raise CompileError([_failed(told.stderr)])
    lines = [line.split() for line in told.stdout.decode().splitlines()]
    commits = [name for name, *types in lines if types[-1] == "commit"]
    return (*(("HEAD",) if head else ()), *commits)


def files_at(project: Path, refs: Sequence[str], file: str) -> Mapping[str, bytes | None]:
    """A project's file at each of the refs; None where a ref has no such file. CompileError names
    the refs that there are not."""
    checks = "".join(f"{ref}^{{commit}}\n" for ref in refs)
    known = _git(project, "cat-file", "--batch-check", given=checks).stdout.decode().splitlines()
    pairs = zip(refs, known, strict=True)
    if unknown := [ref for ref, line in pairs if line.endswith((" missing", " ambiguous"))]:
        hint = "`git for-each-ref` lists those that there are"
        raise CompileError(
            [problem("root", f"there is no git ref {ref!r} here", hint=hint) for ref in unknown]
        )
    asked = "".join(f"{ref}:./{file}\n" for ref in refs)
    told = _git(project, "cat-file", "--batch", given=asked)
    if told.returncode:
        raise CompileError([_failed(told.stderr)])
    return dict(zip(refs, _contents(told.stdout), strict=True))


def _contents(told: bytes) -> Iterator[bytes | None]:
    """The objects of a `git cat-file --batch`."""
    while told:
        head, _, told = told.partition(b"\n")
        if head.endswith((b" missing", b" ambiguous")):
            yield None
            continue
        size = int(head.split()[-1])
        yield told[:size]
        told = told[size + 1 :]


def get_config(project: Path, key: str) -> str | None:
    """A setting of the clone that a project is in; None where it has none of its own."""
    told = _git(project, "config", "--local", "--get", key)
    return told.stdout.decode().removesuffix("\n") if told.returncode == 0 else None


def set_config(project: Path, key: str, value: str) -> None:
    """Set it. CompileError where git cannot write it."""
    told = _git(project, "config", "--local", key, value)
    if told.returncode:
        lines = told.stderr.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
        raise CompileError([problem("git", f"git cannot set {key}: {lines[0]}")])


def attributes(project: Path, file: str, names: Sequence[str]) -> dict[str, str]:
    """What `.gitattributes` say of a project's file."""
    told = _git(project, "check-attr", "-z", *names, "--", file).stdout.decode().split("\0")
    return dict(zip(told[1::3], told[2::3], strict=True))


def _git(project: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(project), *words], input=given.encode(), capture_output=True
        )
    except OSError as error:
        text = f"git cannot be called: {error.strerror}".encode()
        return subprocess.CompletedProcess(words, 127, b"", text)


def _failed(text: bytes) -> Problem:
    lines = text.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
    message = f"git cannot tell what its commits hold: {lines[0]}"
    return problem("root", message, hint="mend that: what the commits' locks reach must stay")


def is_at(project: Path, ref: str) -> bool:
    """Whether there is such a commit. CompileError where git cannot tell."""
    told = _git(project, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if told.returncode not in (0, 1, 128):
        raise CompileError([_failed(told.stderr)])
    return told.returncode == 0


def is_shallow(project: Path) -> bool:
    """Whether a repository was cloned without some of its commits."""
    told = _git(project, "rev-parse", "--is-shallow-repository")
    return told.stdout.strip() == b"true"


def names_at(project: Path, ref: str) -> tuple[str, ...]:
    """The regular files of a project at a ref, relative to it; links are left out."""
    told = _git(project, "ls-tree", "-r", "-z", ref, "--", ".")
    if told.returncode:
        raise CompileError([_failed(told.stderr)])
    entries = (entry.partition("\t") for entry in told.stdout.decode("utf-8").split("\0") if entry)
    return tuple(name for about, _, name in entries if about.startswith("100"))


def texts_at(project: Path, ref: str, names: Sequence[str]) -> Mapping[str, bytes]:
    """The content of some of the files that `names_at` gives."""
    asked = "".join(f"{ref}:./{name}\n" for name in names if "\n" not in name)
    told = _git(project, "cat-file", "--batch", given=asked)
    if told.returncode:
        raise CompileError([_failed(told.stderr)])
    pairs = zip((n for n in names if "\n" not in n), _contents(told.stdout), strict=True)
    return {name: text for name, text in pairs if text is not None}
