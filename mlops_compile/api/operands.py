"""Operands of `diff`: what is named becomes plans, with the configs and files behind them."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mlops_compile.api.compiling import compile_config
from mlops_compile.api.git import files_at, has_git, is_at, names_at, texts_at
from mlops_compile.api.locks import committed_lock
from mlops_compile.api.state import State
from mlops_compile.api.sweeping import compile_points
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.compose.origins import settings_of
from mlops_compile.ir.config import LOCK_FILE, Config
from mlops_compile.ir.lock import Lock, parse_document, read_value
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.origin import Origin, Settings
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.sweep import Sweep, SweepPoint, decode_sweep, is_sweep
from mlops_compile.ir.value import Map, leaves

GIT, CONF = "git:", "conf:"
CONF_DIR = "conf"
_POINT = re.compile(r"(.+)#(\d+)\Z", re.DOTALL)
_RECORD = "record.json"

# The configs of words of a command line: flags of Hydra and overrides.
Composer = Callable[[Sequence[str]], Sequence[Config]]


@dataclass(frozen=True, kw_only=True)
class Operand:
    """What an operand names: its points (one, unless it is a sweep), how they came to be, and what
    stands behind them as far as that is there.

    `what` says in words what was read. `configs` are those of points that were compiled here.
    `texts` are the project's config and code files by name, `run` the directory of a run that
    ended. `assumed` names sources whose content is not known, and taken from the other operand.
    """

    name: str
    what: str
    points: tuple[SweepPoint, ...]
    swept: bool
    digest: str
    configs: tuple[Config, ...] = ()
    state: State | None = None
    texts: Mapping[str, bytes] | None = None
    run: Path | None = None
    assumed: frozenset[str] = frozenset()
    moved: tuple[tuple[str, str], ...] = ()
    _settings: dict[int, Settings] = field(default_factory=dict, repr=False)

    @property
    def lock(self) -> Lock:
        """That of the first point."""
        return self.points[0].lock

    def settings(self, point: int = 0) -> Settings:
        """Where each key of a point's config was set; nothing where it was not compiled here."""
        if point >= len(self.configs):
            return {}
        if point not in self._settings:
            self._settings[point] = settings_of(self.configs[point].composition)
        return self._settings[point]

    def shown(self, origin: Origin) -> Origin:
        """An origin under the name that people know: that of a copied revision is its own."""
        return _shown(origin, self.moved)


