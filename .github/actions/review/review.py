"""Reviews a pull request: is the lock current, what will the change do, may it be merged.

Called by action.yml with its inputs in REVIEW_*; everything else comes from GitHub's own variables.
Ends with 1 where the change should not be merged, 0 otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comments import GitHub, Refused, comment

STALE, UNMET = 4, 6  # exit codes of mlops-compile
MOST = 65_400  # characters of a comment, of which GitHub takes 65,536
MOST_OF_SUMMARY = 250_000  # characters, of which each has 4 bytes at most, and GitHub takes 1 MiB
_SHOWN = 4_000  # characters of what a command says


# What is asked


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The inputs of the action."""

    directory: Path
    overrides: str
    base: str
    run: bool
    comment: bool
    token: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Asked:
        given = {name: environ.get(f"REVIEW_{name.upper()}", "") for name in cls.__annotations__}
        return cls(
            directory=Path(given["directory"] or "."),
            overrides=given["overrides"].strip(),
            base=given["base"].strip(),
            run=given["run"] == "true",
            comment=given["comment"] != "false",
            token=given["token"],
            command=tuple(shlex.split(given["command"] or "mlops-compile")),
        )


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """What an event tells of a pull request."""

    number: int
    base: str
    forked: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> PullRequest | None:
        """That of an event; None of an event of something else."""
        found = event.get("pull_request")
        if found is None:
            return None
        head = found["head"]["repo"]  # null, once a fork is deleted
        names = [head["full_name"] if head else None, found["base"]["repo"]["full_name"]]
        return cls(number=found["number"], base=found["base"]["sha"], forked=names[0] != names[1])


# What is found


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command gave back."""

    code: int
    out: str
    err: str


@dataclass(kw_only=True)
class Found:
    """What was found: reasons not to merge, what is waived, and notes."""

    current: bool = True
    document: Mapping[str, Any] | None = None
    file: Path | None = None
    markdown: str = ""
    unmet: bool = False
    failures: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def compatible(self) -> bool | None:
        """Whether clients are served as before; None where nothing was compared."""
        return None if self.document is None else bool(self.document["api"]["compatible"])

    @property
    def waived(self) -> tuple[str, ...]:
        held = self.document["waivers"] if self.document is not None else ()
        return tuple(sorted({waiver["what"] for waiver in held if waiver["used"]}))


def review(asked: Asked, base: str) -> Found:
    """All that is known of the working tree against a commit (none: it is not compared)."""
    found = Found()
    words = shlex.split(asked.overrides)
    compiled = call(asked, "compile", "--locked", *words)
    if compiled.code == STALE:
        found.current = False
        found.failures.append("`plan.lock.json` is not what the config compiles to")
        found.details.append(compiled.err)
    elif compiled.code:
        found.failures.append("the config does not compile")
        found.details.append(compiled.err)
        return found
    if asked.run and found.current:
        _run(asked, words, found)
    if base:
        _compare(asked, base, found)
    if found.compatible is False and "contract" not in found.waived:
        found.failures.append("the service would break its clients")
    if found.unmet and "gates" not in found.waived:
        found.failures.append("a gate is not met")
    return found


def _run(asked: Asked, words: Sequence[str], found: Found) -> None:
    ran = call(asked, "run", "--locked", "--quiet", *words)
    if ran.code == UNMET:
        found.unmet = True
        found.details.append(ran.err)
    elif ran.code:
        found.failures.append("the plan does not run")
        found.details.append(ran.err)


def _compare(asked: Asked, base: str, found: Found) -> None:
    if not git(asked, "ls-tree", "--name-only", base, "--", "plan.lock.json", "conf").out:
        found.notes.append(f"{base[:12]} has no plan to compare with")
        return
    room = Path(tempfile.mkdtemp(prefix="review-", dir=os.environ.get("RUNNER_TEMP")))
    for form in ("markdown", "json"):
        operands = (f"git:{base}", f"conf:{asked.overrides}")
        told = call(asked, "diff", *operands, "--format", form, "-o", str(room / form))
        if told.code:
            found.failures.append("the plans cannot be compared")
            found.details.append(told.err)
            return
    found.markdown = (room / "markdown").read_text("utf-8")
    found.file = room / "json"
    document: Mapping[str, Any] = json.loads(found.file.read_text("utf-8"))
    found.document = document
    found.unmet = found.unmet or any(not gate["met"] for gate in document["gates"])


def call(asked: Asked, *words: str) -> Said:
    """A verb of mlops-compile in the project; what it says is in the job's log too."""
    print(f"$ mlops-compile {shlex.join(words)}", flush=True)
    said = _called([*asked.command, *words], asked.directory)
    print(said.out + said.err, flush=True)
    return said


