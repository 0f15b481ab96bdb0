"""Damage is found, named, and never handed out as if it were whole."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import SandboxError, StoreDamaged, StoreError, StoreFull
from sandbox.store.database import NAME, Database
from sandbox.store.extents import PAGE
from sandbox.store.schema import MIGRATIONS
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.store import Store

from .conftest import OWNER, commit, content, patch, put

BIG = os.urandom(300_000)


def only_pack(store: Store) -> Path:
    (pack,) = store.packs.rglob("*.pack")
    return pack


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_changed_byte_of_a_pack_is_found_when_asked_for(store: Store, session: StoredSession) -> None:
    commit(session, put("big", BIG), put("small", b"x"))
    commit(session, put("big", os.urandom(300_000)))
    overwrite(only_pack(store), PAGE + 1000, b"damage")
    with pytest.raises(StoreDamaged, match="'big'") as caught:
        store.parts(session, store.manifest("one", 1, owner=OWNER), verified=True)
    assert caught.value.details["key"] == "big"
    report = store.verify()
    assert not report.ok
    assert report.broken == {"one": {1: ("big",)}}
    assert report.whole == {"one": (2,)}
    assert content(store, session)["small"] == b"x"


def test_a_changed_header_is_found(store: Store, session: StoredSession) -> None:
    commit(session, put("big", BIG))
    overwrite(only_pack(store), 50, b"damage")
    assert store.verify().broken == {"one": {1: ("big",)}}


def test_a_short_pack_is_found_at_once_and_not_written_to(store: Store, session: StoredSession) -> None:
    commit(session, put("big", BIG), put("small", b"x"))
    session.release()
    os.truncate(only_pack(store), 100_000)
    again = store.open("one", owner=OWNER)
    with pytest.raises(StoreDamaged, match="ends at 100000"):
        store.parts(again, again.manifest)
    commit(again, put("other", BIG))
    assert len(list(store.packs.rglob("*.pack"))) == 2
    assert store.verify().broken == {"one": {1: ("big",), 2: ("big",)}}
    commit(again, put("big", BIG))
    assert content(store, again) == {"big": BIG, "small": b"x", "other": BIG}


def test_a_missing_pack_is_found(store: Store, session: StoredSession) -> None:
    commit(session, put("big", BIG))
    only_pack(store).unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        store.parts(session, session.manifest)
    assert store.verify().broken == {"one": {1: ("big",)}}


def test_a_pack_that_became_a_link_is_not_followed(store: Store, session: StoredSession, tmp_path: Path) -> None:
    commit(session, put("big", BIG))
    pack = only_pack(store)
    pack.rename(tmp_path / "elsewhere")
    pack.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        store.parts(session, session.manifest)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE parts SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB) WHERE extents IS NULL",
        "UPDATE parts SET data = CAST(data AS TEXT) WHERE extents IS NULL",
        "UPDATE parts SET data = x'' WHERE extents IS NULL",
        "UPDATE parts SET size = size + 1",
        "UPDATE parts SET extents = x'0000' WHERE extents IS NOT NULL",
        "UPDATE records SET size = size - 1",
        "UPDATE checkpoints SET delta = CAST(substr(delta, 1, length(delta) - 1) || x'00' AS BLOB)",
        "UPDATE checkpoints SET delta = x''",
        "DELETE FROM parts",
        "DELETE FROM records",
    ],
)
def test_a_changed_row_is_never_a_silent_wrong_value(store: Store, session: StoredSession, change: str) -> None:
    commit(session, put("big", BIG), put("small", b"some small part"), put("other", b"x" * 1000))
    with store.database.writing():
        store.database.run(change)
    with pytest.raises(StoreDamaged):
        content(store, session)
    assert 1 in store.verify().broken["one"]


def test_a_parent_that_cannot_be_is_damage(store: Store, session: StoredSession) -> None:
    for number in range(3):
        commit(session, put("n", b"%d" % number))
    with store.database.writing():
        store.database.run("UPDATE checkpoints SET parent = 3 WHERE id & 255 = 2")
    with pytest.raises(StoreDamaged):
        store.manifest("one", 3, owner=OWNER)


def test_a_damaged_database_is_said_to_be_one(home: Path) -> None:
    with Store(home) as store:
        session = store.create(New("one", OWNER))
        for number in range(200):
            commit(session, put(f"k{number}", os.urandom(2000)))
    data = bytearray((home / NAME).read_bytes())
    data[8 * PAGE : -PAGE] = os.urandom(len(data) - 9 * PAGE)
    (home / NAME).write_bytes(data)
    with pytest.raises(StoreDamaged), Store(home) as store:
        content(store, store.open("one", owner=OWNER))


@pytest.mark.parametrize("content", [b"not a database at all" * 100, os.urandom(10_000)])
def test_a_file_that_is_no_database_is_left_as_it_is(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / NAME).write_bytes(content)
    with pytest.raises(StoreDamaged):
        Store(home)
    assert (home / NAME).read_bytes() == content


def test_a_database_of_something_else_is_left_as_it_is(home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / NAME) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    before = (home / NAME).read_bytes()
    with pytest.raises(StoreError, match="something else"):
        Store(home)
    assert (home / NAME).read_bytes() == before


# --- versions -------------------------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused(home: Path) -> None:
    Store(home).close()
    with sqlite3.connect(home / NAME) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.close()
    with pytest.raises(StoreError, match=f"schema version {len(MIGRATIONS) + 1}"):
        Store(home)


def test_an_old_schema_is_brought_up_to_date_with_its_data(home: Path) -> None:
    with Store(home) as store:
        commit(store.create(New("one", OWNER)), put("a", b"1"))
    added = "CREATE TABLE more (x); -- a comment; with a semicolon\nINSERT INTO more SELECT id FROM sessions;"
    newer = Database(home / NAME, (*MIGRATIONS, added, "ALTER TABLE more ADD COLUMN y DEFAULT 7;"))
    assert newer.one("SELECT x, y FROM more") == ("one", 7)
    assert newer.one("PRAGMA user_version") == (len(MIGRATIONS) + 2,)
    newer.close()


def test_a_migration_that_fails_leaves_the_old_version(home: Path) -> None:
    Store(home).close()
    with pytest.raises(StoreError):
        Database(home / NAME, (*MIGRATIONS, "CREATE TABLE more (x);", "INSERT INTO missing VALUES (1);"))
    with Store(home) as store:
        assert store.database.one("PRAGMA user_version") == (len(MIGRATIONS),)
        assert store.database.one("SELECT count(*) FROM sqlite_master WHERE name = 'more'") == (0,)


def test_two_processes_may_make_the_store_at_once(home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.store.store import Store; sys.stdin.read(1);"
        "Store(Path(sys.argv[1])).close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        process.communicate(b"x")
    assert [process.returncode for process in processes] == [0] * 4
    Store(home).close()


# --- no room, no rights ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond some size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_pack_that_cannot_grow_is_a_full_store_and_what_was_there_stays(
    store: Store, session: StoredSession, small_files: None
) -> None:
    commit(session, put("big", BIG))
    size = only_pack(store).stat().st_size
    with pytest.raises(StoreFull):
        commit(session, put("huge", bytes(3_000_000)), put("small", b"x"))
    assert only_pack(store).stat().st_size == size
    commit(session, put("small", b"y"), patch("big", len(BIG), (0, b"1" * PAGE)))
    assert content(store, session) == {"big": b"1" * PAGE + BIG[PAGE:], "small": b"y"}


def commit_until_full(session: StoredSession) -> None:
    for number in range(1000):
        commit(session, put("data", os.urandom(50_000)), put("n", b"%d" % number))


def test_a_database_that_cannot_grow_is_a_full_store_and_what_was_there_stays(home: Path, small_files: None) -> None:
    with Store(home) as store:
        session = store.create(New("one", OWNER))
        with pytest.raises(StoreFull):
            commit_until_full(session)
        last = session.head - 1
        assert last > 1
        assert content(store, session)["n"] == b"%d" % last
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with Store(home) as store:
        again = store.open("one", owner=OWNER)
        assert content(store, again)["n"] == b"%d" % last
        commit(again, put("n", b"more"))
        assert store.verify().ok


READ_ONLY = """
import os, sys
from pathlib import Path
from sandbox.errors import StoreError
from sandbox.store.store import Store
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Store(Path(sys.argv[1]))
except StoreError as error:
    print(type(error).__name__, error)
"""


def test_a_directory_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents):
        if not os.stat(path).st_mode & 0o005 and os.geteuid() == 0 and path.owner() == "root" and path != Path("/"):
            path.chmod(0o755)
    above = tmp_path / "above"
    above.mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(above / "store")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"StoreError {above / 'store'} cannot be made: Permission denied"), done
    assert list(above.iterdir()) == []


def test_errors_of_the_store_are_sandbox_errors(store: Store) -> None:
    with pytest.raises(SandboxError):
        store.database.one("SELECT nonsense FROM nothing")