class Operands:
    """Reads operands against one project. Copies of revisions last as long as its context."""

    def __init__(self, project: Path, composer: Composer, held: ExitStack) -> None:
        self._project = project
        self._composer = composer
        self._held = held
        self._memo = Memo()

    def read(self, name: str, other: Lock | None = None) -> Operand:
        """What an operand names. `other` is the other operand's lock: where a revision has none,
        and its data lies elsewhere, that one's data stands for its own. CompileError says what is
        wrong with it."""
        if name.startswith(CONF):
            return self._compiled(name)
        if name.startswith(GIT):
            return self._at_revision(name, other)
        return self._of_path(name)

    # The working tree

    def _compiled(self, name: str) -> Operand:
        try:
            words = shlex.split(name.removeprefix(CONF))
        except ValueError as error:
            raise _refused(name, f"its overrides cannot be split: {error}", "mind quotes") from None
        configs = tuple(self._composer(words))
        committed = committed_lock(self._project / LOCK_FILE)
        what = f"conf/ with {' '.join(words)}" if words else "conf/ as it is here"
        if len(configs) == 1:
            done = compile_config(configs[0], self._project, committed=committed)
            points: tuple[SweepPoint, ...] = (
                SweepPoint(overrides=configs[0].composition.overrides, lock=done.lock),
            )
            digest, state, swept = done.lock.digest, done.state, False
        else:
            found = compile_points(configs, self._project, committed=committed)
            if found.problems or found.state is None:
                raise CompileError(found.problems)
            sweep = found.sweep
            points, digest, state, swept = sweep.points, sweep.digest, found.state, True
            configs = tuple(point.config for point in found.points)
        return Operand(
            name=name,
            what=what,
            points=points,
            swept=swept,
            digest=digest,
            configs=configs,
            state=state,
            texts=_texts_here(self._project, points),
        )

    # A revision

    def _at_revision(self, name: str, other: Lock | None) -> Operand:
        text, number = _numbered(name.removeprefix(GIT))
        ref, _, path = text.partition(":")
        self._check(name, ref)
        file = path or LOCK_FILE
        names = names_at(self._project, ref)
        if path and path.rstrip("/") not in names:
            below = f"{path.rstrip('/')}/{LOCK_FILE}"
            if below not in names:
                raise _refused(
                    name, f"{ref} has no file {path}", "paths are relative to the project"
                )
            file = below
        content = files_at(self._project, [ref], file)[ref] if file in names else None
        if content is None:
            return self._copied(name, ref, names, other)
        points, digest, swept = self._decoded(content, f"{file} at {ref}")
        return _numbered_point(
            Operand(
                name=name,
                what=f"{file} at {ref}",
                points=points,
                swept=swept,
                digest=digest,
                texts=_texts_of(self._project, ref, names, points),
            ),
            number,
        )

    def _check(self, name: str, ref: str) -> None:
        if not has_git(self._project):
            hint = f"git init, or name a lock file ({LOCK_FILE}) or conf:"
            raise _refused(name, "the project is in no git repository", hint)
        if not ref or not is_at(self._project, ref):
            commits = is_at(self._project, "HEAD")
            hint = "`git log --all` lists the commits that there are"
            message = f"there is no commit {ref!r}" if commits else "there is no commit yet"
            raise _refused(name, message, hint if commits else "commit first, or name a lock file")

    def _copied(self, name: str, ref: str, names: Sequence[str], other: Lock | None) -> Operand:
        """The plan of a revision without a lock: its conf/ compiled, with its own data where that
        is in the revision; else the other operand's stands for it."""
        conf = [file for file in names if file.startswith(f"{CONF_DIR}/")]
        if not conf:
            message = f"{ref} has neither {LOCK_FILE} nor {CONF_DIR}/"
            raise _refused(name, message, "name a revision that has one of them")
        made = tempfile.TemporaryDirectory(prefix="mlops-")
        place = Path(self._held.enter_context(made)).resolve()
        _copy(self._project, ref, conf, place)
        moved = ((f"{place}/", f"{ref}:"),)
        try:
            return self._compiled_copy(name, ref, names, place, moved, other)
        except CompileError as error:
            raise CompileError(_moved(found, moved) for found in error.problems) from None

    def _compiled_copy(
        self,
        name: str,
        ref: str,
        names: Sequence[str],
        place: Path,
        moved: tuple[tuple[str, str], ...],
        other: Lock | None,
    ) -> Operand:
        config = compose((), place)
        needed = {file for file in names if _is_needed(file, config.values)}
        _copy(self._project, ref, sorted(needed), place)
        assumed: set[str] = set()
        config = replace(config, values=_with_store(config.values, self._project))
        done = compile_config(
            config, place, committed=other, memo=Memo(), inside=True, assumed=assumed.add
        )
        points = (SweepPoint(overrides=(), lock=done.lock),)
        return Operand(
            name=name,
            what=f"{CONF_DIR}/ at {ref}, which has no lock",
            points=points,
            swept=False,
            digest=done.lock.digest,
            configs=(config,),
            texts=_texts_of(self._project, ref, names, points),
            assumed=frozenset(assumed),
            moved=moved,
        )

    # A file or directory

    def _of_path(self, name: str) -> Operand:
        path, number = Path(name), None
        if not path.exists():
            text, number = _numbered(name)
            path = Path(text)
        run = path if path.is_dir() else None
        file = path / LOCK_FILE if run else path
        if run is not None and not file.is_file():
            hint = "name a lock file, or a directory below outputs/ or multirun/"
            raise _refused(name, f"{path} holds no {LOCK_FILE}", hint)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            hint = "PATH of a lock or run directory, git:REV, or conf:OVERRIDES"
            raise _refused(name, f"there is no file {file}", hint) from None
        except OSError as error:
            raise _refused(name, f"{file} cannot be read: {error.strerror}", "") from None
        points, digest, swept = self._decoded(content, str(file))
        what = f"the run in {path}" if run else f"the lock {file}"
        return _numbered_point(
            Operand(
                name=name,
                what=what,
                points=points,
                swept=swept,
                digest=digest,
                run=run if run and (run / _RECORD).is_file() else None,
            ),
            number,
        )

    def _decoded(self, content: bytes, name: str) -> tuple[tuple[SweepPoint, ...], str, bool]:
        """The points of a lock's bytes, its digest, and whether it is a sweep's."""
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CompileError([problem("lock", f"{name} cannot be read: {error}")]) from None
        value = parse_document(text, name)
        if is_sweep(value):
            sweep = decode_sweep(value, name)
            return sweep.points, sweep.digest, True
        lock = read_value(value, name, self._memo)
        return (SweepPoint(overrides=(), lock=lock),), lock.digest, False


