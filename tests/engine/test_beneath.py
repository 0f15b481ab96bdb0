"""Opening beneath a directory: nothing above it is reached, nothing blocks, and root gives nothing foreign away."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.beneath import (
    checked_range,
    file_error,
    make_directories,
    open_directory,
    open_parent,
    open_regular,
    open_to_write,
    openat2,
    relative,
)
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxFileError, SandboxFileExistsError, SandboxFileNotFoundError, UsageError

Swapping = Callable[[Path, Path], AbstractContextManager[object]]
TIMES = 2000
pytestmark = pytest.mark.usefixtures("no_new_descriptors")


@contextmanager
def closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def read(workspace: Workspace, path: str) -> bytes:
    with closing(open_regular(workspace.fd, path, os.O_RDONLY)) as fd:
        return os.read(fd, 100)


def write(workspace: Workspace, path: str, data: bytes, *, append: bool = False) -> None:
    with closing(open_to_write(workspace.fd, path, workspace.owner, append=append)) as fd:
        os.write(fd, data)


def refused(error: pytest.ExceptionInfo[OSError], *numbers: int) -> None:
    assert error.value.errno in numbers, errno.errorcode[error.value.errno or 0]


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def links(workspace: Workspace, outside: Path) -> Workspace:
    """A workspace full of ways out."""
    here = workspace.path
    up = "../" * len(here.parts)
    (here / "sub").mkdir()
    targets: dict[str, Path | str] = {
        "absolute": outside / "secret",
        "relative": f"{up}{outside}/secret",
        "just above": "..",
        "directory": outside,
        "root": "/",
        "process root": f"/proc/self/root{outside}/secret",
        "descriptor": f"/proc/self/fd/{workspace.fd}",
        "chain 1": "chain 2",
        "chain 2": "sub/../chain 3",
        "chain 3": outside / "secret",
        "loop 1": "loop 2",
        "loop 2": "loop 1",
    }
    for name, target in targets.items():
        (here / name).symlink_to(target)
    return workspace


# All of them lead to the test's own directory, so that nobody's files are hurt where this should ever fail.
WAYS_OUT = [
    "absolute", "relative", "just above", "directory", "directory/secret", "directory/below/secret", "process root",
    "descriptor", "chain 1", "sub/../directory/secret", "just above/w1/sub",
]  # fmt: skip
# These lead to other people's files, and are only looked at.
WAYS_FAR_OUT = ["root", "root/etc/passwd", "/etc/passwd", ".."]


@pytest.mark.parametrize("path", [*WAYS_OUT, *WAYS_FAR_OUT, "sub/../../outside/secret"])
def test_no_path_leads_out(links: Workspace, path: str) -> None:
    for flags in (os.O_PATH, os.O_RDONLY | os.O_NONBLOCK):
        with pytest.raises(OSError, match=r".") as caught:
            openat2(links.fd, path, flags)
        refused(caught, errno.EXDEV)


@pytest.mark.parametrize("path", WAYS_OUT)
def test_no_file_is_made_on_a_way_out(links: Workspace, path: str) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        openat2(links.fd, path, os.O_WRONLY | os.O_CREAT, 0o644)
    refused(caught, errno.EXDEV)


def test_links_that_stay_beneath_are_followed_unless_they_are_not_wanted(workspace: Workspace) -> None:
    (workspace.path / "a").mkdir()
    (workspace.path / "a" / "file").write_bytes(b"here")
    (workspace.path / "link").symlink_to("a")
    (workspace.path / "a" / "up").symlink_to("../a/file")
    assert read(workspace, "link/up") == b"here"
    with pytest.raises(OSError, match=r".") as caught:
        open_regular(workspace.fd, "link/file", os.O_RDONLY, links=False)
    refused(caught, errno.ELOOP)
    with pytest.raises(OSError, match=r".") as caught:
        open_directory(workspace.fd, "link")
    refused(caught, errno.ELOOP)


def test_links_that_lead_to_each_other_end(links: Workspace) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        read(links, "loop 1")
    refused(caught, errno.ELOOP)


@pytest.mark.parametrize("path", WAYS_OUT)
def test_nothing_is_written_or_made_through_a_link(links: Workspace, path: str) -> None:
    with pytest.raises(OSError, match=r"."):
        write(links, path, b"HACKED")
    with pytest.raises(OSError, match=r"."):
        write(links, f"{path}/new", b"HACKED")
    with pytest.raises(OSError, match=r"."):
        make_directories(links.fd, f"{path}/new/directory", links.owner)


def test_a_link_that_leads_nowhere_is_not_written_through(workspace: Workspace, outside: Path) -> None:
    (workspace.path / "dangling").symlink_to("not there")
    (workspace.path / "dangling out").symlink_to(outside / "new")
    for path, number in (("dangling", errno.ENOENT), ("dangling out", errno.EXDEV)):
        with pytest.raises(OSError, match=r".") as caught:
            write(workspace, path, b"x")
        refused(caught, number)


# --- races ----------------------------------------------------------------------------------------------------------


def often(action: Callable[[], object]) -> tuple[set[object], set[int | None]]:
    """Do it so many times, and on until it has met both states; return its results and the errors it failed with."""
    results: set[object] = set()
    failures: set[int | None] = set()
    times = 0
    deadline = time.monotonic() + 30
    while times < TIMES or (not (results and failures) and time.monotonic() < deadline):
        times += 1
        try:
            results.add(action())
        except OSError as error:
            failures.add(error.errno)
    return results, failures


def test_reading_below_a_directory_that_is_swapped_for_a_link_never_reads_outside(
    workspace: Workspace, outside: Path, swapping: Swapping
) -> None:
    (workspace.path / "a").mkdir()
    (workspace.path / "a" / "secret").write_bytes(b"mine")
    (workspace.path / "b").symlink_to(outside)
    with swapping(workspace.path / "a", workspace.path / "b"):
        seen, failures = often(lambda: read(workspace, "a/secret"))
    assert seen == {b"mine"}
    assert failures <= {errno.EXDEV, errno.EAGAIN}


def test_reading_a_file_that_is_swapped_for_a_link_never_reads_outside(
    workspace: Workspace, outside: Path, swapping: Swapping
) -> None:
    (workspace.path / "a").write_bytes(b"mine")
    (workspace.path / "b").symlink_to(outside / "secret")
    with swapping(workspace.path / "a", workspace.path / "b"):
        seen, failures = often(lambda: read(workspace, "a"))
    assert seen == {b"mine"}
    assert failures <= {errno.EXDEV, errno.EAGAIN}


def test_writing_below_a_directory_that_is_swapped_for_a_link_never_writes_outside(
    workspace: Workspace, outside: Path, swapping: Swapping
) -> None:
    (workspace.path / "a").mkdir()
    (workspace.path / "b").symlink_to(outside)
    with swapping(workspace.path / "a", workspace.path / "b"):
        for action in (
            lambda: make_directories(workspace.fd, "a/new", workspace.owner),
            lambda: make_directories(workspace.fd, "a/new/below/it", workspace.owner),
            lambda: write(workspace, "a/new/file", b"x"),
            lambda: write(workspace, "a/secret", b"HACKED", append=True),
            lambda: write(workspace, "a/secret", b"HACKED"),
        ):
            succeeded, failures = often(action)
            assert succeeded
            assert failures <= {errno.EXDEV, errno.EAGAIN, errno.ENOENT}


# --- what is not a regular file -------------------------------------------------------------------------------------


@pytest.fixture
def odd(workspace: Workspace) -> Iterator[Workspace]:
    os.mkfifo(workspace.path / "fifo")
    (workspace.path / "directory").mkdir()
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(workspace.path)  # the name of a socket is short
        try:
            bound.bind("socket")
        finally:
            os.chdir(before)
        yield workspace


@pytest.mark.parametrize("name", ["fifo", "directory", "socket"])
def test_what_is_not_a_regular_file_is_refused_without_waiting(odd: Workspace, name: str) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        read(odd, name)
    refused(caught, errno.EISDIR, errno.ENXIO)
    with pytest.raises(OSError, match=r".") as caught:
        write(odd, name, b"x")
    refused(caught, errno.EISDIR, errno.ENXIO)


def test_a_fifo_that_somebody_reads_gets_nothing(odd: Workspace) -> None:
    with closing(os.open(odd.path / "fifo", os.O_RDONLY | os.O_NONBLOCK)) as reader:
        with pytest.raises(OSError, match=r"."):
            write(odd, "fifo", b"x")
        assert os.read(reader, 10) == b""


@pytest.mark.needs_root
def test_a_device_is_refused(workspace: Workspace) -> None:
    os.mknod(workspace.path / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(workspace.path / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 250))
    for name in ("zero", "disk"):
        with pytest.raises(OSError, match=r"."):
            read(workspace, name)
        with pytest.raises(OSError, match=r"."):
            write(workspace, name, b"x")


def test_a_lease_that_is_held_inside_does_not_hold_up_the_host(workspace: Workspace) -> None:
    (workspace.path / "leased").write_bytes(b"x")
    code = (
        "import fcntl, os, signal, sys\n"
        "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "fd = os.open('leased', os.O_RDWR)\n"
        "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=workspace.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        # The kernel would let the holder keep it for 45 s (fs.lease-break-time), and a test may take 60.
        with pytest.raises(OSError, match=r".") as caught:
            read(workspace, "leased")
        assert "lease" in str(file_error(caught.value, "leased", "read"))
        holder.stdin.close()
    assert holder.returncode == 0
    assert read(workspace, "leased") == b"x"


# --- owners ---------------------------------------------------------------------------------------------------------


def test_what_the_host_makes_belongs_to_the_sandbox(workspace: Workspace) -> None:
    make_directories(workspace.fd, "a/b", workspace.owner)
    write(workspace, "a/b/file", b"x")
    owner = workspace.owner or (os.geteuid(), os.getegid())
    for path in ("a", "a/b", "a/b/file"):
        status = (workspace.path / path).stat()
        assert (status.st_uid, status.st_gid) == owner


@pytest.mark.needs_root
def test_root_gives_away_only_what_it_has_made(workspace: Workspace) -> None:
    """A file of root's that got into the workspace by a rename stays root's, and so does a directory."""
    (workspace.path / "moved in").write_bytes(b"x")
    (workspace.path / "directory").mkdir()
    write(workspace, "moved in", b"y", append=True)
    make_directories(workspace.fd, "directory/below", workspace.owner)
    assert (workspace.path / "moved in").stat().st_uid == 0
    assert (workspace.path / "directory").stat().st_uid == 0
    assert workspace.owner
    assert (workspace.path / "directory" / "below").stat().st_uid == workspace.owner[0]


@pytest.mark.needs_root
def test_root_does_not_write_to_a_foreign_file_that_has_another_name(workspace: Workspace, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"root's")
    os.link(foreign, workspace.path / "linked")
    for append in (True, False):
        with pytest.raises(OSError, match=r".") as caught:
            write(workspace, "linked", b"x", append=append)
        refused(caught, errno.EPERM)
    assert (foreign.read_bytes(), foreign.stat().st_uid) == (b"root's", 0)


def test_a_file_of_the_sandbox_may_have_several_names(workspace: Workspace) -> None:
    write(workspace, "one", b"x")
    os.link(workspace.path / "one", workspace.path / "two")
    write(workspace, "two", b"y")
    assert read(workspace, "one") == b"y"


# --- making directories and opening parents -------------------------------------------------------------------------


def test_directories_are_made_once_and_through_links_that_stay_beneath(workspace: Workspace) -> None:
    make_directories(workspace.fd, "a/b/c", workspace.owner)
    make_directories(workspace.fd, "a/b/c", workspace.owner)
    (workspace.path / "link").symlink_to("a/b")
    make_directories(workspace.fd, "link/d", workspace.owner)
    assert (workspace.path / "a" / "b" / "d").is_dir()


@pytest.mark.parametrize(
    ("path", "number"), [("file/x", errno.ENOTDIR), ("file", errno.ENOTDIR), ("dangling/x", errno.ENOENT)]
)
def test_a_directory_is_not_made_below_something_else(workspace: Workspace, path: str, number: int) -> None:
    (workspace.path / "file").touch()
    (workspace.path / "dangling").symlink_to("not there")
    with pytest.raises(OSError, match=r".") as caught:
        make_directories(workspace.fd, path, workspace.owner)
    refused(caught, number)


def test_names_that_are_too_long_are_refused(workspace: Workspace) -> None:
    for path in ("x" * 256, "a/" * 2500 + "b"):
        with pytest.raises(OSError, match=r".") as caught:
            write(workspace, path, b"x")
        refused(caught, errno.ENAMETOOLONG, errno.ENOENT)


def test_the_workspace_itself_has_no_parent(workspace: Workspace) -> None:
    for path in (".", "", "a/.", "a/.."):
        with pytest.raises(OSError, match=r".") as caught:
            open_parent(workspace.fd, path)
        refused(caught, errno.EBUSY)
    fd, name = open_parent(workspace.fd, "file")
    os.close(fd)
    assert name == "file"


# --- paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("a", "a"),
        ("", "."),
        (".", "."),
        ("./a", "a"),
        ("a/", "a"),
        ("a//b///c", "a/b/c"),
        ("a/../b", "b"),
        ("a/..", "."),
        ("/workspace", "."),
        ("/workspace/", "."),
        ("/workspace/a", "a"),
        ("//workspace//a", "a"),
        ("///workspace/./a/", "a"),
        ("/workspace/a/../b", "b"),
        ("/etc/../workspace/a", "a"),
        ("/host/w1/a", "a"),
        ("/host/w1", "."),
        ("~", "~"),
        ("~/a", "~/a"),
        ("~root", "~root"),
        ("..a", "..a"),
        ("...", "..."),
        ("$HOME", "$HOME"),
        ("a\nb", "a\nb"),
        ("\\", "\\"),
    ],
)
def test_a_path_counts_from_the_workspace(path: str, clean: str) -> None:
    assert relative(path, "/host/w1") == clean


@pytest.mark.parametrize(
    "path",
    [
        "..", "../", "../a", "a/../..", "a/../../x", "./../a", "/", "//", "/etc", "/etc/passwd", "/workspace/..",
        "/workspace/../etc", "/workspacex", "/workspace.", "//etc", "/host", "/host/w1/..", "/host/w12",
        "/host/w1/../w2",
    ],
)  # fmt: skip
def test_a_path_that_is_outside_is_refused_and_the_message_says_where_files_are(path: str) -> None:
    with pytest.raises(UsageError, match="is outside the workspace: files are reached below /workspace"):
        relative(path, "/host/w1")


def test_a_path_with_nul_is_refused() -> None:
    with pytest.raises(UsageError, match="NUL"):
        relative("a\0b")


@given(st.text(alphabet="ab./\\~ \n\u00e9", max_size=20) | st.from_regex(r"(/workspace|/host/w1|\.\.|/|a)*"))
def test_no_path_is_cleaned_into_one_that_leads_out(path: str) -> None:
    try:
        clean = relative(path, "/host/w1")
    except UsageError:
        return
    parts = clean.split("/")
    assert not clean.startswith("/")
    assert ".." not in parts
    assert "" not in parts
    assert clean == "." or "." not in parts
    assert relative(clean, "/host/w1") == clean


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (1 << 63, None), (0, -1), (1 << 64, 0)])
def test_a_part_that_no_file_has_is_refused(offset: int, length: int | None) -> None:
    with pytest.raises(UsageError, match=r"offset=|length="):
        checked_range(offset, length)


def test_a_part_beyond_the_end_is_no_mistake() -> None:
    checked_range(0, None)
    checked_range((1 << 63) - 1, 1 << 70)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "cls", "text"),
    [
        (errno.ENOENT, SandboxFileNotFoundError, "no such file or directory"),
        (errno.EEXIST, SandboxFileExistsError, "file exists"),
        (errno.EXDEV, SandboxFileError, "it leads out of the workspace"),
        (errno.EBUSY, SandboxFileError, "it is the workspace itself"),
        (errno.ENXIO, SandboxFileError, "it is not a regular file"),
        (errno.ENOSPC, SandboxFileError, "no space left on device"),
        (None, SandboxFileError, ""),
    ],
)
def test_an_error_says_what_failed_with_which_file_and_why(number: int | None, cls: type, text: str) -> None:
    error = file_error(OSError(number, "x") if number else OSError("x"), "a/b", "read")
    assert type(error) is cls
    assert str(error).startswith("cannot read 'a/b': ")
    assert text in str(error)
    assert (error.errno, error.filename) == (number, "a/b")
