"""The catalogue of mistakes: tests/mistakes/*.md read as projects, command lines and answers.

A mistake is a heading and its blocks:

    ## A tab for indentation
    ```yaml conf/deploy/http.yaml          a file as it is (`latin-1`, `hex`, `5 MB`: see _bytes)
    ```diff conf/data/shop.yaml            lines of a file that is there, or what is added below it
    ```console                             `$ mlops-compile ...`, stderr, and the exit code
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.project import Answer, mlops

PLACE = Path(__file__).parent / "mistakes"
_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.M | re.S)
_MISTAKE = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.M | re.S)
_CONSOLE = re.compile(r"\A\$ (?P<command>[^\n]*)\n(?P<says>.*)\[exit (?P<code>\d+)\]\n\Z", re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake: blocks (form, name, text) that change a project, a command line, its answer.

    `console` is the whole last block as it stands in the chapter's file.
    """

    chapter: Path
    title: str
    blocks: tuple[tuple[str, str, str], ...]
    words: tuple[str, ...]
    says: str
    code: int
    console: str

    @property
    def name(self) -> str:
        """A name for `pytest -k`."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")

    def make(self, project: Path) -> None:
        """Make the mistake in a project that has none."""
        for form, name, text in self.blocks:
            path, *how = name.split(" ", 1)
            file = project / path
            if form == "diff":
                file.write_text(_patched(file.read_text("utf-8"), text), "utf-8")
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_bytes(text, how[0] if how else "utf-8"))

    def write(self, answer: Answer) -> None:
        """Put an answer into the chapter's file."""
        command = self.console.partition("\n")[0]
        console = f"{command}\n{answer.err}[exit {answer.code}]\n"
        text = self.chapter.read_text("utf-8")
        head, title, rest = text.partition(f"\n## {self.title}\n")
        rest = rest.replace(f"```console\n{self.console}```", f"```console\n{console}```", 1)
        self.chapter.write_text(head + title + rest, "utf-8")


def catalogue() -> Iterator[Mistake]:
    """Every mistake, in the order of the files."""
    for chapter in sorted(PLACE.glob("*.md")):
        for title, body in _MISTAKE.findall(chapter.read_text("utf-8")):
            *blocks, (form, _, console) = _BLOCK.findall(body)
            held = _CONSOLE.match(console)
            assert form == "console" and held, f"{chapter.name}: {title}: its last block"
            yield Mistake(
                chapter=chapter,
                title=title,
                blocks=tuple(blocks),
                words=tuple(shlex.split(held["command"])[1:]),
                says=held["says"],
                code=int(held["code"]),
                console=console,
            )


def answer_of(project: Path, words: tuple[str, ...]) -> Answer:
    """What the command line says of a project, wherever that lies."""
    answer = mlops(project, *words)
    return replace(answer, err=answer.err.replace(str(project), "PROJECT"))


def _patched(text: str, diff: str) -> str:
    """Lines with `-` give way to those with `+` below them; without a `-`, these go to the end."""
    old: list[str] = []
    new: list[str] = []
    for line in (*diff.splitlines(keepends=True), ""):
        if not line or (line.startswith("-") and new):
            before, after = "".join(old), "".join(new)
            assert text.count(before) == 1 or not old, f"not there, or twice: {before!r}"
            text = text.replace(before, after) if old else text + after
            old, new = [], []
        (old if line.startswith("-") else new).append(line[1:])
    return text


def _bytes(text: str, how: str) -> bytes:
    """A file's bytes: in an encoding, from `hex`, or its text again and again up to a size."""
    if how == "hex":
        return bytes.fromhex(text)
    if match := re.match(r"(\d+) MB$", how):
        return (text * (int(match[1]) * 1_000_000 // len(text) + 1)).encode("utf-8")
    return text.encode(how)
