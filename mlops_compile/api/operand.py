"""What an operand of `diff` stands for: plans, and what stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlops_compile.api.git import texts_at
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.origin import Settings
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.sweep import SweepPoint

if TYPE_CHECKING:
    from mlops_compile.api.state import State
    from mlops_compile.compiler.spec import StatedWaiver

GIT, CONF, REGISTRY = "git:", "conf:", "registry:"
CONF_DIR = "conf"

# The configs of words of a command line: flags of Hydra and overrides.
Composer = Callable[[Sequence[str]], Sequence[Config]]


@dataclass(frozen=True, kw_only=True)
class Operand:
    """What an operand names: its points (one, unless it is a sweep), how they came to be, and what
    stands behind them as far as that is there.

    `what` says in words what was read; `compiled`: it was compiled here and now. `texts` are the
    project's config and code files by name, `run` the directory of a run that ended. `assumed`
    names sources whose content is not known, and taken from the other operand. `settings` says
    where each key of a point's config was set: nothing where it was not compiled here. `at` stands
    before the names of `texts` where these are told.
    `waivers` are what the working tree's config accepts.
    """

    name: str
    what: str
    points: tuple[SweepPoint, ...]
    swept: bool
    digest: str
    compiled: bool = False
    state: State | None = None
    texts: Mapping[str, bytes] | None = None
    run: Path | None = None
    assumed: frozenset[str] = frozenset()
    settings: Callable[[int], Settings] = lambda point: {}
    at: str = ""
    waivers: tuple[StatedWaiver, ...] = ()

    @property
    def lock(self) -> Lock:
        """That of the first point."""
        return self.points[0].lock


def refused(name: str, message: str, hint: str) -> CompileError:
    """That an operand names no plan."""
    return CompileError([problem("operand", f"{name}: {message}", hint=hint)])


def texts_of(
    project: Path, ref: str, names: Sequence[str], points: Sequence[SweepPoint]
) -> Mapping[str, bytes]:
    """Those of a revision."""
    roots = [*roots_of(points)]
    wanted = [name for name in names if any(is_text(name, root) for root in roots)]
    return texts_at(project, ref, wanted)


def roots_of(points: Sequence[SweepPoint]) -> Iterator[str]:
    yield CONF_DIR
    yield from points[0].lock.code.roots


def is_text(name: str, root: str) -> bool:
    """Whether a file is of a project's config, or of the code below another root; none in a hidden
    folder is."""
    file = PurePosixPath(name)
    if not file.is_relative_to(root) or any(part.startswith(".") for part in file.parts[:-1]):
        return False
    return file.suffix == (".yaml" if root == CONF_DIR else ".py")
