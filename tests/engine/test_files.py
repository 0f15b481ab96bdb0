"""The engine's file operations on workspaces that hostile code has had its hands on, and still has."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox.beneath import MOST_DEPTH
from sandbox.engine import files
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxFileError, SandboxFileExistsError, SandboxFileNotFoundError, UsageError
from sandbox.protocol import messages as m
from sandbox.results import FileInfo

Swapping = Callable[[Path, Path], AbstractContextManager[object]]
AtWork = Callable[[Path, str], AbstractContextManager[object]]
TIMES = 2000
pytestmark = pytest.mark.usefixtures("no_new_descriptors")


def read(workspace: Workspace, path: str, offset: int = 0, length: int | None = None) -> bytes:
    pieces = list(files.reading(workspace, m.ReadFile("s", path, offset, length)))
    assert all(0 < len(piece) <= m.PIECE for piece in pieces)
    return b"".join(pieces)


def write(workspace: Workspace, path: str, data: bytes, *, append: bool = False) -> None:
    files.write(workspace, m.WriteFile("s", path, data, append))


def listed(workspace: Workspace, path: str = ".", *, recursive: bool = False) -> list[str]:
    return [entry.path for entry in files.listing(workspace, m.ListFiles("s", path, recursive))]


def stat(workspace: Workspace, path: str) -> m.FileEntry:
    return files.describe(workspace, m.StatFile("s", path))


def remove(workspace: Workspace, path: str, *, recursive: bool = False) -> None:
    files.remove(workspace, m.RemoveFile("s", path, recursive))


def rename(workspace: Workspace, path: str, target: str) -> None:
    files.rename(workspace, m.RenameFile("s", path, target))


def make_dir(workspace: Workspace, path: str) -> None:
    files.make_directory(workspace, m.MakeDirectory("s", path))


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_file_is_read_in_pieces(workspace: Workspace) -> None:
    content = os.urandom(2 * m.PIECE + 5)
    (workspace.path / "file").write_bytes(content)
    pieces = list(files.reading(workspace, m.ReadFile("s", "file")))
    assert [len(piece) for piece in pieces] == [m.PIECE, m.PIECE, 5]
    assert b"".join(pieces) == content


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (0, 0, b""),
        (8, 100, b"89"),
        (10, None, b""),
        (1 << 62, None, b""),
        (0, 1 << 70, b"0123456789"),
    ],
)
def test_a_part_of_a_file_is_read(workspace: Workspace, offset: int, length: int | None, expected: bytes) -> None:
    (workspace.path / "file").write_bytes(b"0123456789")
    assert read(workspace, "file", offset, length) == expected


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1), (1 << 63, None)])
def test_a_part_that_cannot_be_is_refused(workspace: Workspace, offset: int, length: int | None) -> None:
    (workspace.path / "file").write_bytes(b"0123456789")
    with pytest.raises(UsageError):
        read(workspace, "file", offset, length)


def test_an_empty_and_a_sparse_file_are_read(workspace: Workspace) -> None:
    (workspace.path / "empty").touch()
    assert read(workspace, "empty") == b""
    with (workspace.path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert read(workspace, "sparse", (1 << 40) - 3) == bytes(3)


def test_reading_ends_where_the_file_ended_when_it_was_opened(workspace: Workspace) -> None:
    (workspace.path / "growing").write_bytes(bytes(3 * m.PIECE))
    taken = 0
    for piece in files.reading(workspace, m.ReadFile("s", "growing")):
        taken += len(piece)
        with (workspace.path / "growing").open("ab") as file:
            file.write(bytes(2 * m.PIECE))
    assert taken == 3 * m.PIECE


def test_reading_a_file_that_shrinks_ends_early(workspace: Workspace) -> None:
    (workspace.path / "shrinking").write_bytes(bytes(3 * m.PIECE))
    pieces = 0
    for _ in files.reading(workspace, m.ReadFile("s", "shrinking")):
        pieces += 1
        os.truncate(workspace.path / "shrinking", 10)
    assert pieces == 1


# --- writing --------------------------------------------------------------------------------------------------------


def test_writing_makes_directories_and_cuts_what_was_there(workspace: Workspace) -> None:
    write(workspace, "/workspace/a/b/file", b"long content")
    write(workspace, "a/b/file", b"short")
    write(workspace, "a/b/file", b" and more", append=True)
    write(workspace, "new", b"x", append=True)
    assert read(workspace, "a/b/file") == b"short and more"
    assert read(workspace, "new") == b"x"


def test_writing_keeps_the_mode_of_a_file(workspace: Workspace) -> None:
    write(workspace, "script", b"#!/bin/sh\n")
    (workspace.path / "script").chmod(0o755)
    write(workspace, "script", b"#!/bin/sh\nexit 0\n")
    assert stat(workspace, "script").mode == 0o755


@pytest.mark.parametrize("path", [".", "directory", "directory/"])
def test_a_directory_is_not_written(workspace: Workspace, path: str) -> None:
    make_dir(workspace, "directory")
    with pytest.raises(SandboxFileError, match="is a directory"):
        write(workspace, path, b"x")


# --- listing and describing -----------------------------------------------------------------------------------------


def test_a_listing_says_what_each_entry_is(workspace: Workspace) -> None:
    (workspace.path / "file").write_bytes(b"123")
    (workspace.path / "directory").mkdir()
    (workspace.path / "link").symlink_to("nowhere")
    os.mkfifo(workspace.path / "fifo")
    entries = files.listing(workspace, m.ListFiles("s"))
    assert [(e.path, e.kind, e.size, e.target) for e in entries] == [
        ("directory", "directory", 0, None),
        ("fifo", "other", 0, None),
        ("file", "file", 3, None),
        ("link", "link", 0, "nowhere"),
    ]
    assert entries == tuple(stat(workspace, entry.path) for entry in entries)


def test_a_recursive_listing_goes_into_directories_and_not_through_links(workspace: Workspace, outside: Path) -> None:
    write(workspace, "a/b/c", b"")
    (workspace.path / "a" / "up").symlink_to("..")
    (workspace.path / "out").symlink_to(outside)
    assert listed(workspace, recursive=True) == ["a", "a/b", "a/b/c", "a/up", "out"]
    assert listed(workspace, "a", recursive=True) == ["a/b", "a/b/c", "a/up"]
    assert listed(workspace, "a") == ["a/b", "a/up"]
    with pytest.raises(SandboxFileError, match="leads out"):
        listed(workspace, "out")


def test_odd_names_are_listed_as_text(workspace: Workspace) -> None:
    for name in (b"not utf-8 \xff", b"line\nbreak", b"x" * 255, "ä".encode(), b"-rf"):
        (workspace.path / os.fsdecode(name)).touch()
    inner = workspace.path / os.fsdecode(b"dir\xfe")
    inner.mkdir()
    (inner / "below").touch()
    expected = ["-rf", "dir\ufffd", "dir\ufffd/below", "line\nbreak", "not utf-8 \ufffd", "x" * 255, "ä"]
    assert listed(workspace, recursive=True) == sorted(expected)
    m.encode(m.FilesListed(files.listing(workspace, m.ListFiles("s"))))


@pytest.mark.parametrize("seconds", [-(1 << 31), 0, 1 << 33, 1 << 40, (1 << 62) // 10**9])
def test_every_time_a_file_can_have_becomes_a_datetime(workspace: Workspace, seconds: int) -> None:
    (workspace.path / "file").touch()
    os.utime(workspace.path / "file", (seconds, seconds))
    (entry,) = files.listing(workspace, m.ListFiles("s"))
    assert 1 <= FileInfo.of(entry).modified_at.year <= 9999


def test_the_workspace_itself_can_be_described(workspace: Workspace) -> None:
    entry = stat(workspace, "/workspace")
    assert (entry.path, entry.kind, entry.mode) == (".", "directory", 0o700)


def test_a_deep_tree_is_listed_as_far_as_is_looked(workspace: Workspace) -> None:
    here = workspace.path
    for _ in range(200):
        here /= "d"
        here.mkdir()
    assert len(listed(workspace, recursive=True)) == MOST_DEPTH + 1


def test_too_many_entries_are_refused_and_not_cut(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write(workspace, f"{number % 3}/{number}", b"")
    assert len(listed(workspace, recursive=True)) == 33
    monkeypatch.setattr(files, "MOST_ENTRIES", 20)
    with pytest.raises(SandboxFileError, match="more than 20 entries"):
        listed(workspace, recursive=True)
    monkeypatch.undo()
    monkeypatch.setattr(files, "MOST_PATH_BYTES", 50)
    with pytest.raises(SandboxFileError, match="their paths take more"):
        listed(workspace, recursive=True)


def test_twenty_thousand_files_in_one_directory_are_listed(workspace: Workspace) -> None:
    for number in range(20_000):
        os.close(os.open(workspace.path / str(number), os.O_CREAT | os.O_WRONLY))
    assert len(listed(workspace)) == 20_000


def test_what_may_not_be_read_below_is_listed_as_empty(workspace: Workspace) -> None:
    write(workspace, "closed/file", b"")
    (workspace.path / "closed").chmod(0)
    expected = ["closed", "closed/file"] if os.geteuid() == 0 else ["closed"]
    assert listed(workspace, recursive=True) == expected
    (workspace.path / "closed").chmod(0o700)


# --- renaming -------------------------------------------------------------------------------------------------------


def test_a_rename_makes_directories_and_replaces_files_and_links(workspace: Workspace, outside: Path) -> None:
    write(workspace, "a", b"a")
    rename(workspace, "a", "new/b")
    assert read(workspace, "new/b") == b"a"
    (workspace.path / "link").symlink_to(outside / "secret")
    rename(workspace, "new/b", "link")
    assert stat(workspace, "link").kind == "file"
    assert read(workspace, "link") == b"a"


def test_a_link_is_renamed_itself(workspace: Workspace, outside: Path) -> None:
    (workspace.path / "link").symlink_to(outside)
    rename(workspace, "link", "other")
    assert stat(workspace, "other").target == str(outside)


@pytest.mark.parametrize(
    ("path", "target", "text"),
    [
        ("nothing", "x", "no such file"),
        ("file", "full", "is a directory"),
        ("empty", "file", "not a directory"),
        ("empty", "full", "directory not empty"),
        ("full", "full/below", "invalid argument"),
        (".", "x", "it is the workspace itself"),
        ("file", ".", "it is the workspace itself"),
        ("file", "out/x", "it leads out"),
        ("out/secret", "x", "it leads out"),
        ("file", "file/x", "not a directory"),
    ],
)
def test_a_rename_that_cannot_be_says_why(
    workspace: Workspace, outside: Path, path: str, target: str, text: str
) -> None:
    write(workspace, "file", b"")
    write(workspace, "full/file", b"")
    make_dir(workspace, "empty")
    (workspace.path / "out").symlink_to(outside)
    with pytest.raises(SandboxFileError, match=text):
        rename(workspace, path, target)


def test_a_rename_stays_in_the_workspace(workspace: Workspace, outside: Path) -> None:
    write(workspace, "file", b"")
    for path, target in ((f"{outside}/secret", "x"), ("file", f"{outside}/x"), ("file", "../x"), ("../w1/file", "x")):
        with pytest.raises(UsageError, match="outside the workspace"):
            rename(workspace, path, target)


# --- making directories and removing --------------------------------------------------------------------------------


def test_a_directory_may_be_there_already(workspace: Workspace) -> None:
    make_dir(workspace, "a/b")
    make_dir(workspace, "a/b")
    make_dir(workspace, ".")
    assert stat(workspace, "a/b").kind == "directory"


def test_removing_takes_the_link_and_not_what_it_leads_to(workspace: Workspace, outside: Path) -> None:
    (workspace.path / "link").symlink_to(outside)
    remove(workspace, "link", recursive=True)
    assert listed(workspace) == []


@pytest.mark.parametrize(
    ("path", "recursive", "text"),
    [
        ("nothing", False, "no such file"),
        ("full", False, "directory not empty"),
        (".", True, "it is the workspace itself"),
        ("out/secret", False, "it leads out"),
        ("out/below", True, "it leads out"),
        ("file/x", False, "not a directory"),
    ],
)
def test_a_removal_that_cannot_be_says_why(
    workspace: Workspace, outside: Path, path: str, recursive: bool, text: str
) -> None:
    write(workspace, "file", b"")
    write(workspace, "full/file", b"")
    (workspace.path / "out").symlink_to(outside)
    with pytest.raises(SandboxFileError, match=text):
        remove(workspace, path, recursive=recursive)


def test_a_whole_directory_is_removed_with_everything_in_it(workspace: Workspace, outside: Path) -> None:
    write(workspace, "full/a/b/c", b"")
    (workspace.path / "full" / "out").symlink_to(outside)
    (workspace.path / "full" / "a").chmod(0)
    write(workspace, "kept", b"")
    remove(workspace, "full", recursive=True)
    assert listed(workspace) == ["kept"]


def test_missing_and_existing_files_have_their_own_errors(workspace: Workspace) -> None:
    for action in (read, stat, listed, remove):
        with pytest.raises(SandboxFileNotFoundError) as caught:
            action(workspace, "nothing")
        assert caught.value.errno == errno.ENOENT
    with pytest.raises(FileNotFoundError):
        read(workspace, "no/such/directory")
    assert issubclass(SandboxFileExistsError, FileExistsError)


# --- races ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def swapped(workspace: Workspace, outside: Path, swapping: Swapping) -> AbstractContextManager[object]:
    """`a`, a directory with a file, and `b`, a link out, change places all the time."""
    write(workspace, "a/secret", b"mine")
    write(workspace, "a/below/mine", b"mine")
    (workspace.path / "b").symlink_to(outside)
    return swapping(workspace.path / "a", workspace.path / "b")


def often(action: Callable[[], object], *allowed: int) -> list[Any]:
    """Do it so many times, and on until it has met both states; return what it returned when it did not fail."""
    results: list[Any] = []
    failures: set[int | None] = set()
    times = 0
    deadline = time.monotonic() + 30
    while times < TIMES or (not (results and failures) and time.monotonic() < deadline):
        times += 1
        try:
            results.append(action())
        except SandboxFileError as error:
            failures.add(error.errno)
    assert results
    assert failures
    assert failures <= {errno.EXDEV, errno.EAGAIN, errno.ENOENT, *allowed}
    return results


def test_reading_never_reads_outside(workspace: Workspace, swapped: AbstractContextManager[object]) -> None:
    with swapped:
        seen = often(lambda: read(workspace, "a/secret"))
    assert set(seen) == {b"mine"}


def test_listing_never_lists_outside(workspace: Workspace, swapped: AbstractContextManager[object]) -> None:
    with swapped:
        seen = often(lambda: tuple(listed(workspace, "a", recursive=True)))
        all_seen = [tuple(listed(workspace, recursive=True)) for _ in range(TIMES)]
    inner = {"a/secret", "a/below", "a/below/mine"}
    assert all(set(paths) <= inner for paths in seen)
    assert {path.removeprefix("a/").removeprefix("b/") for paths in all_seen for path in paths} <= {
        "a", "b", "secret", "below", "below/mine",
    }  # fmt: skip


def test_describing_never_describes_outside(workspace: Workspace, swapped: AbstractContextManager[object]) -> None:
    with swapped:
        seen = often(lambda: stat(workspace, "a/secret").size)
    assert set(seen) == {len(b"mine")}


def test_writing_and_renaming_never_touch_outside(
    workspace: Workspace, swapped: AbstractContextManager[object]
) -> None:
    def write_and_rename() -> None:
        write(workspace, "mine", b"")
        rename(workspace, "mine", "a/secret")

    with swapped:
        often(lambda: write(workspace, "a/secret", b"mine"))
        often(lambda: make_dir(workspace, "a/new"))
        often(lambda: rename(workspace, "a/secret", "a/secret"))
        often(write_and_rename)


def test_removing_never_removes_outside(workspace: Workspace, outside: Path, swapping: Swapping) -> None:
    write(workspace, "a/file", b"")
    (workspace.path / "b").symlink_to(outside)

    def write_and_remove() -> None:
        with suppress(SandboxFileError):
            write(workspace, "a/below/secret", b"mine")
        remove(workspace, "a/below", recursive=True)

    with swapping(workspace.path / "a", workspace.path / "b"):
        often(write_and_remove)


BUSY = """
def step(n):
    for action in (
        lambda: os.mkdir("busy"),
        lambda: os.mkdir(f"busy/{n % 20}"),
        lambda: open(f"busy/{n % 20}/file", "w").close(),
        lambda: os.rename(f"busy/{n % 20}", f"busy/{(n + 1) % 20}/in"),
    ):
        with contextlib.suppress(OSError):
            action()
