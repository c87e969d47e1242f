"""What a step kind declares: enough to compile, key and check it without the code that runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_compile.ir.code import LocatedCode
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, derived_seed
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import KeyPath, Map, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKind:
    """A kind of step.

    `version` rises when the same causes give other bytes than before. `run` names the function
    that does the work (`module:function`). `optional_inputs` and `optional_outputs` are ports that
    a step has only where its config asks for what they carry (`*`: any). `reads` are the parts of
    the config that it may see, as key paths in which `*` stands for any key: its params are exactly
    those parts, so nothing else can touch its key. `trees` are the outputs that are directories.
    `needs`, `seeded` and `imports` (the modules that a run of it will import, for a worker to
    import ahead) follow from the params (another family needs other libraries). `threaded`: more
    threads make it faster. `retries`: how often it is tried again after it failed, for what can
    fail by chance.
    """

    name: str
    version: int
    run: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...]
    optional_inputs: tuple[str, ...] = ()
    optional_outputs: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    reads: tuple[KeyPath, ...]
    needs: Callable[[Map], Needs]
    seeded: Callable[[Map], bool] = lambda params: False
    imports: Callable[[Map], tuple[str, ...]] = lambda params: ()
    threaded: bool = False
    retries: int = 0

    def has_ports(self, inputs: Collection[str], outputs: Collection[str]) -> bool:
        """Whether a step of this kind can have just these ports."""
        most = {*self.inputs, *(inputs if "*" in self.optional_inputs else self.optional_inputs)}
        made = {*self.outputs, *self.optional_outputs}
        return {*self.inputs} <= {*inputs} <= most and {*self.outputs} <= {*outputs} <= made

    def load(self) -> Callable[[Work], None]:
        """The function that runs a step of this kind; imports what it needs."""
        module, _, function = self.run.partition(":")
        run: Callable[[Work], None] = getattr(importlib.import_module(module), function)
        return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that a running step sees.

    `inputs` are verified files (or directories) to read, `digests` their digests; every output is
    to be written at its path in `outputs` (a tree's directory is there already). `snapshot` is the
    pinned content of `source`, `code` the functions of the user. `seed` is the plan's seed; draw
    with `seed_for`. `key` is the step's own key, which its causes alone make. `told` takes facts
    for people, such as how fast something was: they are kept beside the result, and are no part of
    it.
    """

    step: str
    params: Map
    inputs: Mapping[str, Path]
    digests: Mapping[str, Digest]
    outputs: Mapping[str, Path]
    threads: int
    key: str = ""
    seed: int | None = None
    source: Source | None = None
    snapshot: Path | None = None
    contract: Contract | None = None
    code: LocatedCode | None = None
    told: dict[str, Value] = field(default_factory=dict)

    def seed_for(self, *roles: str) -> int:
        """The seed of one use of randomness; equal wherever the same step stands."""
        if self.seed is None:
            raise ValueError(f"{self.step} draws random numbers, but its kind declares no seed")
        return derived_seed(self.seed, *roles)
