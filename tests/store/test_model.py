"""Random commits, restarts, rollbacks, forks, drops and collections, against dictionaries."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store

from .conftest import OWNER, PAGE, commit, content, patch, put

KEYS = st.sampled_from(["a", "b", "group/1", "buffer/1", "buffer/2"])
SIZES = st.sampled_from([0, 1, 100, 5000, 65_535, 65_536, 70_000, 40 * PAGE])
PAGES = st.sets(st.integers(0, 39), min_size=1, max_size=8)
State = dict[str, bytes]


class Model:
    """A session as dictionaries: the states by number, the head, and the next number."""

    def __init__(self, states: dict[int, State], head: int, following: int) -> None:
        self.states, self.head, self.following = states, head, following


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.store = Store(self.home / "store")
        self.model: dict[str, Model] = {}
        self.made = 0
        self.open: dict[str, StoredSession] = {}

    def teardown(self) -> None:
        assert self.store.verify().ok
        self.store.close()
        shutil.rmtree(self.home)

    def pick(self, choice: int) -> str:
        return sorted(self.model)[choice % len(self.model)]

    def held(self, name: str) -> StoredSession:
        if name not in self.open:
            self.open[name] = self.store.open(name, owner=OWNER)
        return self.open[name]

    @rule()
    @precondition(lambda self: len(self.model) < 4)
    def create(self) -> None:
        name, self.made = f"s{self.made}", self.made + 1
        self.open[name] = self.store.create(New(name, OWNER))
        self.model[name] = Model({0: {}}, 0, 1)

    @rule(choice=st.integers(0, 9), changes=st.dictionaries(KEYS, SIZES | st.none(), max_size=4), seed=st.integers())
    @precondition(lambda self: self.model)
    def commit(self, choice: int, changes: dict[str, int | None], seed: int) -> None:
        name = self.pick(choice)
        model, random_bytes = self.model[name], random.Random(seed).randbytes
        state = dict(model.states[model.head])
        records = []
        for key, size in changes.items():
            if size is not None:
                state[key] = random_bytes(size)
                records.append(put(key, state[key]))
            elif state.pop(key, None) is not None:
                records.append(({"drop": key}, b""))
        self._committed(name, state, commit(self.held(name), *records))

    @rule(
        choice=st.integers(0, 9),
        key=KEYS,
        pages=st.sets(st.integers(0, 39), min_size=1, max_size=8),
        seed=st.integers(),
    )
    @precondition(lambda self: self.model)
    def patch(self, choice: int, key: str, pages: set[int], seed: int) -> None:
        name = self.pick(choice)
        model, random_bytes = self.model[name], random.Random(seed).randbytes
        state = dict(model.states[model.head])
        old = bytearray(state.get(key, b""))
        pieces = []
        for page in sorted(pages):
            if size := len(old[page * PAGE : (page + 1) * PAGE]):
                pieces.append((page * PAGE, random_bytes(size)))
                old[page * PAGE : page * PAGE + size] = pieces[-1][1]
        if pieces:
            state[key] = bytes(old)
            self._committed(name, state, commit(self.held(name), patch(key, len(old), *pieces)))

    def _committed(self, name: str, state: State, number: int) -> None:
        model = self.model[name]
        assert number == model.following
        model.states[number], model.head, model.following = state, number, number + 1

    @rule(choice=st.integers(0, 9), to=st.integers(0, 99))
    @precondition(lambda self: self.model)
    def rollback(self, choice: int, to: int) -> None:
        name = self.pick(choice)
        model = self.model[name]
        model.head = sorted(model.states)[to % len(model.states)]
        assert self.held(name).rollback(model.head) == model.head

    @rule(choice=st.integers(0, 9), at=st.integers(0, 99))
    @precondition(lambda self: 0 < len(self.model) < 4)
    def fork(self, choice: int, at: int) -> None:
        name = self.pick(choice)
        model = self.model[name]
        number = sorted(model.states)[at % len(model.states)]
        fork, self.made = f"s{self.made}", self.made + 1
        self.held(name).fork([New(fork, OWNER)], number)
        self.model[fork] = Model({0: {}, 1: model.states[number]}, 1, 2)

    @rule(choice=st.integers(0, 9), which=st.sets(st.integers(0, 99), max_size=5))
    @precondition(lambda self: self.model)
    def drop(self, choice: int, which: set[int]) -> None:
        name = self.pick(choice)
        model = self.model[name]
        droppable = sorted(set(model.states) - {0, model.head})
        chosen = {droppable[each % len(droppable)] for each in which} if droppable else set()
        self.held(name).drop(sorted(chosen))
        for number in chosen:
            del model.states[number]

    @rule(choice=st.integers(0, 9))
    @precondition(lambda self: self.model)
    def delete(self, choice: int) -> None:
        name = self.pick(choice)
        self.held(name).delete()
        del self.model[name], self.open[name]

    @rule(choice=st.integers(0, 9))
    @precondition(lambda self: 0 < len(self.model) < 4)
    def move(self, choice: int) -> None:
        name = self.pick(choice)
        moved, self.made = f"s{self.made}", self.made + 1
        archive = self.home / "x.sandbox"
        self.store.export(name, archive, owner=OWNER)
        self.store.import_session(archive, owner=OWNER, session=moved)
        model = self.model[name]
        last = max(model.states)
        self.model[moved] = Model(dict(model.states), model.head, last + 1)

    @rule()
    def collect(self) -> None:
        assert self.store.gc().damaged == ()

    @rule()
    def tend(self) -> None:
        self.store.tend()
        for session in self.open.values():
            session.tend()

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.open = {}
        self.store = Store(self.home / "store")

    @invariant()
    def heads_are_as_in_the_model(self) -> None:
        assert {info.id: info.head for info in self.store.sessions()} == {n: m.head for n, m in self.model.items()}
        for name, model in self.model.items():
            assert content(self.store, self.held(name)) == model.states[model.head]

    @rule(choice=st.integers(0, 9))
    @precondition(lambda self: self.model)
    def every_state_is_as_in_the_model(self, choice: int) -> None:
        name = self.pick(choice)
        for number, state in self.model[name].states.items():
            assert content(self.store, self.held(name), number) == state


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
