"""Workspace files: what was captured comes back the same, and nothing outside is ever touched or read."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import StoreDamaged, StoreError
from sandbox.inside import tidy
from sandbox.store import workspace
from sandbox.store.files import Captured
from sandbox.store.manifest import FileEntry
from sandbox.store.retention import Limits
from sandbox.store.session import StoredSession
from sandbox.store.session_files import SessionFiles
from sandbox.store.sessions import New
from sandbox.store.staged import StagedFile
from sandbox.store.store import Store
from sandbox.store.workspace import key_of, path_of, survey

from .conftest import OWNER

BIG = os.urandom(300_000)
OLD = 1_600_000_000_000_000_000
Picture = dict[str, tuple[object, ...]]


class Place:
    """A workspace with its session."""

    def __init__(self, path: Path, store: Store, session: StoredSession) -> None:
        self.path, self.store, self.session = path, store, session
        path.mkdir(exist_ok=True)
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.files = SessionFiles(store, session)

    def save(self) -> Captured:
        staging = self.session.staging()
        captured = self.files.capture(staging, self.fd)
        self.session.commit(staging)
        self.files.committed()
        return captured

    def restore(self, to: int | None = None) -> list[str]:
        if to is not None:
            self.session.rollback(to)
        return sorted(self.files.restore(self.fd, None, verified=True))

    def write(self, name: str, data: bytes, mode: int = 0o644, mtime: int = OLD) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)
        os.utime(file, ns=(mtime, mtime))

    def picture(self) -> Picture:
        found: Picture = {}
        for top, directories, names in os.walk(self.path):
            for path in (Path(top, name) for name in directories + names):
                status = path.lstat()
                key, mode = str(path.relative_to(self.path)), stat.S_IMODE(status.st_mode)
                if path.is_symlink():
                    found[key] = ("link", os.readlink(path))
                elif path.is_dir():
                    found[key] = ("directory", mode)
                else:
                    found[key] = (path.read_bytes(), mode, status.st_mtime_ns)
        return found


@pytest.fixture
def place(tmp_path: Path, store: Store, session: StoredSession) -> Iterator[Place]:
    place = Place(tmp_path / "workspace", store, session)
    yield place
    os.close(place.fd)


def fill(place: Place) -> None:
    place.write("a.txt", b"one")
    place.write("empty", b"", 0o600)
    place.write("deep/er/big.bin", BIG, 0o755)
    (place.path / "nothing here").mkdir(mode=0o750)
    (place.path / "link").symlink_to("deep/er/big.bin")
    (place.path / "out").symlink_to("/etc/passwd")
    os.rename(place.path / "empty", os.fsencode(place.path) + b"/\xff%41 \n")


def test_what_was_captured_comes_back_into_an_empty_directory(place: Place, tmp_path: Path, store: Store) -> None:
    fill(place)
    assert place.save().lost == {}
    other = Place(tmp_path / "other", store, place.session)
    other.restore()
    assert other.picture() == place.picture()
    os.close(other.fd)


def test_only_what_changed_is_captured(place: Place) -> None:
    fill(place)
    place.save()
    assert not place.save().changed
    place.write("a.txt", b"two", mtime=OLD + 1)
    staging = place.session.staging()
    assert place.files.capture(staging, place.fd).changed
    assert list(staging.changes) == ["file/a.txt"]
    staging.abort()


def test_a_change_that_size_and_times_do_not_show_is_seen(place: Place) -> None:
    place.write("a.txt", b"one")
    place.save()
    place.write("a.txt", b"two")
    assert place.save().changed
    place.restore(1)
    assert (place.path / "a.txt").read_bytes() == b"one"


def test_going_back_and_forth_gives_each_state(place: Place) -> None:
    pictures: list[Picture] = [{}]
    fill(place)
    place.save()
    pictures.append(place.picture())
    place.write("a.txt", b"two", 0o600)
    (place.path / "link").unlink()
    (place.path / "link").mkdir()
    place.write("link/inner", b"x")
    (place.path / "nothing here").rmdir()
    (place.path / "nothing here").write_bytes(b"a file now")
    place.save()
    pictures.append(place.picture())
    (place.path / "deep/er").chmod(0o500)
    (place.path / "deep").rename(place.path / "moved")
    place.save()
    pictures.append(place.picture())
    for number in (1, 3, 2, 0, 3, 1, 2):
        place.restore(number)
        assert place.picture() == pictures[number], number


def test_a_restore_touches_only_what_differs(place: Place) -> None:
    fill(place)
    place.save()
    inodes = {path: path.lstat().st_ino for path in place.path.rglob("*")}
    assert place.restore() == []
    place.write("a.txt", b"changed")
    assert place.restore() == ["a.txt"]
    after = {path: path.lstat().st_ino for path in place.path.rglob("*")}
    assert {path for path in inodes if inodes[path] != after[path]} <= {place.path / "a.txt"}


def test_where_nothing_is_known_a_restore_reads_before_it_writes(place: Place, store: Store) -> None:
    fill(place)
    place.save()
    place.files = SessionFiles(store, place.session)
    assert place.restore() == []
    (place.path / "deep/er/big.bin").write_bytes(b"x" + BIG[1:])
    os.utime(place.path / "deep/er/big.bin", ns=(OLD, OLD))
    assert place.restore() == ["deep/er/big.bin"]
    assert (place.path / "deep/er/big.bin").read_bytes() == BIG


def test_no_file_is_written_through_a_link_or_another_name(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"SECRET")
    (outside / "file").write_bytes(b"SECRET")
    place.write("deep/file", b"mine")
    place.write("file", b"mine")
    place.save()
    tidy.remove_tree(str(place.path / "deep"))
    (place.path / "deep").symlink_to(outside)
    (place.path / "file").unlink()
    os.link(outside / "secret", place.path / "file")
    place.restore()
    assert (outside / "file").read_bytes() == (outside / "secret").read_bytes() == b"SECRET"
    assert (place.path / "file").read_bytes() == (place.path / "deep/file").read_bytes() == b"mine"
    assert not (place.path / "deep").is_symlink()


def test_what_lies_behind_a_link_is_not_captured(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"SECRET")
    (place.path / "directory").symlink_to(tmp_path / "outside")
    (place.path / "file").symlink_to(tmp_path / "outside/secret")
    place.save()
    assert set(place.session.manifest) == {"file/directory", "file/file"}
    assert all(isinstance(entry, FileEntry) and entry.kind == "l" for entry in place.session.manifest.values())


def test_what_is_no_file_is_named_and_not_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(place.path / "fifo")
    monkeypatch.chdir(place.path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    place.write("file", b"x")
    assert place.save().lost == {"fifo": "is a FIFO", "socket": "is a socket"}
    assert set(place.session.manifest) == {"file/file"}


def test_holes_stay_holes(place: Place) -> None:
    with (place.path / "sparse").open("wb") as file:
        file.seek(1 << 30)
        file.write(b"here")
        file.truncate(3 << 30)
    with (place.path / "only a hole").open("wb") as file:
        file.truncate(1 << 40)
    place.save()
    assert sum(path.stat().st_size for path in place.session.packs.rglob("*.pack")) < 1 << 20
    assert not place.save().changed
    (place.path / "sparse").unlink()
    (place.path / "only a hole").unlink()
    place.restore()
    status = (place.path / "sparse").stat()
    assert (status.st_size, (place.path / "only a hole").stat().st_size) == (3 << 30, 1 << 40)
    assert status.st_blocks * 512 < 1 << 20
    with (place.path / "sparse").open("rb") as file:
        file.seek((1 << 30) - 2)
        assert file.read(8) == b"\0\0here\0\0"


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Place]:
    """A place whose session has little room."""
    with Store(tmp_path / "narrow", Limits(session_bytes=200_000)) as store:
        place = Place(tmp_path / "workspace", store, store.create(New("one", OWNER)))
        yield place
        os.close(place.fd)


def test_a_file_for_which_there_is_no_room_is_named_and_the_rest_is_kept(narrow: Place) -> None:
    narrow.write("big", BIG)
    narrow.write("small", b"x")
    lost = narrow.save().lost
    assert set(lost) == {"big"}
    assert "the 0.2 MB that it may have" in lost["big"]
    assert set(narrow.session.manifest) == {"file/small"}


def test_a_file_that_grew_too_large_does_not_come_back_as_it_was(narrow: Place) -> None:
    narrow.write("big", b"small yet")
    narrow.save()
    narrow.write("big", BIG)
    assert set(narrow.save().lost) == {"big"}
    assert set(narrow.session.manifest) == set()


def test_rights_that_a_file_lends_are_not_kept(place: Place) -> None:
    place.write("setuid", b"x", 0o6755)
    place.save()
    (place.path / "setuid").unlink()
    place.restore()
    assert stat.S_IMODE((place.path / "setuid").stat().st_mode) == 0o755


def test_what_python_caches_is_not_kept_and_goes_with_a_restore(place: Place) -> None:
    place.write("module.py", b"x = 1")
    place.write("__pycache__/module.pyc", b"cached")
    place.save()
    assert set(place.session.manifest) == {"file/module.py"}
    place.restore()
    assert not (place.path / "__pycache__").exists()


def test_more_than_can_be_looked_at_is_not_taken_for_deleted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        place.write(f"d/{number}", b"x")
    place.save()
    before = dict(place.session.manifest)
    monkeypatch.setattr(workspace, "MOST_ENTRIES", 10)
    assert survey(place.fd).full
    place.save()
    assert place.session.manifest == before
    monkeypatch.undo()
    place.restore()
    assert len(list((place.path / "d").iterdir())) == 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_cannot_be_read_keeps_what_it_had(place: Place) -> None:
    place.write("d/file", b"x")
    place.save()
    (place.path / "d").chmod(0)
    assert "cannot be read" in place.save().lost["d"]
    assert set(place.session.manifest) == {"file/d", "file/d/file"}
    (place.path / "d").chmod(0o755)


@pytest.mark.needs_root
def test_what_root_restores_belongs_to_the_workspace(place: Place) -> None:
    fill(place)
    place.save()
    for name in os.listdir(place.path):
        tidy.remove_entry(place.fd, name)
    place.files.restore(place.fd, (12345, 12345))
    paths = list(place.path.rglob("*"))
    assert len(paths) == 8
    for path in paths:
        assert (path.lstat().st_uid, path.lstat().st_gid) == (12345, 12345)


@pytest.mark.parametrize("path", ["a", "a/b c", "%", "%41", "\udcff/x", "é/\udc80%", "a\nb", "%25"])
def test_every_path_is_a_key_that_leads_back_to_it(path: str) -> None:
    key = key_of(path)
    key.encode()
    assert path_of(key) == path


@pytest.mark.parametrize("key", ["file/", "file//a", "file/../a", "file/a/..", "file/a//b", "file/.", "file/a%00"])
def test_a_key_that_leads_elsewhere_is_damage(key: str) -> None:
    with pytest.raises(StoreDamaged):
        path_of(key)


def test_a_checkpoint_whose_file_lies_below_a_link_is_damage(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    place.write("kept", b"x")
    staging = place.session.staging()
    staging.changes["file/d"] = StagedFile("l", 0, OLD, target=os.fsencode(tmp_path / "outside"))
    staging.changes["file/d/evil"] = StagedFile("f", 0o644, OLD, size=4, content=staging.part(b"evil"))
    place.session.commit(staging)
    with pytest.raises(StoreDamaged):
        place.restore()
    assert list((tmp_path / "outside").iterdir()) == []
    assert (place.path / "kept").exists()


def test_a_thousand_unchanged_files_are_told_by_a_look(place: Place) -> None:
    for number in range(1000):
        place.write(f"d{number % 10}/{number}", b"%d" % number * 100)
    began = time.perf_counter()
    place.save()
    first = time.perf_counter() - began
    _settle(place)
    began = time.perf_counter()
    assert not place.save().changed
    assert time.perf_counter() - began < first / 2


def test_a_path_that_is_too_long_is_named_and_the_rest_is_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("kept", b"x")
    monkeypatch.chdir(place.path)
    for _ in range(20):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    lost = place.save().lost
    assert list(lost.values()) == ["has too long a path"]
    assert "file/kept" in place.session.manifest
    monkeypatch.undo()
    place.restore()
    assert (place.path / "kept").read_bytes() == b"x"
    assert len(place.save().lost) == 0


def test_a_workspace_that_did_not_go_back_with_its_session_is_captured_as_it_is(place: Place) -> None:
    place.write("file", b"one")
    place.save()
    place.write("file", b"two", mtime=OLD + 1)
    place.write("new", b"x")
    place.save()
    _settle(place)
    place.session.rollback(1)
    place.save()
    (place.path / "file").unlink()
    place.restore()
    assert (place.path / "file").read_bytes() == b"two"
    assert (place.path / "new").read_bytes() == b"x"


def _settle(place: Place) -> None:
    """Wait until the files are old enough for their times to tell them apart."""
    deadline = time.monotonic() + 10
    while any(mark.inode == -1 for mark in place.files._marks.values()) and time.monotonic() < deadline:
        place.save()


def test_a_file_that_was_written_just_now_is_read_again_next_time(place: Place) -> None:
    place.write("file", b"x")
    assert [mark.inode for mark in place.save().marks.values()] == [-1]
    _settle(place)
    assert [mark.inode for mark in place.files._marks.values()] == [(place.path / "file").stat().st_ino]


SWAPPING = """
import contextlib, ctypes, itertools, os, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other, outside = sys.argv[1:]
print("going", flush=True)
for turn in itertools.count():
    if not (os.path.islink(one) or os.path.islink(other)):
        with contextlib.suppress(FileNotFoundError):
            os.rename(other, f"{other}.{turn}")
        os.symlink(outside, other)
    for _ in range(50):
        libc.renameat2(-100, one.encode(), -100, other.encode(), 2)
"""


def test_a_directory_that_becomes_a_link_meanwhile_leads_nowhere(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(20):
        (outside / f"{number}").write_bytes(b"SECRET")
        place.write(f"deep/{number}", b"mine %d" % number)
    place.save()
    for number in range(20):
        place.write(f"deep/{number}", b"mine too %d" % number)
    place.save()
    arguments = [sys.executable, "-c", SWAPPING, str(place.path / "deep"), str(tmp_path / "link"), str(outside)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as swapping:
        assert swapping.stdout is not None
        swapping.stdout.readline()
        for turn in range(200):
            with contextlib.suppress(StoreError, OSError):
                if turn % 5 == 4:
                    place.save()
                else:
                    place.restore(1 + turn % 2)
        swapping.kill()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {f"{n}": b"SECRET" for n in range(20)}
    for info in place.store.checkpoints("one", owner=OWNER):
        found = place.store.manifest("one", info.number, owner=OWNER)
        with place.store.parts(place.session, found) as parts:
            assert b"SECRET" not in {parts.read(key) for key in (*parts.small, *parts.large)}
