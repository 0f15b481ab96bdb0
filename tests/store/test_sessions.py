"""Sessions: found by their owners only, held by one process at a time, and never written to by one that lost them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox.store as store_package
from sandbox.errors import SessionBusy, SessionExists, SessionNotFound, SessionTaken, UsageError
from sandbox.store.holder import Holder
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store

from .conftest import OWNER, commit, content, put

HOLDING = """
import sys
from pathlib import Path
from sandbox.store.store import Store
store = Store(Path(sys.argv[1]))
session = store.open("one", owner="owner", takeover=len(sys.argv) > 2)
print("holds", flush=True)
sys.stdin.read()
staging = session.staging()
staging.put("theirs", b"2")
try:
    session.commit(staging)
except Exception as error:
    print(type(error).__name__, error)
store.close()
"""


def holding(home: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(home), *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_a_session_is_there_after_a_restart(home: Path) -> None:
    with Store(home) as store:
        session = store.create(New("one", OWNER, "name", "label", {"memory": 1}))
        commit(session, put("a", b"1"))
    with Store(home) as store:
        info = store.session("one", owner=OWNER)
        assert (info.name, info.label, info.options, info.head) == ("name", "label", {"memory": 1}, 1)
        assert not info.held
        assert content(store, store.open("one", owner=OWNER)) == {"a": b"1"}


def test_an_id_is_taken_once(store: Store, session: StoredSession) -> None:
    with pytest.raises(SessionExists):
        store.create(New("one", "another owner"))
    with pytest.raises(SessionExists):
        session.fork([New("two", OWNER), New("two", OWNER)])
    assert [info.id for info in store.sessions()] == ["one"]


@pytest.mark.parametrize("wrong", ["", "a/b", "a\0", "a" * 201, "\n"])
def test_some_ids_cannot_be(store: Store, wrong: str) -> None:
    with pytest.raises(UsageError):
        store.create(New(wrong, OWNER))


def test_another_owners_session_is_not_found(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"))
    session.release()
    with pytest.raises(SessionNotFound):
        store.open("one", owner="another owner")
    with pytest.raises(SessionNotFound):
        store.manifest("one", 1, owner="another owner")
    with pytest.raises(SessionNotFound):
        store.fork("one", [New("two", "another owner")], 1, owner="another owner")
    assert store.sessions("another owner") == []


def test_a_session_can_be_renamed(store: Store, session: StoredSession) -> None:
    session.rename(name="x")
    session.rename(label="y")
    info = store.session("one", owner=OWNER)
    assert (info.name, info.label) == ("x", "y")


def test_the_second_process_is_told_who_holds_the_session(home: Path, store: Store, session: StoredSession) -> None:
    session.release()
    other = holding(home)
    with pytest.raises(SessionBusy, match=f"process {other.pid} on") as caught:
        store.open("one", owner=OWNER)
    assert caught.value.details["pid"] == other.pid
    assert store.session("one", owner=OWNER).held
    assert other.communicate("")[0] == ""
    with store.open("one", owner=OWNER) as again:
        assert content(store, again) == {"theirs": b"2"}


def test_a_dead_holders_session_is_taken_over_at_once(home: Path, store: Store, session: StoredSession) -> None:
    session.release()
    other = holding(home)
    other.kill()
    other.communicate()
    assert not store.session("one", owner=OWNER).held
    store.open("one", owner=OWNER).release()


def test_who_lost_a_session_cannot_write_to_it(home: Path, store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"))
    session.release()
    other = holding(home)
    with store.open("one", owner=OWNER, takeover=True) as mine:
        said = other.communicate("")[0]
        assert said.startswith(
            f"SessionTaken the session 'one' was taken over, and is held by process {os.getpid()} on"
        )
        assert content(store, mine) == {"a": b"1"}
        commit(mine, put("b", b"2"))
        assert content(store, mine) == {"a": b"1", "b": b"2"}


def test_every_kind_of_write_is_fenced(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"))
    commit(session, put("a", b"2"))
    newer = store.open("one", owner=OWNER, takeover=True)
    before = store.session("one", owner=OWNER)
    for write in (
        lambda: commit(session, put("a", b"3")),
        lambda: session.rollback(1),
        lambda: session.label(1, "x"),
        lambda: session.rename(name="x"),
        lambda: session.drop([1]),
        session.delete,
    ):
        with pytest.raises(SessionTaken):
            write()
    session.release()
    assert store.session("one", owner=OWNER) == before
    assert content(store, newer) == {"a": b"2"}


def test_the_same_process_is_told_that_it_holds_the_session_itself(store: Store, session: StoredSession) -> None:
    with pytest.raises(SessionBusy, match="open in this process"):
        store.open(session.id, owner=OWNER)


def test_a_deleted_session_is_gone_with_all_it_had(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"), put("big", bytes(200_000)))
    session.delete()
    with pytest.raises(SessionNotFound):
        store.session("one", owner=OWNER)
    with pytest.raises(SessionTaken, match="deleted"):
        commit(session, put("a", b"1"))
    assert store.database.one("SELECT (SELECT count(*) FROM parts) + (SELECT count(*) FROM packs)") == (0,)
    assert list(store.packs.iterdir()) == []


def test_a_process_is_told_from_a_later_one_of_the_same_number() -> None:
    me = Holder.this()
    assert not me.dead
    assert Holder.decode(me.encode()) == me
    assert Holder(me.boot, me.namespace, me.pid, me.start + 1, me.host).dead
    assert Holder("another boot", me.namespace, me.pid, me.start, me.host).dead
    assert not Holder(me.boot, me.namespace + 1, me.pid, me.start + 1, me.host).dead


def test_a_process_that_is_only_left_to_be_reaped_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    me = Holder.this()
    holder = Holder(me.boot, me.namespace, process.pid, int(start), me.host)
    assert not holder.dead
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert holder.dead
    process.wait()


def test_a_store_does_not_survive_a_fork(store: Store, session: StoredSession) -> None:
    script = os.fork()
    if script == 0:
        try:
            store.sessions()
        except UsageError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(script, 0)[1]) == 7
    commit(session, put("a", b"1"))


def test_no_statement_has_numbered_placeholders() -> None:
    """Python 3.14 refuses them with values in a row, and 3.12 and 3.13 warn."""
    sources = [path for path in Path(store_package.__file__).parent.glob("*.py") if path.name != "schema.py"]
    assert [path.name for path in sources if re.search(r"\?\d", path.read_text(encoding="utf-8"))] == []
