"""Several processes and threads at one store: each gets what it wrote, and nothing of the others is lost."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store

from .conftest import OWNER, commit, content, put

TURNS = 25
WRITING = f"""
import hashlib, sys
from pathlib import Path
from sandbox.store.sessions import New
from sandbox.store.store import Store
home, name = Path(sys.argv[1]), sys.argv[2]
sys.stdin.read(1)
with Store(home) as store, store.open(name, owner={OWNER!r}) as session:
    for turn in range({TURNS}):
        staging = session.staging()
        staging.put("turn", b"%d" % turn)
        staging.put("big", hashlib.shake_128(name.encode() + b"%d" % turn).digest(100_000))
        session.commit(staging)
        if turn % 5 == 4:
            session.drop([each.number for each in store.checkpoints(name, owner={OWNER!r})][:-2])
        if turn % 7 == 6:
            store.gc()
"""


def writing(home: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITING, str(home), name], stdin=subprocess.PIPE)


def expected(name: str) -> dict[str, bytes]:
    last = b"%d" % (TURNS - 1)
    return {"turn": last, "big": hashlib.shake_128(name.encode() + last).digest(100_000)}


def test_forks_are_written_and_collected_by_several_processes_at_once(
    home: Path, store: Store, session: StoredSession
) -> None:
    commit(session, put("big", bytes(100_000)), put("shared", b"s" * 100_000))
    names = ["two", "three", "four"]
    session.fork([New(name, OWNER) for name in names])
    processes = [writing(home, name) for name in names]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.close()
    for turn in range(10):
        store.gc()
        commit(session, put("mine", b"%d" % turn * 70_000))
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    store.gc()
    assert store.verify().ok
    for name in names:
        with store.open(name, owner=OWNER) as fork:
            assert content(store, fork) == {**expected(name), "shared": b"s" * 100_000}
    assert content(store, session)["mine"] == b"9" * 70_000


def test_several_threads_receive_while_one_commits(store: Store) -> None:
    sessions = [store.create(New(f"s{number}", OWNER)) for number in range(4)]
    failures: list[BaseException] = []

    def work(session: StoredSession) -> None:
        try:
            for turn in range(10):
                commit(session, put("id", session.id.encode()), put("big", session.id.encode() * (40_000 + turn)))
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for session in sessions:
        assert content(store, session) == {"id": session.id.encode(), "big": session.id.encode() * 40_009}
    assert store.verify().ok
