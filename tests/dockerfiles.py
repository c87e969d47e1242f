"""Carries out a Dockerfile without Docker: each stage is a directory, and absolute paths of it that
commands name are taken below it."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Directories that stages make; others that commands name are this machine's.
_OWN = re.compile(r"(?<![\w./])/(bundle|cache|log|venv)(?![\w])")


@dataclass
class Image:
    """A stage: its root, and what the instructions said of it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = ""
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def place(self, path: str) -> Path:
        """The directory that stands for a path of this stage."""
        absolute = path if path.startswith("/") else f"{self.directory}/{path}"
        return self.root / absolute.strip("/")

    def words(self, text: str) -> str:
        """A text with the stage's directories in place of its absolute paths."""
        return _OWN.sub(lambda found: str(self.root / found[1]), text)

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.words(word) for word in command],
            cwd=self.place("."),
            env={**os.environ, **self.environment},
            capture_output=True,
        )

    def is_healthy(self) -> bool:
        """What its HEALTHCHECK says."""
        return self.run(*self.health).returncode == 0


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with what stands behind each; continued lines are one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.partition(" ") for line in joined.split("\n")]
    return [(name, rest.strip()) for name, _, rest in found]


def build(context: Path, stages: Path) -> Image:
    """The last stage of a context's Dockerfile. AssertionError for an instruction that is not known
    here, or a command that fails."""
    ignored = (context / ".dockerignore").read_text().split()
    known: dict[str, Image] = {}
    image = Image(root=stages)
    for name, rest in instructions((context / "Dockerfile").read_text()):
        match name:
            case "ARG" | "LABEL" | "EXPOSE":
                pass
            case "FROM":
                stage = rest.partition(" AS ")[2] or "last"
                image = known[stage] = Image(root=stages / stage)
                image.root.mkdir(parents=True)
                # The image's own Python, by the name that commands have for it.
                (image.root / "bin").mkdir()
                (image.root / "bin" / "python").symlink_to(sys.executable)
                path = f"{image.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
                image.environment["PATH"] = path
            case "WORKDIR":
                image.directory = rest
                image.place(".").mkdir(exist_ok=True)
            case "ENV":
                for word in shlex.split(rest):
                    key, _, value = word.partition("=")
                    value = value.replace("$PATH", image.environment["PATH"])
                    image.environment[key] = image.words(value)
            case "COPY":
                _copy(rest, context, ignored, image, known)
            case "RUN":
                done = image.run("sh", "-e", "-c", rest)
                assert done.returncode == 0, (rest, done.stderr.decode())
            case "USER":
                image.user = rest
            case "HEALTHCHECK":
                image.health = json.loads(rest.partition("CMD ")[2])
            case "CMD":
                image.command = [image.words(word) for word in json.loads(rest)]
            case _:
                raise AssertionError(f"{name} is not known here")
    return image


def _copy(
    rest: str, context: Path, ignored: list[str], image: Image, known: dict[str, Image]
) -> None:
    words = rest.split()
    flags = dict(word[2:].split("=") for word in words if word.startswith("--"))
    source, target = (word for word in words if not word.startswith("--"))
    place = image.place(target)
    if "from" in flags:
        shutil.copytree(known[flags["from"]].place(source), place, symlinks=True)
        if target == "/venv":  # which names its own place in what it runs
            text = place / "pyvenv.cfg"
            assert text.is_file()
        return
    place.mkdir(parents=True, exist_ok=True)
    files = [source] if source != "." else sorted(os.listdir(context))
    for file in files:
        if any(fnmatch.fnmatch(file, pattern) for pattern in ignored):
            continue
        if (context / file).is_dir():
            shutil.copytree(context / file, place / file)
        else:
            shutil.copyfile(context / file, place / file)
