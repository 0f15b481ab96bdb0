"""What one worker or command gets, as the engine asked for it. Built from a message of the host, which is trusted."""

from typing import NamedTuple

from .policy import NAMESPACES, WORKSPACE


class Mount(NamedTuple):
    """A host directory or file that the options name: `target` inside, read-only unless `writable`."""

    target: str
    writable: bool
    directory: bool


class Plan(NamedTuple):
    """The policy of one worker. Sizes are in bytes; `uid` is as the zygote's user namespace counts, 0 for its own."""

    level: str
    without: frozenset[str]
    workspace: str
    uid: int
    network: str
    mounts: tuple[Mount, ...]
    tmp_bytes: int
    data_bytes: int
    file_bytes: int
    processes: int
    hostname: str
    seccomp: bytes
    masked: tuple[str, ...]
    readable: tuple[str, ...]
    pin_cpus: int
    below_tmp: tuple[str, ...]

    @property
    def home(self) -> str:
        """Where the workspace is for the worker."""
        moved = self.level == NAMESPACES and "mount_namespace" not in self.without
        return WORKSPACE if moved else self.workspace


class Descriptors(NamedTuple):
    """Every descriptor that crosses into a worker. All others are closed."""

    control: int
    stdin: int
    stdout: int
    stderr: int
    ack: int
    cgroups: tuple[int, ...]
    mounts: tuple[int, ...]
    worker: int
    state: int = -1
