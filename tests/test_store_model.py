"""The store against a model of dicts: whatever is run, pinned, collected, damaged and forgotten."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.key import Needs, action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock, decode, encode
from mlops_compile.ir.plan import Plan, Ref, Step
from mlops_compile.ir.problem import CompileError, StoreError
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, Value
from mlops_compile.store.actions import Action
from mlops_compile.store.census import take_census
from mlops_compile.store.collect import collect
from mlops_compile.store.commit import Staged
from mlops_compile.store.forget import Beside, forget
from mlops_compile.store.fsck import check
from mlops_compile.store.garbage import Limits
from mlops_compile.store.reach import Marks, reach
from mlops_compile.store.store import Store
from tests.strategies import BASE, lock_of

CONTRACT: Contract = lock_of(BASE).contract
# Contents that differ, but of which the first two give the same table.
CONTENTS = (b"1,2\n", b"1,2\r\n", b"3,4\n", b"5,6\n")
PLATFORMS = (Map({"os": "here"}), Map({"os": "there"}))


def step(name: str, param: int, *inputs: str, extra: str = "") -> Step:
    refs = [(maker, Ref(step=maker, output="out")) for maker in inputs]
    refs += [("extra", Ref(step=extra, output="extra"))] if extra else []
    return Step(
        name=name,
        kind=name,
        version=1,
        params=Map({"p": param}),
        inputs=tuple(refs),
        outputs=("extra", "out"),
        source=None if inputs else "data",
    )


def lock_of_plan(content: int, params: tuple[int, int, int]) -> Lock:
    """A plan of four steps: read, clean, fit, and score, which takes the outputs of all three; that
    of `read` is one that every step of every source gives."""
    a, b, c = params
    steps = (
        step("read", 0),
        step("clean", a, "read"),
        step("fit", b, "clean"),
        step("score", c, "clean", "fit", extra="read"),
    )
    data = CONTENTS[content]
    source = Source(
        kind="csv", location=f"{content}.csv", digest=digest_of(data), rows=1, columns=()
    )
    return Lock(
        plan=Plan(steps=steps), sources=(("data", source),), environment=(), contract=CONTRACT
    )


def needs(lock: Lock) -> Mapping[str, Needs]:
    return {s.name: Needs(platform=s.name == "fit") for s in lock.plan.steps}


def result(s: Step, port: str, inputs: Mapping[str, bytes], content: bytes) -> bytes:
    """What a step makes: equal for some causes that are not, and for `clean` what it took."""
    match s.name, port:
        case "read", "out":
            return content.replace(b"\r", b"")
        case "clean", "out":
            return inputs["read"] if s.params["p"] == 0 else inputs["read"] + b"clean"
        case _, "extra":
            return b"an extra that many share"
        case _:
            return repr((s.name, s.params["p"] in (1, 2), sorted(inputs.items()))).encode() * 20


@dataclass
class Made:
    """An action of the model."""

    blobs: frozenset[str]
    takes: frozenset[str]
    makes: frozenset[str]
    shape: tuple[str, Value]
    content: str
    used: float


locks = st.builds(
    lock_of_plan,
    st.integers(0, len(CONTENTS) - 1),
    st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 1)),
)
platforms = st.sampled_from(PLATFORMS)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.beside = Beside(cache=self.place / "cache", logs=self.place / "logs")
        self.now = 1e9
        self.made: dict[str, Made] = {}
        self.snapshots: set[str] = set()
        self.pins: dict[str, Lock] = {}
        self.live: list[tuple[Lock, contextlib.ExitStack]] = []
        self.index_hurt = False
        self.uses_known = True
        self.store = self.opened()

    def opened(self) -> Store:
        return Store(self.place / "store", lambda: self.now)

    def teardown(self) -> None:
        for _, stack in self.live:
            stack.close()
        self.store.close()
        shutil.rmtree(self.place)

    # What the model expects

    def walk(self, lock: Lock, platform: Map) -> dict[str, tuple[Step, Map, dict[str, bytes]]]:
        """Each action of a lock on a machine, made or not: step, preimage, outputs."""
        content = CONTENTS[int(lock.source("data").location[0])]
        outputs: dict[str, dict[str, bytes]] = {}
        found = {}
        for s in lock.plan.steps:
            inputs = {port: outputs[ref.step][ref.output] for port, ref in s.inputs}
            digests = {port: digest_of(data) for port, data in inputs.items()}
            preimage = action_preimage(lock, s, needs(lock)[s.name], digests, platform)
            outputs[s.name] = {port: result(s, port, inputs, content) for port in s.outputs}
            found[key_of(preimage)] = (s, preimage, outputs[s.name])
        return found

    def reached(self, lock: Lock) -> set[str]:
        """What must stay for a lock: made of what its steps before have made, or, behind one that
        is not made, of its content as far as that is known."""
        content = lock.source("data").digest.sha256
        derived = {k for k in self.made if content in self.origins(k)} | self.unknown()
        walks = [self.walk(lock, platform) for platform in PLATFORMS]
        found: set[str] = set()
        whole: set[str] = set()  # steps that are made, with all before them
        for s in lock.plan.steps:
            keys = {k for walk in walks for k, w in walk.items() if w[0] == s} & self.made.keys()
            walked = all(ref.step in whole for _, ref in s.inputs)
            found |= keys if walked else keys & derived
            whole |= {s.name} if keys and walked else set()
        # Whatever makes the content of its source as a result stays, too.
        return found | {key for key, made in self.made.items() if content in made.makes}

    def above(self, keys: set[str]) -> set[str]:
        """Keys and those of all that made what they take, at any distance."""
        found = set(keys)
        while more := {
            key
            for key, made in self.made.items()
            if key not in found and any(made.makes & self.made[k].takes for k in found)
        }:
            found |= more
        return found

    def below(self, content: str) -> set[str]:
        """Keys of all that may derive from a content, going by equal bytes alone."""
        found = {key for key, made in self.made.items() if made.content == content}
        while more := {
            key
            for key, made in self.made.items()
            if key not in found and any(made.takes & self.made[k].makes for k in found)
        }:
            found |= more
        return found

    def given(self, among: set[str], without: str | None = None) -> set[str]:
        """What of some actions could be made by these alone, from other contents than one."""
        found: set[str] = set()
        there: set[str] = set()
        while more := {
            key
            for key in among - found
            if self.made[key].takes <= there and self.made[key].content != without
        }:
            found |= more
            there = set().union(*(self.made[key].makes for key in found))
        return found

    def unknown(self) -> set[str]:
        return self.made.keys() - self.given({*self.made})

    def origins(self, key: str) -> set[str]:
        """The contents without which an action would not be; where each alone would do, all."""
        every = {digest_of(content).sha256 for content in CONTENTS}
        found = {c for c in every if key in self.below(c) - self.given({*self.made}, c)}
        return found or {c for c in every if key in self.below(c)}

    def roots(self) -> list[Lock]:
        return [*self.pins.values(), *(lock for lock, _ in self.live)]

    def exact(self, lock: Lock) -> bool:
        """Whether it can be told which actions are of a lock. Behind a step that is not made they
        are known by what they are alone, so that more may stay."""
        steps = lock.plan.steps
        walks = [self.walk(lock, platform) for platform in PLATFORMS]
        names = {w[0].name for walk in walks for key, w in walk.items() if key in self.made}
        made = [s.name in names for s in steps]
        behind = steps[made.index(False) + 1 :] if False in made else ()
        return not {(s.name, s.params["p"]) for s in behind} & {m.shape for m in self.made.values()}

    def mark(self, text: str) -> Marks:
        lock = decode(text)
        return reach(lock, needs(lock), self.store)

    # What happens

    @rule(lock=locks, platform=platforms, one_by_one=st.booleans(), data=st.data())
    def run(self, lock: Lock, platform: Map, one_by_one: bool, data: st.DataObject) -> None:
        """Run a lock, or the first steps of it."""
        self.now += 10_000
        source = lock.source("data")
        plans = {name: key_of(causes) for name, causes in plan_preimages(lock, needs(lock)).items()}
        batch: list[Staged] = []
        steps = list(self.walk(lock, platform).items())
        with self.store.scratch(encode(lock)) as scratch:
            (scratch / "source").write_bytes(CONTENTS[int(source.location[0])])
            via = scratch / "via"
            assert self.store.blobs.import_file(scratch / "source", via, source.digest)
            self.snapshots.add(source.digest.sha256)
            for n, (key, (s, preimage, outputs)) in enumerate(
                steps[: data.draw(st.integers(1, len(steps)), label="steps")]
            ):
                if self.store.find(key, plans[s.name]) is None:
                    files = []
                    for port, made in outputs.items():
                        (scratch / f"{n}{port}").write_bytes(made)
                        files.append((scratch / f"{n}{port}", digest_of(made)))
                    ports = tuple(zip(outputs, (digest for _, digest in files), strict=True))
                    action = Action(
                        step=s.name,
                        kind=s.kind,
                        preimage=preimage,
                        outputs=ports,
                        blobs=tuple(digest for _, digest in files),
                        seconds=1.0,
                        plan=plans[s.name],
                        made=self.now,
                        about=Map({"location": source.location} if s.source else {}),
                    )
                    batch.append(Staged(key=key, action=action, files=tuple(files)))
                else:
                    assert key in self.made
                out = frozenset(digest_of(made).sha256 for made in outputs.values())
                takes = preimage["inputs"].values()  # type: ignore[union-attr]
                self.made[key] = Made(
                    blobs=out,
                    takes=frozenset(map(str, takes)),
                    makes=out,
                    shape=(s.name, s.params["p"]),
                    content=source.digest.sha256 if s.source else "",
                    used=self.now,
                )
                if one_by_one:
                    self.store.commit(batch)
                    batch = []
            self.store.commit(batch)
        self.store.flush()

    @rule(lock=locks, name=st.sampled_from("ab"))
    def pin(self, lock: Lock, name: str) -> None:
        self.store.pins.put(name, encode(lock))
        self.pins[name] = lock

    @rule(name=st.sampled_from("ab"))
    def unpin(self, name: str) -> None:
        assert self.store.pins.remove(name) == (self.pins.pop(name, None) is not None)

    @precondition(lambda self: len(self.live) < 2)
    @rule(lock=locks)
    def begin(self, lock: Lock) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(self.opened().scratch(encode(lock)))
        self.live.append((lock, stack))

    @precondition(lambda self: self.live)
    @rule()
    def end(self) -> None:
        self.live.pop(0)[1].close()

    @rule(budget=st.none() | st.integers(0, 6000), days=st.none() | st.integers(0, 5))
    def gc(self, budget: int | None, days: int | None) -> None:
        since = None if days is None else self.now - days * 10_000
        marks = Marks()
        for text in self.store.pins.all().values():
            marks |= self.mark(text)
        limits = Limits(budget=budget, since=since)
        said = collect(self.store, self.mark, marks, limits, dry_run=True)
        did = collect(self.store, self.mark, marks, limits)
        assert said == did
        roots = self.roots()
        reached = {key for lock in roots for key in self.reached(lock)}
        kept = self.above(reached)
        there = set(self.store.records.every_key())
        assert reached <= there <= self.made.keys(), "something reachable is gone"
        gone = self.made.keys() - there
        assert sum(count for _, count in did.actions) == len(gone)
        known = self.given({*self.made})
        assert there & known == self.given(there), "what something was made of is gone"
        exact = all(map(self.exact, roots))
        if budget is None and days is None and exact:
            whole = reached & known == self.given(reached) and reached <= known
            assert there == reached if whole else there <= kept, "something unreachable stayed"
        use = {
            key: max(m.used for k, m in self.made.items() if key in self.above({k}))
            for key in self.made
        }
        spare = there - kept
        if since is not None:
            assert all(self.made[key].used < since for key in gone)
            spare = {key for key in spare if use[key] < since}
        if exact and spare and self.uses_known:  # it stayed since it fits, or is of the latest use
            assert budget is not None and did.kept_size <= budget
            last = max((self.made[key].used for key in gone), default=0)
            assert last <= min(use[key] for key in spare)
        contents = {lock.source("data").digest.sha256 for lock in roots}
        contents |= {self.made[key].content for key in there - (kept - reached)}
        # What stays for others only may have lost the copy of its source.
        contents |= {
            content
            for key in there & (kept - reached)
            if (content := self.made[key].content) and self.store.blobs.place(content).exists()
        }
        for key in gone:
            del self.made[key]
        self.snapshots &= contents | {sha for made in self.made.values() for sha in made.blobs}

    @rule(content=st.integers(0, len(CONTENTS) - 1), by_name=st.booleans())
    def forget(self, content: int, by_name: bool) -> None:
        sha = digest_of(CONTENTS[content]).sha256
        gone = self.made.keys() - self.given({*self.made}, sha)
        read = any(made.content == sha for made in self.made.values())
        name = f"{content}.csv" if by_name and read else sha[:20] if read else sha
        told: dict[str, Any] = {"reason": "asked to", "when": "2026-01-01"}
        if any(lock.source("data").digest.sha256 == sha for lock, _ in self.live):
            known = read or sha in self.snapshots
            with pytest.raises(StoreError if known else (StoreError, CompileError)):
                forget(self.store, name, frozenset({sha}), self.beside, **told)
            return
        try:
            said = forget(self.store, name, frozenset({sha}), self.beside, dry_run=True, **told)
        except CompileError:
            assert not read and sha not in self.snapshots
            return
        assert forget(self.store, name, frozenset({sha}), self.beside, **told) == said
        assert said.actions == len(gone) and said.sources == (sha,)
        assert said.unknown == len(gone - self.below(sha))
        results = {sha}.union(*(self.made.pop(key).blobs for key in gone))
        self.pins = {
            name: lock
            for name, lock in self.pins.items()
            if lock.source("data").digest.sha256 != sha
        }
        assert set(self.store.pins.all()) == set(self.pins)
        needed = {sha for made in self.made.values() for sha in (*made.blobs, made.content)} - {""}
        spared = {lock.source("data").digest.sha256 for lock in self.roots()}
        self.snapshots &= needed | (spared - results)
        there = take_census(self.store).blobs.keys()
        assert there <= needed | self.snapshots, "something is left that nothing needs"
        # Nothing that is left tells of it, nor of what only it led to.
        with contextlib.suppress(CompileError):
            would = forget(self.store, sha, frozenset(), self.beside, dry_run=True, **told)
            assert would.actions == would.unknown == would.loose == 0
            assert sha not in there or sha in needed

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def damage_and_mend(self, data: st.DataObject) -> None:
        """A flipped bit in a record or a blob: it is named, and gone afterwards."""
        key = data.draw(st.sampled_from(sorted(self.made)), label="key")
        of = data.draw(st.sampled_from(["record", *sorted(self.made[key].blobs)]), label="of")
        place = self.store.records.place(key) if of == "record" else self.store.blobs.place(of)
        text = bytearray(place.read_bytes())
        at = data.draw(st.integers(0, len(text) - 1), label="at")
        text[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
        place.unlink()
        place.write_bytes(text)
        place.chmod(0o444)
        lost = {key} if of == "record" else {k for k, m in self.made.items() if of in m.blobs}
        self.store.close()
        self.store = self.opened()
        found = check(self.store, lambda text: True)
        assert {f.name for f in found.faults if f.what == "record"} == lost
        others = {fault.what for fault in found.faults} - {"record", "blob"}
        assert others <= ({"index"} if self.index_hurt else set())  # who writes puts it aside
        self.index_hurt = False
        if of != "record":
            (blob,) = (fault for fault in found.faults if fault.what == "blob")
            assert blob.name == of and set(blob.steps) == {self.made[k].shape[0] for k in lost}
            self.snapshots.discard(of)
        assert check(self.store, lambda text: True).faults == ()
        for k in lost:
            del self.made[k]

    @rule(how=st.sampled_from(["gone", "half", "stub", "noise", "empty"]))
    def damage_the_index(self, how: str) -> None:
        self.store.close()
        place = self.store.index.place
        if place.exists():
            self.index_hurt = self.index_hurt or how != "gone"
            size = place.stat().st_size
            match how:
                case "gone":
                    place.unlink()
                case "half":  # some rows may be left, which are sound
                    place.write_bytes(place.read_bytes()[: size // 2])
                    self.uses_known = False
                case "stub":
                    place.write_bytes(place.read_bytes()[:1000])
                case "noise":
                    place.write_bytes(b"noise" * 2000)
                case _:
                    place.write_bytes(b"")
        for key, made in self.made.items():  # its uses are lost with it
            action = self.store.records.read(key)
            assert action is not None
            made.used = action.made
        self.store = self.opened()

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = self.opened()

    @rule()
    def move(self) -> None:
        if self.live:
            return
        self.store.close()
        shutil.move(self.place / "store", self.place / "elsewhere") if (
            self.place / "store"
        ).exists() else None
        if (self.place / "elsewhere").exists():
            shutil.copytree(self.place / "elsewhere", self.place / "store")
            shutil.rmtree(self.place / "elsewhere")
        self.store = self.opened()

    # What always holds

    @invariant()
    def everything_made_is_there(self) -> None:
        store = self.opened()
        assert set(store.records.every_key()) == self.made.keys()
        for key, made in self.made.items():
            action = store.find(key)
            assert action is not None and {d.sha256 for d in action.blobs} == made.blobs
            for digest in action.blobs:
                assert digest_of(store.blobs.read(digest).read_bytes()) == digest

    @invariant()
    def nothing_else_is_there(self) -> None:
        store = self.opened()
        needed = {sha for made in self.made.values() for sha in made.blobs}
        there = take_census(store).blobs.keys()
        assert needed | self.snapshots <= there | set()
        for sha in self.snapshots:
            size = next(len(c) for c in CONTENTS if digest_of(c).sha256 == sha)
            assert store.blobs.has(Digest(sha256=sha, size=size))


TestStore = StoreMachine.TestCase
# STORE_EXAMPLES=2000 looks for longer, and elsewhere each time.
_EXAMPLES = os.environ.get("STORE_EXAMPLES")
TestStore.settings = settings(
    max_examples=int(_EXAMPLES or 80),
    derandomize=not _EXAMPLES,
    stateful_step_count=20,
    report_multiple_bugs=False,
)
