"""Removing what hostile code has made: all of it, nothing else, with few descriptors, whatever its shape."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.inside import tidy


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A directory to remove, beside others that must stay."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "kept").write_bytes(b"kept")
    (tmp_path / "beside").chmod(0o750)
    (tmp_path / "tree").mkdir()
    yield tmp_path / "tree"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["beside"]
    assert (tmp_path / "beside" / "kept").read_bytes() == b"kept"
    assert stat.S_IMODE((tmp_path / "beside").stat().st_mode) == 0o750


@contextmanager
def few_descriptors(most: int = 8) -> Iterator[None]:
    """Let the block open so many more descriptors at once, and no more."""
    used = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1 + most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_every_kind_of_entry_is_removed_and_no_link_followed(tree: Path, tmp_path: Path) -> None:
    for link, target in {"out": str(tmp_path / "beside"), "up": "..", "loop": "loop", "nowhere": "nowhere"}.items():
        (tree / link).symlink_to(target)
    (tree / "empty").touch()
    os.link(tree / "empty", tree / "hard link")
    os.link(tmp_path / "beside" / "kept", tree / "hard link out")
    os.mkfifo(tree / "fifo")
    before = Path.cwd()
    os.chdir(tree)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket")
    finally:
        os.chdir(before)
    with (tree / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    for name in (b"not utf-8 \xff", b"line\nbreak", b"x" * 255, b"-rf", b" ", b"*"):
        (tree / os.fsdecode(name)).mkdir()
        (tree / os.fsdecode(name) / "file").touch()
    with few_descriptors():
        tidy.remove_tree(str(tree))


@pytest.mark.needs_root
def test_devices_are_removed(tree: Path) -> None:
    os.mknod(tree / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(tree / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 250))
    tidy.remove_tree(str(tree))


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400, 0o500, 0o555, 0o1777])
def test_modes_do_not_keep_anything_alive(tree: Path, mode: int) -> None:
    (tree / "a" / "b" / "c").mkdir(parents=True)
    (tree / "a" / "b" / "file").touch(mode)
    (tree / "a" / "b" / "c" / "file").touch(mode)
    for path in (tree / "a" / "b" / "c", tree / "a" / "b", tree / "a", tree):
        path.chmod(mode)
    tidy.remove_tree(str(tree))


def test_five_thousand_levels_take_few_descriptors_and_no_recursion(tree: Path) -> None:
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(5000):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open(f"file {level}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with few_descriptors():
        tidy.remove_tree(str(tree))


def test_twenty_thousand_files_in_one_directory_are_removed(tree: Path) -> None:
    (tree / "many").mkdir()
    for number in range(20_000):
        os.close(os.open(tree / "many" / str(number), os.O_CREAT | os.O_WRONLY))
    with few_descriptors():
        tidy.remove_tree(str(tree))


def test_names_that_the_removal_uses_itself_may_be_taken(tree: Path) -> None:
    for number in range(50):
        (tree / f".{os.getpid()}.{number}" / "a" / "b").mkdir(parents=True)
        (tree / "c" / f".{os.getpid()}.{number}" / "a" / "b").mkdir(parents=True)
    tidy.remove_tree(str(tree))


def test_the_path_may_be_a_link_or_a_file_or_end_in_a_slash(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "kept").touch()
    (tmp_path / "link").symlink_to("directory")
    (tmp_path / "file").touch()
    tidy.remove_tree(str(tmp_path / "link"))
    tidy.remove_tree(str(tmp_path / "file"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["directory"]
    assert (tmp_path / "directory" / "kept").exists()
    tidy.remove_tree(f"{tmp_path}/directory/")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_no_mistake(tmp_path: Path) -> None:
    tidy.remove_tree(str(tmp_path / "nothing"))
    tidy.remove_tree(str(tmp_path / "no" / "such" / "directory"))


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ENOTEMPTY])
def test_a_directory_that_cannot_be_removed_is_an_error_and_not_a_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As with a mount point, or where a file system keeps entries that it does not list."""
    (tmp_path / "a" / "b").mkdir(parents=True)

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        raise OSError(number, os.strerror(number), path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with pytest.raises(OSError, match=os.strerror(number)):
            tidy.remove_tree(str(tmp_path / "a"))
    tidy.remove_tree(str(tmp_path / "a"))


WORK = """
import os, random, select
directories = [f"tree/{n}" for n in range(10)]
while not select.select([0], [], [], 0)[0]:
    for path in directories:
        for action in (
            lambda: os.mkdir(path),
            lambda: os.mkdir(f"{path}/below"),
            lambda: os.symlink("../../beside", f"{path}/link"),
            lambda: os.rename(f"{path}/link", random.choice(directories)),
            lambda: os.rename(random.choice(directories), f"{path}/below/in"),
            lambda: os.symlink("../beside", path),
        ):
            try:
                action()
            except OSError:
                pass
"""


def test_a_link_that_took_the_place_of_a_directory_is_not_opened(tree: Path) -> None:
    """The moment between looking at an entry and opening it is too short to be met by chance."""
    (tree / "link").symlink_to("../beside")
    parent = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(OSError, match=r".") as caught:
        tidy._open(parent, "link")
    os.close(parent)
    assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
    tidy.remove_tree(str(tree))


def test_nothing_beside_is_touched_while_code_is_at_work_in_the_tree(tree: Path) -> None:
    parent = os.open(tree.parent, os.O_RDONLY | os.O_DIRECTORY)
    command = [sys.executable, "-c", WORK]
    unexpected = []
    with subprocess.Popen(command, cwd=tree.parent, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                tidy.remove_entry(parent, "tree", most=300)
            except OSError as error:
                unexpected.append(error.errno)
            tree.mkdir(exist_ok=True)
        process.stdin.close()
    os.close(parent)
    assert set(unexpected) <= {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ELOOP}
    tidy.remove_tree(str(tree))


def test_control_groups_are_removed_from_the_innermost_and_busy_ones_are_named(tmp_path: Path) -> None:
    """Shown with plain directories: like a group, one is removed only when it is empty."""
    (tmp_path / "engine" / "w1").mkdir(parents=True)
    (tmp_path / "engine" / "w2").mkdir()
    (tmp_path / "engine" / "w2" / "held").touch()
    paths = [str(tmp_path / "engine"), str(tmp_path / "not there")]
    assert tidy.remove_cgroups(paths) == [f"{tmp_path}/engine/w2", f"{tmp_path}/engine"]
    (tmp_path / "engine" / "w2" / "held").unlink()
    assert tidy.remove_cgroups(paths) == []
    assert list(tmp_path.iterdir()) == []
