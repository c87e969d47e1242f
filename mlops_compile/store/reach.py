"""What a lock reaches: the actions of its plan, on any machine, and its sources' contents."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, Value, canonical
from mlops_compile.store.store import Store

_SHAPE = ("kind", "version", "params", "outputs", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What must stay: actions by key, and blobs by sha256, with who makes them as outputs.

    `shapes` are pairs of a shape and of the content of a source: actions of that shape stay where
    they derive from that content, or where it is not known any more what they derive from.
    """

    keys: frozenset[str] = frozenset()
    blobs: frozenset[str] = frozenset()
    shapes: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: Marks) -> Marks:
        return Marks(
            keys=self.keys | other.keys,
            blobs=self.blobs | other.blobs,
            shapes=self.shapes | other.shapes,
        )


def reach(lock: Lock, needs: Mapping[str, Needs] | None, store: Store) -> Marks:
    """What a lock reaches in a store.

    `needs` are those of its steps; without them (a lock of kinds that are not known here) steps are
    known by their shapes. So are steps behind one whose record is lost: what they took cannot be
    told until it is made again.
    """
    sources = frozenset(source.digest.sha256 for _, source in lock.sources)
    contents = sources | {part for _, source in lock.sources for part in _parts(source, store)}
    if needs is None:
        return Marks(blobs=contents, shapes=_shapes(lock.plan.steps, sources))
    plan_keys = {step: key_of(causes) for step, causes in plan_preimages(lock, needs).items()}
    known = store.plans(tuple(plan_keys.values()))
    keys: set[str] = set()
    made: dict[str, list[Mapping[str, Digest]]] = {}
    behind = []
    for step in lock.plan.steps:
        candidates = [_platformless(lock, step, needs[step.name], i) for i in _inputs(step, made)]
        variants = store.index.variants(candidates)
        found = {*known.get(plan_keys[step.name], ()), *(k for v in variants.values() for k in v)}
        made[step.name] = list(_outputs(store, found))
        keys |= found | set(_tried(store, found))
        if not all(made[ref.step] for _, ref in step.inputs):
            behind.append(step)
    return Marks(keys=frozenset(keys), blobs=contents, shapes=_shapes(behind, sources))


def _parts(source: Source, store: Store) -> Iterator[str]:
    """The files of a source that is a folder, as far as the store knows them."""
    if source.files is not None:
        with contextlib.suppress(StoreError):
            yield from (digest.sha256 for _, digest in store.blobs.tree(source.digest))


def _shapes(steps: Iterable[Step], sources: frozenset[str]) -> frozenset[tuple[str, str]]:
    return frozenset(product(map(_shape_of_step, steps), sources))


def shape_of(preimage: Map) -> str:
    """What a step is, whatever it takes and wherever it runs."""
    told: tuple[Value, ...] = tuple(preimage.get(name) for name in _SHAPE)
    return hashlib.sha256(canonical(told)).hexdigest()


def _shape_of_step(step: Step) -> str:
    return shape_of(
        Map(
            {
                "kind": step.kind,
                "version": step.version,
                "params": step.params,
                "outputs": step.outputs,
                "seed": step.seed,
            }
        )
    )


def _inputs(
    step: Step, made: Mapping[str, Sequence[Mapping[str, Digest]]]
) -> Iterator[Mapping[str, Digest]]:
    """Every choice of inputs that earlier steps have made; one step's outputs belong together."""
    names = sorted({ref.step for _, ref in step.inputs})
    seen = set()
    for chosen in product(*(made[name] for name in names)):
        outputs = dict(zip(names, chosen, strict=True))
        if all(ref.output in outputs[ref.step] for _, ref in step.inputs):
            inputs = {port: outputs[ref.step][ref.output] for port, ref in step.inputs}
            told = tuple(sorted(inputs.items()))
            if told not in seen:
                seen.add(told)
                yield inputs


def _platformless(lock: Lock, step: Step, needs: Needs, inputs: Mapping[str, Digest]) -> str:
    here = Needs(distributions=needs.distributions, contract=needs.contract)
    return key_of(action_preimage(lock, step, here, inputs, Map()))


def _tried(store: Store, keys: set[str]) -> Iterator[str]:
    """The trials of a search, which its record names: a larger one begins with them."""
    for key in sorted(keys):
        action = store.records.read(key)
        trials = action.about.get("trials", ()) if action is not None else ()
        yield from map(str, trials if isinstance(trials, tuple) else ())


def _outputs(store: Store, keys: set[str]) -> Iterator[Mapping[str, Digest]]:
    for key in sorted(keys):
        action = store.records.read(key)
        if action is not None:
            yield dict(action.outputs)