def _shown(origin: Origin, moved: Iterable[tuple[str, str]]) -> Origin:
    for place, name in moved:
        if origin.source.startswith(place):
            return replace(origin, source=name + origin.source.removeprefix(place))
    return origin


def _moved(found: Problem, moved: Iterable[tuple[str, str]]) -> Problem:
    """A problem in a copy of a revision, told as of that."""
    return replace(found, origin=_shown(found.origin, moved)) if found.origin else found


def _numbered(text: str) -> tuple[str, int | None]:
    """A text without the number of a point, `#3`, and that."""
    found = _POINT.match(text)
    return (found[1], int(found[2])) if found else (text, None)


def _numbered_point(operand: Operand, number: int | None) -> Operand:
    """One point of a sweep; all that there is where no number is given."""
    if number is None:
        return operand
    count = len(operand.points)
    if not operand.swept:
        hint = "leave #N out, or name the lock of a sweep"
        raise _refused(operand.name, f"{operand.what} is no sweep, and has no points", hint)
    if number >= count:
        hint = f"points are numbered from 0 to {count - 1}"
        raise _refused(operand.name, f"{operand.what} has {count} points", hint)
    point = operand.points[number]
    return replace(
        operand,
        what=f"point {number} ({' '.join(point.overrides)}) of {operand.what}",
        points=(point,),
        swept=False,
        digest=point.lock.digest,
        run=None,
    )


def sweep_of(operand: Operand) -> Sweep:
    """The points of an operand as a sweep."""
    return Sweep(points=operand.points)


def _refused(name: str, message: str, hint: str) -> CompileError:
    return CompileError([problem("operand", f"{name}: {message}", hint=hint)])


def _copy(project: Path, ref: str, names: Sequence[str], place: Path) -> None:
    """Write files of a revision below a directory."""
    for name, content in texts_at(project, ref, names).items():
        if ".." not in PurePosixPath(name).parts:
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def _is_needed(name: str, values: Map) -> bool:
    """Whether a config names a file, or a folder or pattern that holds it, of data or of code."""
    file = PurePosixPath(name)
    stated = [
        item
        for group in ("data", "code")
        for _, value in leaves(values.get(group))
        for item in (value if isinstance(value, tuple) else (value,))
        if isinstance(item, str) and item
    ]
    return any(
        file.is_relative_to(PurePosixPath(text)) or (_is_pattern(text) and file.match(text))
        for text in stated
    )


def _is_pattern(text: str) -> bool:
    return not {"*", "?", "["}.isdisjoint(text)


def _with_store(values: Map, project: Path) -> Map:
    """A config whose state lies in the project, wherever its copy does: what was seen is kept."""
    store = values.get("store")
    if not isinstance(store, Map) or not isinstance(store.get("uri"), str):
        return values
    uri = str(project.absolute() / str(store["uri"]))
    return Map({**values, "store": Map({**store, "uri": uri})})


def _texts_here(project: Path, points: Sequence[SweepPoint]) -> dict[str, bytes]:
    """The config and code files of the working tree."""
    found: dict[str, bytes] = {}
    for root in _roots(points):
        for file in sorted((project / root).rglob("*")) if (project / root).is_dir() else ():
            if _is_text(file.name) and file.is_file() and not file.is_symlink():
                found[file.relative_to(project).as_posix()] = file.read_bytes()
    return found


def _texts_of(
    project: Path, ref: str, names: Sequence[str], points: Sequence[SweepPoint]
) -> Mapping[str, bytes]:
    """Those of a revision."""
    roots = [PurePosixPath(root) for root in _roots(points)]
    wanted = [
        name
        for name in names
        if _is_text(name) and any(PurePosixPath(name).is_relative_to(root) for root in roots)
    ]
    return texts_at(project, ref, wanted)


def _roots(points: Sequence[SweepPoint]) -> Iterator[str]:
    yield CONF_DIR
    yield from points[0].lock.code.roots


def _is_text(name: str) -> bool:
    return name.endswith((".yaml", ".py"))
