"""Looking at a workspace: everything in it is seen or said to be missing, nothing outside, at a bounded cost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sandbox.beneath import MOST_DEPTH
from sandbox.engine import scan as scanning
from sandbox.engine.scan import Scan, changes, printable, scan
from sandbox.engine.workspaces import Workspace
from sandbox.protocol import messages as m

Swapping = Callable[[Path, Path], AbstractContextManager[object]]
pytestmark = pytest.mark.usefixtures("no_new_descriptors")


def make(workspace: Workspace, *paths: str, content: bytes = b"x") -> None:
    for path in paths:
        place = workspace.path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def test_an_empty_workspace_has_nothing(workspace: Workspace) -> None:
    assert scan(workspace.fd) == Scan({}, 0, complete=True, entries=0)


def test_files_and_links_are_found_at_every_depth(workspace: Workspace, outside: Path) -> None:
    make(workspace, "a", "b/c", "b/d/e")
    (workspace.path / "link").symlink_to(outside)
    os.mkfifo(workspace.path / "fifo")
    found = scan(workspace.fd)
    assert set(found.files) == {"a", "b/c", "b/d/e", "link"}
    assert (found.complete, found.entries) == (True, 7)


def test_sizes_count_what_is_on_the_disk(workspace: Workspace) -> None:
    make(workspace, "a", content=bytes(1 << 20))
    with (workspace.path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert 1 << 20 <= scan(workspace.fd).bytes < 2 << 20


def test_a_file_of_several_names_counts_once(workspace: Workspace) -> None:
    make(workspace, "a", content=bytes(1 << 20))
    before = scan(workspace.fd).bytes
    for number in range(10):
        os.link(workspace.path / "a", workspace.path / f"link {number}")
    found = scan(workspace.fd)
    assert found.bytes == before
    assert len(found.files) == 11


@pytest.mark.parametrize("place", ["__pycache__", "a/__pycache__", "__pycache__/deeper"])
def test_what_is_not_named_is_counted_all_the_same(workspace: Workspace, place: str) -> None:
    make(workspace, f"{place}/cached.pyc", content=bytes(1 << 20))
    make(workspace, "a__pycache__/named")
    found = scan(workspace.fd)
    assert set(found.files) == {"a__pycache__/named"}
    assert found.bytes > 1 << 20
    assert found.complete


def test_what_lies_too_deep_is_said_to_be_missing(workspace: Workspace) -> None:
    here = workspace.path
    for depth in range(MOST_DEPTH + 2):
        (here / f"file {depth}").touch()
        here /= "d"
        here.mkdir()
    found = scan(workspace.fd)
    assert len(found.files) == MOST_DEPTH + 1
    assert not found.complete


def test_a_tree_of_five_thousand_levels_is_looked_at_quickly(workspace: Workspace) -> None:
    deep(workspace.path, 5000)
    begin = time.monotonic()
    found = scan(workspace.fd)
    assert not found.complete
    assert time.monotonic() - begin < 5


def deep(top: Path, levels: int) -> None:
    """Make directories in directories, longer than any path can be."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


