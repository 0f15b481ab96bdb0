"""Everything that writes to a store, one operation after the other; ends itself at a named step if told to.

Arguments: the directory, and the step with how often it is to be reached. Prints the number of each operation that
is done, and with no step all the steps that were reached.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.store.conftest import OWNER, PAGE, commit, patch, put

from sandbox.store import steps
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.staging import Staging
from sandbox.store.store import Store

SIZE = 80 * PAGE


def noise(seed: int, size: int = SIZE) -> bytes:
    return hashlib.shake_128(b"%d" % seed).digest(size)


def held(store: Store, name: str = "one") -> StoredSession:
    return next((one for one in store._open if one.id == name), None) or store.open(name, owner=OWNER)


def _create(store: Store) -> None:
    store.create(New("one", OWNER))


def _first(store: Store) -> None:
    commit(held(store), put("small", b"1"), put("big", noise(1)), put("other", noise(2)))


def _patch(store: Store) -> None:
    commit(held(store), patch("big", SIZE, (PAGE, noise(3, PAGE)), (9 * PAGE, noise(4, 2 * PAGE))))


def _spread(store: Store) -> None:
    """Leaves one page of the old record alive, so that the next commit rewrites the part."""
    commit(held(store), patch("big", SIZE, (PAGE, noise(5, SIZE - PAGE))))
    commit(held(store), patch("big", SIZE, (2 * PAGE, noise(6, SIZE - 2 * PAGE))))


def _plain(store: Store) -> None:
    commit(held(store), put("small", b"2"), ({"drop": "other"}, b""), label="plain")


def _amend(store: Store) -> None:
    staging: Staging = held(store).staging()
    staging.put("other", noise(10))
    staging.put("small", b"3")
    held(store).amend(staging)


def _rollback(store: Store) -> None:
    held(store).rollback(1)


def _branch(store: Store) -> None:
    commit(held(store), put("branch", noise(7)))


def _fork(store: Store) -> None:
    held(store).fork([New("two", OWNER), New("three", OWNER)], 2)


def _drop(store: Store) -> None:
    held(store).drop([number for number in range(1, held(store).head) if number != 2])


def _orphan(store: Store) -> None:
    """What a process leaves that died while it received: a pack that no commit has named."""
    tree = held(store).packs
    (tree / f"{'0' * 32}.pack").write_bytes(b"torn")


def _gc(store: Store) -> None:
    store.gc()


def _delete(store: Store) -> None:
    held(store, "two").delete()


def _export(store: Store) -> None:
    store.export("one", store.directory / "one.sandbox", owner=OWNER)


def _import(store: Store) -> None:
    store.import_session(store.directory / "one.sandbox", owner=OWNER, session="imported")


def _torn(store: Store) -> None:
    """A staging that is given up again."""
    staging: Staging = held(store).staging()
    staging.put("torn", noise(8))
    staging.abort()


def _alone(store: Store) -> None:
    store.create(New("alone", OWNER))


def _turn(store: Store) -> None:
    session = held(store, "alone")
    commit(session, put("big", noise(100 + session.head)))


def _forget(store: Store) -> None:
    session = held(store, "alone")
    there = store.checkpoints("alone", owner=OWNER)
    session.drop([each.number for each in there if each.number != session.head])


def _tend(store: Store) -> None:
    store.tend()
    for job in store.due():
        job()


OPERATIONS: tuple[Callable[[Store], Any], ...] = (
    _create, _first, _patch, _amend, _plain, _rollback, _branch, _fork, _torn, _spread, _tend, _plain, _orphan, _drop,
    _gc, _delete, _gc, _export, _import, _tend, _alone, _turn, _turn, _turn, _forget, _gc, _turn, _turn, _forget, _gc,
    _plain,
)  # fmt: skip


class Killer:
    """Ends this process, as only SIGKILL does, when a step is reached for the n-th time."""

    def __init__(self, step: str, times: int) -> None:
        self.seen: Counter[str] = Counter()
        self._step, self._times = step, times

    def __call__(self, step: str) -> None:
        self.seen[step] += 1
        if step == self._step and self.seen[step] == self._times:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    step, times = (sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 2 else ("", 0)
    killer = steps.hook = Killer(step, times)
    with Store(Path(sys.argv[1])) as store:
        for number, operation in enumerate(OPERATIONS):
            operation(store)
            print("done", number, flush=True)
    for name, count in killer.seen.items():
        print(f"step {count} {name}")


if __name__ == "__main__":
    main()
