"""Chosen: the files that a config is composed of, as far as they can be found without composing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl

from mlops_compile.compiler.compose.choices import Entry, entries_of
from mlops_compile.compiler.compose.guard import refused
from mlops_compile.compiler.compose.marks import found_file
from mlops_compile.compiler.compose.overrides import options_in, parsed
from mlops_compile.compiler.compose.search_path import loader_of, options_of
from mlops_compile.compiler.suggest import nearest
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem

_WORDS = ("override", "optional")


def check_files(composition: Composition) -> None:
    """CompileError for every chosen file that is no config."""
    chosen = Chosen(composition)
    if found := [*chosen.refused, *_no_words(chosen.entries)]:
        raise CompileError(found)


def _no_words(entries: list[Entry]) -> Iterator[Problem]:
    """Words in front of a group that mean nothing: Hydra takes no notice of them."""
    for entry in entries:
        for word in entry.words:
            if word not in _WORDS:
                message = f"{word!r} in front of a group has no meaning"
                hint = nearest(word, _WORDS) or f"an entry is {entry.group}: {entry.option}"
                origin = entry.group_origin
                yield Problem(code="compose", message=message, hint=hint, origin=origin)


class Chosen:
    """The entries of a config's defaults lists and of its overrides, and their files by config
    path. `refused` says of files that are no configs: Hydra would stop at one of them, or read it
    until memory ends."""

    def __init__(self, composition: Composition) -> None:
        self.name = composition.config_name
        self.loader: ConfigLoaderImpl = loader_of(composition.search_path)
        self.options = options_of(composition.search_path)
        self.typed: dict[str, tuple[Entry, ...]] = {}
        for text in composition.overrides:
            if entries := tuple(self._typed(text)):
                self.typed[entries[0].group] = entries
        self.names = [self.name]
        self.entries: list[Entry] = []
        self.files: list[Path] = []
        self.refused: list[Problem] = []
        for name in self.names:
            self._read(name)
            known = set(self.names)
            more = dict.fromkeys(entry.config_path for entry in self.chosen())
            self.names += [path for path in more if path not in known]

    def _read(self, name: str) -> None:
        file = found_file(self.loader, name)
        if file is None:
            return
        if found := list(refused(file)):
            self.refused += found
        else:
            self.files.append(file)
            self.entries += entries_of(self.loader, name)

    def chosen(self) -> list[Entry]:
        """The entries that count: of the command line, then of `override`, then the others."""
        listed = {entry.group: (entry,) for entry in self.entries if entry.overrides}
        over: dict[str, tuple[Entry, ...]] = {**listed, **self.typed}
        plain = [entry for entry in self.entries if not entry.overrides]
        kept = [entry for entry in plain if not entry.group or entry.group not in over]
        typed = [entry for entries in over.values() for entry in entries]
        return [entry for entry in (*kept, *typed) if entry.option]

    def _typed(self, text: str) -> Iterator[Entry]:
        """The options that an override chooses."""
        override = parsed(text)
        if override is None or override.is_delete() or "=" not in text:
            return
        group = override.key_or_group
        if group not in self.options and "/" not in group:
            return
        begin = text.index("=") + 1
        for option in options_in(override, self.options.get(group, ())):
            place = max(text.find(option, begin), begin)
            yield Entry(
                group=group,
                option=option.removesuffix(".yaml"),
                origin=Origin.of_override(text, place, min(place + len(option), len(text))),
                group_origin=Origin.of_override(text, 0, begin - 1),
                overrides=not override.is_add(),
                written=text,
            )
