"""Operands of `diff` that are compiled: the working tree's conf/, or that of a revision."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath

from mlops_compile.api.compiling import compile_config
from mlops_compile.api.git import texts_at
from mlops_compile.api.locks import committed_lock
from mlops_compile.api.operand import (
    CONF,
    CONF_DIR,
    Composer,
    Operand,
    is_text,
    refused,
    roots_of,
    texts_of,
)
from mlops_compile.api.sweeping import compile_points
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.compose.origins import SettingsOf, settings_of
from mlops_compile.compiler.waivers import stated_waivers
from mlops_compile.ir.config import LOCK_FILE, Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.origin import Origin, Setting, Settings
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.record import RECORD_FILE
from mlops_compile.ir.sweep import SweepPoint
from mlops_compile.ir.value import Map, leaves


def composed_here(project: Path) -> Composer:
    """Composes overrides, where there is no command line around."""

    def composed(words: Sequence[str]) -> Sequence[Config]:
        return [compose(tuple(words), project)]

    return composed


def of_conf(name: str, project: Path, composer: Composer | None) -> Operand:
    """The working tree's conf/ with overrides, or all points of a sweep over it."""
    try:
        words = shlex.split(name.removeprefix(CONF))
    except ValueError as error:
        raise refused(name, f"its overrides cannot be split: {error}", "mind quotes") from None
    configs = tuple((composer or composed_here(project))(words))
    committed = committed_lock(project / LOCK_FILE)
    what = f"conf/ with {' '.join(words)}" if words else "conf/ as it is here"
    if len(configs) == 1:
        done = compile_config(configs[0], project, committed=committed)
        overrides = configs[0].composition.overrides
        jobs: tuple[int, ...] = (0,)
        points: tuple[SweepPoint, ...] = (SweepPoint(overrides=overrides, lock=done.lock),)
        digest, state, swept = done.lock.digest, done.state, False
    else:
        found = compile_points(configs, project, committed=committed)
        if found.problems or found.state is None:
            raise CompileError(found.problems)
        points, digest = found.sweep.points, found.sweep.digest
        state, swept, jobs = found.state, True, found.jobs
    return Operand(
        name=name,
        what=what,
        points=points,
        swept=swept,
        digest=digest,
        compiled=True,
        state=state,
        texts=_texts_here(project, points),
        settings=_settings([configs[job] for job in jobs]),
        waivers=stated_waivers(configs[0].values),
    )


def _settings(configs: Sequence[Config]) -> Callable[[int], Settings]:
    """The settings of each of the points of these configs, once they are asked for."""
    found = SettingsOf()
    return cache(lambda point: found.of(configs[point].composition))


def of_revision(
    name: str,
    ref: str,
    names: Sequence[str],
    project: Path,
    held: ExitStack,
    other: Lock | None,
) -> Operand:
    """The plan of a revision without a lock: its conf/ compiled, with its own data where that is in
    the revision; else the other operand's stands for it. Its files are copied as long as `held`."""
    conf = [file for file in names if file.startswith(f"{CONF_DIR}/")]
    if not conf:
        message = f"{ref} has neither {LOCK_FILE} nor {CONF_DIR}/"
        raise refused(name, message, "name a revision that has one of them")
    place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="mlops-"))).resolve()
    _copy(project, ref, conf, place)
    moved = f"{place}/", f"{ref}:"
    assumed: set[str] = set()
    try:
        config = compose((), place)
        needed = [file for file in names if _is_needed(file, config.values)]
        _copy(project, ref, needed, place)
        config = replace(config, values=_with_store(config.values, project))
        done = compile_config(
            config, place, committed=other, memo=Memo(), inside=True, assumed=assumed.add
        )
    except CompileError as error:
        found = (replace(item, origin=_moved(item.origin, moved)) for item in error.problems)
        raise CompileError(found) from None
    points = (SweepPoint(overrides=(), lock=done.lock),)
    return Operand(
        name=name,
        what=f"{CONF_DIR}/ at {ref}, which has no lock",
        points=points,
        swept=False,
        digest=done.lock.digest,
        compiled=True,
        texts=texts_of(project, ref, names, points),
        assumed=frozenset(assumed),
        settings=cache(lambda point: _all_moved(settings_of(config.composition), moved)),
        at=moved[1],
    )


def _moved(origin: Origin | None, moved: tuple[str, str]) -> Origin | None:
    """A place in a copy of a revision, told as of that."""
    place, name = moved
    if origin is None or not origin.source.startswith(place):
        return origin
    return replace(origin, source=name + origin.source.removeprefix(place))


def _all_moved(settings: Settings, moved: tuple[str, str]) -> Settings:
    def told(setting: Setting) -> Setting:
        key, value = _moved(setting.key, moved), _moved(setting.value, moved)
        assert key is not None and value is not None
        return replace(setting, key=key, value=value)

    return {path: tuple(map(told, made)) for path, made in settings.items()}


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
    for root in roots_of(points):
        for folder, folders, names in os.walk(project / root):
            folders[:] = [name for name in folders if not _is_foreign(Path(folder, name))]
            for file in (Path(folder, name) for name in names):
                name = file.relative_to(project).as_posix()
                if is_text(name, root) and file.is_file() and not file.is_symlink():
                    found[name] = file.read_bytes()
    return dict(sorted(found.items()))


def _is_foreign(folder: Path) -> bool:
    """Whether a folder holds nothing that people of the project write: it is hidden, that of a run,
    or holds packages."""
    marks = ("pyvenv.cfg", RECORD_FILE)
    return folder.name.startswith(".") or any((folder / mark).exists() for mark in marks)