"""


def test_removing_a_directory_in_which_code_is_at_work_ends(
    workspace: Workspace, at_work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the directory gone or with an error, and nothing beside it is touched."""
    monkeypatch.setattr(files, "_MOST_REMOVED", 200)
    write(workspace, "kept", b"kept")
    failures = set()
    with at_work(workspace.path, BUSY):
        for _ in range(10):
            try:
                remove(workspace, "busy", recursive=True)
            except SandboxFileError as error:
                failures.add(error.errno)
    assert failures <= {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}
    assert read(workspace, "kept") == b"kept"


def test_a_removal_looks_at_so_many_entries_at_most(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where code inside makes new ones as fast, there would be no end to it."""
    for number in range(600):
        write(workspace, f"busy/{number}", b"")
    monkeypatch.setattr(files, "_MOST_REMOVED", 500)
    with pytest.raises(SandboxFileError, match="not empty"):
        remove(workspace, "busy", recursive=True)
    monkeypatch.undo()
    remove(workspace, "busy", recursive=True)
    assert listed(workspace) == []


def test_a_file_replaced_by_a_directory_and_back_is_read_or_refused(workspace: Workspace, swapping: Swapping) -> None:
    write(workspace, "a", b"mine")
    make_dir(workspace, "b")
    with swapping(workspace.path / "a", workspace.path / "b"):
        seen = often(lambda: read(workspace, "a"), errno.EISDIR)
        often(lambda: write(workspace, "a", b"mine"), errno.EISDIR)
    assert set(seen) == {b"mine"}
