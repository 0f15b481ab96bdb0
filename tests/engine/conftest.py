"""A workspace without an engine, what lies outside of it, and code that is at work in it meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sandbox.engine.ids import Ids, own_ids
from sandbox.engine.paths import RunDirectory
from sandbox.engine.workspaces import Workspace


class Outside:
    """A directory that nothing may reach, with a picture of it to compare with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        (path / "secret").write_bytes(b"SECRET")
        (path / "below").mkdir()
        (path / "below" / "secret").write_bytes(b"SECRET")
        self._before = self._picture()

    def _picture(self) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for top, directories, files in os.walk(self.path):
            for name in (".", *directories, *files):
                path = Path(top, name)
                status = path.lstat()
                content = path.read_bytes() if path.is_file() else None
                found[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_nlink, content)
        return found

    def assert_untouched(self) -> None:
        assert self._picture() == self._before


_AT_WORK = """
import contextlib, ctypes, os, select, sys
exec(sys.argv[1])
times = 0
while not select.select([0], [], [], 0)[0]:
    step(times)
    times += 1
    if times == 20:
        print("going", flush=True)
print(times)
"""
# RENAME_EXCHANGE: at once, so that each name always stands for one or the other.
_SWAP = """
libc = ctypes.CDLL(None, use_errno=True)
def step(n):
    assert libc.renameat2(-100, {one!r}, -100, {other!r}, 2) == 0, ctypes.get_errno()
"""


@contextmanager
def _at_work(directory: Path, code: str) -> Iterator[None]:
    """In a process of its own, since two threads take turns at the same places over and over."""
    command = [sys.executable, "-c", _AT_WORK, code]
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"going\n"
        try:
            yield
        finally:
            process.stdin.close()
            times = process.stdout.read()
    assert int(times) > 20, "the other process did not get to do anything"


@pytest.fixture
def at_work() -> Callable[[Path, str], AbstractContextManager[None]]:
    """`with at_work(directory, code):` calls the `step(n)` that the code defines, over and over, in that directory."""
    return _at_work


@pytest.fixture
def swapping() -> Callable[[Path, Path], AbstractContextManager[None]]:
    """`with swapping(one, other):` exchanges what two names of one directory stand for, over and over."""
    return lambda one, other: _at_work(
        one.parent, _SWAP.format(one=os.fsencode(one.name), other=os.fsencode(other.name))
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace as the engine makes it: where the host is root, it belongs to another user."""
    run = RunDirectory(tmp_path / "data")
    workspace = Workspace(run.workspaces, "w1", Ids(own_ids()))
    yield workspace
    workspace.remove()
    assert not workspace.path.exists()
    run.close()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory outside of the workspace. Every test that uses it fails if anything in it changes."""
    outside = Outside(tmp_path / "outside")
    yield outside.path
    outside.assert_untouched()


@pytest.fixture
def no_new_descriptors() -> Iterator[None]:
    """Fail a test that leaves a descriptor open."""
    before = os.listdir("/proc/self/fd")
    yield
    assert len(os.listdir("/proc/self/fd")) <= len(before)