def git(asked: Asked, *words: str) -> Said:
    return _called(["git", *words], asked.directory)


def _called(words: Sequence[str], directory: Path) -> Said:
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True)
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def commit_to_compare(asked: Asked, pull: PullRequest | None) -> str:
    """The commit where the checkout leaves its base; the base where the history between is not
    here; empty without a base. SystemExit where there is no such commit."""
    base = asked.base or (pull.base if pull else "")
    if not base:
        return ""
    if git(asked, "cat-file", "-e", f"{base}^{{commit}}").code:
        git(asked, "fetch", "--no-tags", "--depth=1", "origin", base)
    known = git(asked, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    if known.code:
        raise SystemExit(f"the commit {base} is not here: check out with `fetch-depth: 0`")
    left = git(asked, "merge-base", base, "HEAD")
    return (known if left.code else left).out.strip()


# What is told


def marker(asked: Asked) -> str:
    """The first line of the one comment of a project, by which it is found again."""
    what = json.dumps([asked.directory.as_posix(), asked.overrides])
    return f"<!-- mlops-compile review {hashlib.sha256(what.encode()).hexdigest()[:16]} -->"


def text(asked: Asked, found: Found, most: int) -> str:
    """What is wrong, then what the change will do, in so many characters."""
    lines = [marker(asked)]
    if asked.directory != Path():
        lines += [f"Project `{asked.directory.as_posix()}`", ""]
    if found.failures:
        lines += ["**Not to be merged:**", *(f"- {reason}" for reason in found.failures), ""]
    for said in found.details:
        lines += ["<details><summary>What was said</summary>", "", *_block(said), "", "</details>"]
    lines += [f"_{note}_" for note in found.notes]
    head = "\n".join([*lines, "", ""])
    if len(head) + len(found.markdown) <= most:
        return head + found.markdown
    return f"{head}_The rest is in the summary of the job: it is too long for a comment._\n"


def _block(said: str) -> Iterator[str]:
    """What a command said, as text that cannot become markup."""
    shown = said.strip() if len(said) <= _SHOWN else f"{said[:_SHOWN].strip()}\n..."
    yield from (f"    {line}" for line in shown.splitlines())


def tell(asked: Asked, found: Found, environ: Mapping[str, str]) -> None:
    """The job's summary, outputs and annotations."""
    outputs = {
        "current": _word(found.current),
        "compatible": _word(found.compatible),
        "gates": "unmet" if found.unmet else "met",
        "waived": ",".join(found.waived),
        "document": str(found.file or ""),
    }
    _append(environ.get("GITHUB_STEP_SUMMARY"), f"{text(asked, found, MOST_OF_SUMMARY)}\n")
    _append(environ.get("GITHUB_OUTPUT"), "".join(f"{k}={v}\n" for k, v in outputs.items()))
    for reason in found.failures:
        annotate("error", reason)


def _word(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def _append(file: str | None, more: str) -> None:
    if file:
        with open(file, "a", encoding="utf-8") as held:
            held.write(more)


def annotate(sort: str, message: str) -> None:
    """A line that GitHub shows beside the job (error, warning, notice)."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::{sort} title=Plan review::{escaped}", flush=True)


def comment_on(asked: Asked, pull: PullRequest, body: str, environ: Mapping[str, str]) -> str:
    """Why there is no comment; empty where there is one."""
    if pull.forked:
        return "no comment: a pull request from a fork has no token that may write one"
    if not asked.token:
        return "no comment: there is no token"
    github = GitHub(
        api=environ["GITHUB_API_URL"].rstrip("/"),
        repository=environ["GITHUB_REPOSITORY"],
        token=asked.token,
    )
    try:
        comment(github, pull.number, marker(asked), body)
    except Refused as error:
        more = "; the job needs `permissions: pull-requests: write`" if error.status == 403 else ""
        return f"no comment: GitHub says {error}{more}"
    return ""


def main(environ: Mapping[str, str]) -> int:
    """1 where the change should not be merged."""
    asked = Asked.of(environ)
    pull = PullRequest.of(json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text("utf-8")))
    found = review(asked, commit_to_compare(asked, pull))
    if pull is not None and asked.comment:
        if note := comment_on(asked, pull, text(asked, found, MOST), environ):
            found.notes.append(note)
            annotate("notice" if pull.forked else "warning", note)
    tell(asked, found, environ)
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
