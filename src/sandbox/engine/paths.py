"""Where the engine keeps things, and the sweep of what dead engines left.

<data>/run/<engine>/lock         held as long as the engine lives
/cgroups      the control groups it made, one path a line
/workspaces/  shown to zygotes; one directory for each session
/artifacts/   one directory for each session
/log          what keeper, zygote and workers print outside of executions
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from sandbox.errors import SandboxStartError
from sandbox.inside import tidy

_NAME = "enhanced-sandbox"
_UNBORN_SECONDS = 3600.0


def data_dir() -> Path:
    """The directory for everything that is kept: $SANDBOX_HOME, or the user's data directory.

    For root it is not below root's home, which the unprivileged uids of its workers may not pass through.
    """
    home = os.environ.get("SANDBOX_HOME")
    if home:
        return Path(home).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib", _NAME)
    import platformdirs  # noqa: PLC0415 - 4 ms, which those who set the directory do without

    return Path(platformdirs.user_data_dir(_NAME))


def cache_dir() -> Path:
    """The directory for what can be made again: built environments, compiled filters."""
    home = os.environ.get("SANDBOX_HOME")
    if home:
        return Path(home).expanduser().absolute() / "cache"
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_cache_dir(_NAME))


def private(path: Path) -> Path:
    """Make a directory that only this user may enter, and return it. Raises SandboxStartError."""
    return _directory(path, 0o700)


def passable(path: Path) -> Path:
    """Make a directory that workers with a uid of their own may pass through, but not list. Only root has such."""
    return _directory(path, 0o711 if os.geteuid() == 0 else 0o700)


def _directory(path: Path, mode: int) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode)
        except FileExistsError:
            _check_owner(path)
        else:
            path.chmod(mode)  # whatever the umask says
    except OSError as error:
        raise SandboxStartError(
            f"the directory {path} cannot be used: {error.strerror}; set SANDBOX_HOME to a directory of yours",
            {"path": str(path), "errno": error.errno},
        ) from error
    return path


def _check_owner(path: Path) -> None:
    """Whoever owns what is kept here could change it: kept filters, built environments. Raises OSError."""
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to somebody else", str(path))
    finally:
        os.close(fd)


class RunDirectory:
    """One engine's directory, marked as alive by a lock that ends with the process."""

    def __init__(self, data: Path) -> None:
        runs = passable(passable(data) / "run")
        sweep(runs)
        self.name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.path, self._lock = _make_locked(runs, self.name)
        self.workspaces = passable(self.path / "workspaces")
        self.artifacts = private(self.path / "artifacts")
        self.log = os.open(self.path / "log", os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note_cgroup(self, path: str) -> None:
        """Write down a control group, so that a later engine can remove it."""
        with (self.path / "cgroups").open("a", encoding="utf-8") as file:
            file.write(f"{path}\n")

    def log_tail(self, most: int = 2000) -> str:
        """The end of the log, for error messages."""
        size = os.fstat(self.log).st_size
        return os.pread(self.log, most, max(0, size - most)).decode("utf-8", "replace")

    def forget(self) -> None:
        """In a forked process: the lock must end with the engine."""
        os.close(self._lock)

    def close(self) -> None:
        """Remove the directory and give up the lock."""
        os.close(self.log)
        tidy.remove_tree(str(self.path))
        os.close(self._lock)


def _make_locked(runs: Path, name: str) -> tuple[Path, int]:
    """Make a directory that is locked from the moment a sweep can see it under its name."""
    unborn = passable(runs / f".{name}")
    fd = _locked(unborn / "lock", os.O_CREAT)
    return unborn.rename(runs / name), fd


def _locked(path: Path, flags: int = 0) -> int:
    fd = os.open(path, flags | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd


def sweep(runs: Path) -> list[str]:
    """Remove what engines that died have left: their directories and control groups. Returns their names."""
    return [entry.name for entry in runs.iterdir() if _swept(entry)]


def _swept(entry: Path) -> bool:
    try:
        status = entry.lstat()
        # The first is another user's, who sweeps it himself; the second is being made or removed right now.
        foreign = os.geteuid() not in {0, status.st_uid}
        lock = None if foreign or _maybe_unborn(entry, status) else _lock_of_the_dead(entry)
    except (FileNotFoundError, BlockingIOError):
        return False  # somebody else has removed it, or its engine is alive
    if lock is None:
        return False
    try:
        return _remove_run(entry)
    finally:
        os.close(lock)


def _maybe_unborn(entry: Path, status: os.stat_result) -> bool:
    """A directory is made under a name with a dot, and its lock taken, before it gets its own name."""
    young = time.time() - status.st_mtime < _UNBORN_SECONDS
    return young and (entry.name.startswith(".") or not (entry / "lock").exists())


def _lock_of_the_dead(entry: Path) -> int:
    """Take the lock of an engine that has ended. Raises BlockingIOError if it has not."""
    try:
        return _locked(entry / "lock")
    except (FileNotFoundError, NotADirectoryError):
        return os.open(entry, os.O_PATH | os.O_CLOEXEC)  # there is nothing to lock


def _remove_run(entry: Path) -> bool:
    """Remove a dead engine's directory. False: one of its groups is in use still, and the next sweep tries again."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if tidy.remove_cgroups((entry / "cgroups").read_text(encoding="utf-8").splitlines()):
            return False
    tidy.remove_tree(str(entry))
    return True
