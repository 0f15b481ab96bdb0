"""A session as one file: the same on the other side, and nothing of one that is not right."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandbox.errors import SessionExists, StoreDamaged, StoreError, StoreFull, UsageError
from sandbox.store.archive_format import ArchiveError
from sandbox.store.history import ArtifactRecord, ExecutionRecord
from sandbox.store.retention import Limits
from sandbox.store.session import StoredSession
from sandbox.store.session_files import SessionFiles
from sandbox.store.store import Store

from .conftest import OWNER, PAGE, commit, content, patch, put

BIG = os.urandom(300_000)
Description = dict[str, Any]


@pytest.fixture
def full(store: Store, session: StoredSession, tmp_path: Path) -> StoredSession:
    """A session that has something of everything."""
    (tmp_path / "work/d").mkdir(parents=True)
    (tmp_path / "work/d/big").write_bytes(BIG)
    (tmp_path / "work/d/small").write_bytes(b"small")
    (tmp_path / "work/link").symlink_to("d/small")
    execution = ExecutionRecord(number=1, code="x", status="ok", started=time.time(), info={"a": 1})
    staging = session.staging()
    record = ArtifactRecord(name="a", mime="text/plain", size=3, sha256="0" * 64, created=1.0)
    fd = os.open(tmp_path / "work", os.O_RDONLY | os.O_DIRECTORY)
    SessionFiles(store, session).capture(staging, fd)
    os.close(fd)
    session.commit(staging, execution=execution, outputs=[{"text": "hi"}], artifacts=[(record, staging.part(b"abc"))])
    commit(session, put("big", BIG + b"1"), put("small", b"1"), label="two")
    commit(session, patch("big", len(BIG) + 1, (PAGE, b"x" * PAGE)), ({"drop": "small"}, b""))
    session.rollback(2)
    outputs = [{"text": os.urandom(50_000).hex()}]
    commit(session, put("branch", b"2"), execution=msgspec.structs.replace(execution, number=2), outputs=outputs)
    session.rename(name="a name", label="a label")
    return session


def everything(store: Store, session: str) -> dict[str, Any]:
    info = store.session(session, owner=OWNER)
    numbers = [each.number for each in store.checkpoints(session, owner=OWNER)]
    history = store.history(session, owner=OWNER)
    found: dict[str, Any] = {
        "info": (info.name, info.label, info.options, info.head, info.next, info.created),
        "checkpoints": store.checkpoints(session, owner=OWNER),
        "history": history,
        "outputs": [store.outputs(session, each.number, owner=OWNER) for each in history],
        "artifacts": [(n, msgspec.structs.replace(a, part=0)) for n, a in store.artifacts(session, owner=OWNER)],
    }
    with store.open(session, owner=OWNER, takeover=True) as opened:
        for number in numbers:
            found[f"content {number}"] = _readable(store, opened, number)
    return found


def _readable(store: Store, session: StoredSession, number: int) -> dict[str, Any]:
    entries = store.manifest(session.id, number, owner=OWNER)
    with store.parts(session, entries, verified=True) as parts:
        return {
            key: (
                parts.read(key) if key in parts.small or key in parts.large else None,
                None if isinstance(entry, int) else msgspec.structs.replace(entry, part=0),
            )
            for key, entry in entries.items()
        }


def test_a_session_is_the_same_in_another_store(store: Store, full: StoredSession, tmp_path: Path) -> None:
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    with Store(tmp_path / "elsewhere") as other:
        assert other.import_session(tmp_path / "x.sandbox", owner=OWNER) == "one"
        assert everything(other, "one") == everything(store, "one")
        assert other.verify().ok
        with other.open("one", owner=OWNER) as again:
            commit(again, put("more", b"1"))
            again.rollback("two")
            commit(again, patch("big", len(BIG) + 1, (0, b"y" * PAGE)))
            assert content(other, again)["big"] == b"y" * PAGE + BIG[PAGE:] + b"1"
            again.drop([1])
            other.gc()
        assert other.verify().ok


def test_imported_files_come_back_into_a_workspace(store: Store, full: StoredSession, tmp_path: Path) -> None:
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    store.import_session(tmp_path / "x.sandbox", owner=OWNER, session="two")
    (tmp_path / "target").mkdir()
    fd = os.open(tmp_path / "target", os.O_RDONLY | os.O_DIRECTORY)
    with store.open("two", owner=OWNER) as two:
        SessionFiles(store, two).restore(fd, None)
    os.close(fd)
    assert (tmp_path / "target/d/big").read_bytes() == BIG
    assert os.readlink(tmp_path / "target/link") == "d/small"


def test_a_long_chain_has_whole_manifests_after_an_import_too(
    store: Store, session: StoredSession, tmp_path: Path
) -> None:
    for number in range(80):
        commit(session, put("n", b"%d" % number))
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    store.import_session(tmp_path / "x.sandbox", owner=OWNER, session="two")
    assert store.database.one("SELECT count(*) FROM checkpoints WHERE whole IS NOT NULL AND id >> 32 = 2") == (2,)
    assert everything(store, "two")["content 80"] == everything(store, "one")["content 80"]


def test_an_id_that_is_taken_is_refused(store: Store, full: StoredSession, tmp_path: Path) -> None:
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    with pytest.raises(SessionExists):
        store.import_session(tmp_path / "x.sandbox", owner=OWNER)
    assert len(list(store.packs.iterdir())) == 1


def test_a_damaged_session_is_not_exported(store: Store, full: StoredSession, tmp_path: Path) -> None:
    for pack in store.packs.rglob("*.pack"):
        with pack.open("r+b") as file:
            file.seek(2 * PAGE)
            file.write(b"damage")
    with pytest.raises(StoreError, match="damaged"):
        store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    assert [path.name for path in tmp_path.iterdir() if "sandbox" in path.name] == []


def test_an_export_to_where_nothing_can_be_written_is_a_clear_error(
    store: Store, full: StoredSession, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        store.export("one", tmp_path / "missing" / "x.sandbox", owner=OWNER)


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The archive with other members."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def refused(store: Store, source: Path) -> str:
    """Import, which must be refused, and leave nothing."""
    before = sorted(store.packs.rglob("*"))
    rows = [store.database.one(f"SELECT count(*) FROM {table}") for table in ("sessions", "trees", "parts", "packs")]
    with pytest.raises(ArchiveError) as caught:
        store.import_session(source, owner=OWNER, session="imported")
    assert sorted(store.packs.rglob("*")) == before
    assert rows == [
        store.database.one(f"SELECT count(*) FROM {table}") for table in ("sessions", "trees", "parts", "packs")
    ]
    return caught.value.message


def _change_record(members: dict[str, bytes]) -> None:
    members["records/0"] = b"x" + members["records/0"][1:]


def _change_small(members: dict[str, bytes]) -> None:
    members["small"] = b"x" * len(members["small"])


def _shorten(members: dict[str, bytes]) -> None:
    members["records/0"] = members["records/0"][:-1]


def _lengthen(members: dict[str, bytes]) -> None:
    members["small"] += b"x"


def _more(members: dict[str, bytes]) -> None:
    members["../../etc/cron.d/evil"] = b"x"


def _fewer(members: dict[str, bytes]) -> None:
    del members["records/0"]


def _no_description(members: dict[str, bytes]) -> None:
    del members["session.json"]


def _garbage(members: dict[str, bytes]) -> None:
    members["session.json"] = os.urandom(1000)


@pytest.mark.parametrize(
    "change", [_change_record, _change_small, _shorten, _lengthen, _more, _fewer, _no_description, _garbage]
)
def test_an_archive_that_was_changed_is_refused(
    store: Store, full: StoredSession, tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    rewritten(tmp_path / "x.sandbox", tmp_path / "y.sandbox", lambda members: None)
    store.import_session(tmp_path / "y.sandbox", owner=OWNER, session="unchanged")
    refused(store, rewritten(tmp_path / "x.sandbox", tmp_path / "y.sandbox", change))


def _delta(description: Description) -> dict[str, Any]:
    found: dict[str, Any] = description["checkpoints"][0][5]
    return found


def _extents(description: Description) -> list[list[int]]:
    return next(part[2] for part in description["parts"] if part[2])


CHANGES: dict[str, Callable[[Description], Any]] = {
    "newer": lambda d: d.update(version=2),
    "unknown field": lambda d: d.update(more=1),
    "missing field": lambda d: d.pop("parts"),
    "head": lambda d: d.update(head=99),
    "id": lambda d: d.update(id="../x"),
    "parent after": lambda d: d["checkpoints"][0].__setitem__(1, 2),
    "parent missing": lambda d: d["checkpoints"][1].__setitem__(1, -5),
    "number twice": lambda d: d["checkpoints"][1].__setitem__(0, 1),
    "part missing": lambda d: _delta(d).update(x=10_000),
    "part negative": lambda d: _delta(d).update(x=-1),
    "worker's file": lambda d: _delta(d).update({"file/x": 1}),
    "path out": lambda d: _delta(d).update({"file/../../x": ["f", 0o644, 0, 5, 1, ""]}),
    "path absolute": lambda d: _delta(d).update({"file//etc/x": ["d", 0o755, 0, 0, 0, ""]}),
    "mode": lambda d: _delta(d).update({"file/x": ["d", 0o4755, 0, 0, 0, ""]}),
    "kind": lambda d: _delta(d).update({"file/x": ["f", 0o644, 0, 1 << 40, 1, ""]}),
    "key": lambda d: _delta(d).update({"a" * 300: 1}),
    "extent beyond the record": lambda d: _extents(d).__setitem__(0, [0, 0, 1 << 30, 4096]),
    "extent of no record": lambda d: _extents(d).__setitem__(0, [0, 77, 0, 4096]),
    "extent beyond the part": lambda d: _extents(d).append([1 << 30, 0, 0, 4096]),
    "execution": lambda d: d["executions"][0][0].update(number=-1),
    "executions of one number": lambda d: d["executions"].append(d["executions"][0]),
    "artifact": lambda d: d["executions"][0][2][0].update(part=1 << 20),
    "outputs": lambda d: d["executions"][0].__setitem__(1, 1 << 20),
    "language": lambda d: d["options"].update(language=["python"]),
    "seed": lambda d: d["options"].update(seed=-1),
    "seed of another kind": lambda d: d["options"].update(seed=True),
    "seed beyond": lambda d: d["options"].update(seed=1 << 63),
    "record size": lambda d: d["records"][0].__setitem__(0, 1 << 60),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_description_that_is_not_right_is_refused(
    store: Store, full: StoredSession, tmp_path: Path, what: str
) -> None:
    def change(members: dict[str, bytes]) -> None:
        description = msgspec.json.decode(members["session.json"])
        CHANGES[what](description)
        members["session.json"] = msgspec.json.encode(description)

    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    refused(store, rewritten(tmp_path / "x.sandbox", tmp_path / "y.sandbox", change))


def test_an_archive_names_no_session_in_whose_files_its_own_is_to_work(
    store: Store, full: StoredSession, tmp_path: Path
) -> None:
    """Nor what else a sandbox may be given: of that only its user decides."""

    def change(members: dict[str, bytes]) -> None:
        description = msgspec.json.decode(members["session.json"])
        description["options"] |= {"language": "javascript", "files_of": "another", "network": "host", "files": ["/"]}
        members["session.json"] = msgspec.json.encode(description)

    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    changed = rewritten(tmp_path / "x.sandbox", tmp_path / "y.sandbox", change)
    store.import_session(changed, owner=OWNER, session="two")
    assert store.session("two", owner=OWNER).options == {"language": "javascript"}


def test_a_file_that_is_no_archive_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.sandbox").write_bytes(os.urandom(5000))
    assert "not a whole archive" in refused(store, tmp_path / "x.sandbox")
    with pytest.raises(UsageError, match="no file"):
        store.import_session(tmp_path / "missing", owner=OWNER)


def test_every_cut_of_an_archive_is_refused(store: Store, full: StoredSession, tmp_path: Path) -> None:
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    data = (tmp_path / "x.sandbox").read_bytes()
    for part in range(1, 20):
        (tmp_path / "cut").write_bytes(data[: len(data) * part // 20])
        refused(store, tmp_path / "cut")


def test_an_archive_larger_than_the_quota_is_refused_before_it_is_read(
    store: Store, full: StoredSession, tmp_path: Path
) -> None:
    store.export("one", tmp_path / "x.sandbox", owner=OWNER)
    with Store(tmp_path / "small", Limits(session_bytes=100_000)) as other:
        assert "room for 100000" in refused(other, tmp_path / "x.sandbox")
    with Store(tmp_path / "full", Limits(total_bytes=100_000)) as other, pytest.raises(StoreFull):
        other.import_session(tmp_path / "x.sandbox", owner=OWNER)


def test_outputs_that_are_no_json_are_damage_and_not_a_crash(store: Store, session: StoredSession) -> None:
    session.commit(execution=ExecutionRecord(number=1, code="", status="ok", started=1.0), outputs=[{"a": 1}])
    with store.database.writing():
        store.database.run("UPDATE executions SET outputs = x'007b'")
    with pytest.raises(StoreDamaged):
        store.outputs("one", 1, owner=OWNER)