def test_names_that_no_path_can_hold_are_said_to_be_missing(workspace: Workspace) -> None:
    fd = os.dup(workspace.fd)
    for _ in range(20):
        os.mkdir("x" * 255, dir_fd=fd)
        below = os.open("x" * 255, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    found = scan(workspace.fd)
    assert not found.complete
    assert found.entries < 20


def test_the_number_of_entries_is_bounded(workspace: Workspace) -> None:
    make(workspace, *(f"{n % 5}/{n}" for n in range(50)))
    found = scan(workspace.fd, 20)
    assert found.entries == 21
    assert not found.complete
    assert scan(workspace.fd, 55).complete


def test_the_length_of_all_paths_is_bounded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    make(workspace, *(f"{n:0100}" for n in range(50)))
    monkeypatch.setattr(scanning, "MOST_PATH_BYTES", 1000)
    found = scan(workspace.fd)
    assert not found.complete
    assert len(found.files) == 11


def test_a_directory_that_may_not_be_read_is_said_to_be_missing(workspace: Workspace) -> None:
    make(workspace, "closed/file", "open")
    before = scan(workspace.fd)
    (workspace.path / "closed").chmod(0)
    after = scan(workspace.fd)
    (workspace.path / "closed").chmod(0o700)
    if os.geteuid() == 0:
        assert after.complete
    else:
        assert not after.complete
    assert changes(before, after) == m.FileChanges()


def test_odd_names_are_found_and_printable(workspace: Workspace) -> None:
    names = [b"not utf-8 \xff\xfe", b"line\nbreak", b"x" * 255, "ä".encode(), b" ", b"-rf", b"a:b"]
    for name in names:
        (workspace.path / os.fsdecode(name)).touch()
    found = scan(workspace.fd)
    assert {os.fsencode(path) for path in found.files} == set(names)
    changed = changes(Scan({}, 0, complete=True), found)
    assert "not utf-8 \ufffd\ufffd" in changed.created
    m.encode(m.CommandFinished(0, 0.0, files=changed))


def test_printable_leaves_text_alone() -> None:
    assert printable("a/ä\n") == "a/ä\n"
    assert printable("\udcff") == "\ufffd"


# --- changes --------------------------------------------------------------------------------------------------------


def test_created_modified_and_deleted_files_are_told_apart(workspace: Workspace) -> None:
    make(workspace, "kept", "changed", "replaced", "gone", "touched")
    before = scan(workspace.fd)
    make(workspace, "new", "sub/new")
    make(workspace, "changed", content=b"other")
    make(workspace, "temporary")
    (workspace.path / "temporary").rename(workspace.path / "replaced")
    os.utime(workspace.path / "touched", (0, 0))
    (workspace.path / "gone").unlink()
    changed = changes(before, scan(workspace.fd))
    assert changed == m.FileChanges(("new", "sub/new"), ("changed", "replaced", "touched"), ("gone",))


def test_a_change_that_keeps_size_and_time_is_seen(workspace: Workspace) -> None:
    make(workspace, "file", content=b"one")
    status = (workspace.path / "file").stat()
    before = scan(workspace.fd)
    make(workspace, "file", content=b"two")
    os.utime(workspace.path / "file", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert changes(before, scan(workspace.fd)).modified == ("file",)


def test_nothing_is_called_deleted_after_a_look_that_did_not_see_everything(workspace: Workspace) -> None:
    make(workspace, *map(str, range(30)))
    before = scan(workspace.fd)
    assert changes(before, scan(workspace.fd, 10)) == m.FileChanges()
    assert changes(scan(workspace.fd, 10), before).deleted == ()


def test_the_same_look_twice_changes_nothing(workspace: Workspace) -> None:
    make(workspace, "a", "b/c")
    assert changes(scan(workspace.fd), scan(workspace.fd)) == m.FileChanges()


# --- at the same time -----------------------------------------------------------------------------------------------


def test_looks_at_the_same_time_do_not_disturb_each_other(workspace: Workspace) -> None:
    """Two that read a directory through one description would share their place in it, and each miss a part."""
    make(workspace, *map(str, range(3000)))
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(len(scan(workspace.fd).files) for _ in range(15))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3000] * 60


def test_a_directory_that_is_swapped_for_a_link_never_shows_what_is_outside(
    workspace: Workspace, outside: Path, swapping: Swapping
) -> None:
    make(workspace, "a/mine")
    (workspace.path / "b").symlink_to(outside)
    seen: set[str] = set()
    with swapping(workspace.path / "a", workspace.path / "b"):
        for _ in range(2000):
            seen |= set(scan(workspace.fd).files)
    assert {"a/mine", "b"} <= seen | {"b/mine", "a"}
    assert seen <= {"a", "b", "a/mine", "b/mine"}


async def test_a_look_at_many_files_leaves_the_loop_alone(workspace: Workspace) -> None:
    """The first look after many files were made must not keep the engine from everybody else."""
    make(workspace, *map(str, range(500)))
    caller = threading.get_ident()
    looked_in: set[int] = set()
    real = scanning._Walk.look

    def look(self: scanning._Walk, fd: int, prefix: str) -> None:
        real(self, fd, prefix)
        if self.entries > 200:
            looked_in.add(threading.get_ident() if self.entries == 500 else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning._Walk, "look", look)
        changed, found = await workspace.changed()
    assert len(found.files) == len(changed.created) == 500
    assert caller not in looked_in


def test_an_empty_workspace_costs_microseconds(workspace: Workspace) -> None:
    """It is looked at after every execution. Measured at 4 us; the bound allows for a busy machine."""
    times = []
    for _ in range(200):
        begin = time.perf_counter()
        scan(workspace.fd)
        times.append(time.perf_counter() - begin)
    assert min(times) < 50e-6
