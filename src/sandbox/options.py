"""What a sandbox may do and have: `SandboxOptions`, its builder, mounts and environments."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import UsageError

ISOLATIONS = ("auto", "namespaces", "landlock", "none")
NETWORKS = ("none", "host")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Mount:
    """A host directory or file to show inside. `path` is resolved once, when the sandbox starts."""

    path: str | os.PathLike[str]
    writable: bool = False


@dataclass(frozen=True)
class Environment:
    """An interpreter and packages, built with uv at first use and cached by content.

    `python` is a version ("3.12") or the path of an interpreter; None takes the one that runs this code.
    Only wheels are installed, because building a source distribution runs its code on the host:
    `allow_source_builds=True` permits it. `warm` is what the zygote imports ahead of time, if it is installed.
    """

    python: str | None = None
    packages: tuple[str, ...] = ()
    warm: tuple[str, ...] = ("numpy", "pandas", "matplotlib.pyplot")
    allow_source_builds: bool = False

    def __init__(
        self,
        python: str | None = None,
        packages: tuple[str, ...] | list[str] = (),
        warm: tuple[str, ...] | list[str] = ("numpy", "pandas", "matplotlib.pyplot"),
        *,
        allow_source_builds: bool = False,
    ) -> None:
        object.__setattr__(self, "python", python)
        object.__setattr__(self, "packages", tuple(packages))
        object.__setattr__(self, "warm", tuple(warm))
        object.__setattr__(self, "allow_source_builds", allow_source_builds)


@dataclass(frozen=True)
class SandboxOptions:
    """All options of a sandbox, with their defaults. Use as keywords: `LocalSandbox.create(**options.__dict__)`.

    Attributes:
        name: A label for people; the identity of a sandbox is its session id.
        memory: Limit in MB for all processes of the sandbox together.
        cpus: How many cpus' time it may use.
        timeout: Seconds that one execution may take; None for no limit.
        env: Environment variables; nothing of the host's environment is visible.
        isolation: "namespaces", "landlock", "auto" for the stronger one that works, or "none".
        environment: None for the packages of the running interpreter, the path of a virtual environment,
            or an `Environment`.
        network: "none" (a loopback of its own) or "host".
        files: Host directories and files to show, by the path inside: read-only, or `Mount(path, writable=True)`.
        processes: How many processes and threads there may be at once.
        disk: Limit in MB for the workspace.
        output: Limit in MB for each of stdout and stderr of one execution; more is dropped and marked.
        without: Restrictions to leave off, by name, for kernels that lack one. Every result says so.

    Raises UsageError for a value that makes no sense.
    """

    name: str | None = None
    memory: int = 1024
    cpus: float = 1.0
    timeout: float | None = 30.0
    env: Mapping[str, str] = field(default_factory=dict)
    isolation: str = field(default_factory=lambda: os.environ.get("SANDBOX_ISOLATION", "auto"))
    environment: str | os.PathLike[str] | Environment | None = None
    network: str = "none"
    files: Mapping[str, str | os.PathLike[str] | Mount] = field(default_factory=dict)
    processes: int = 128
    disk: int = 1024
    output: float = 10
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _one_of("isolation", self.isolation, ISOLATIONS)
        _one_of("network", self.network, NETWORKS)
        _between("memory", self.memory, 32, 1 << 24, "MB")
        _between("cpus", self.cpus, 0.01, 4096, "cpus")
        _between("processes", self.processes, 1, 1 << 20, "processes")
        _between("disk", self.disk, 1, 1 << 30, "MB")
        _between("output", self.output, 0.001, 1024, "MB")
        if self.timeout is not None:
            _between("timeout", self.timeout, 0.001, 1e9, "seconds")
        object.__setattr__(self, "env", _checked_env(self.env))
        object.__setattr__(self, "files", _checked_files(self.files))
        object.__setattr__(self, "without", tuple(self.without))

    @classmethod
    def builder(cls) -> SandboxOptionsBuilder:
        """Start a builder: `SandboxOptions.builder().name("x").memory(512).build()`."""
        return SandboxOptionsBuilder()

    def but(self, **changes: Any) -> SandboxOptions:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)


class SandboxOptionsBuilder:
    """Collects options one call at a time; `build()` checks them."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._env: dict[str, str] = {}

    def name(self, name: str) -> SandboxOptionsBuilder:
        """Label the sandbox."""
        return self.option("name", name)

    def memory(self, mb: int) -> SandboxOptionsBuilder:
        """Limit memory, in MB."""
        return self.option("memory", mb)

    def cpus(self, count: float) -> SandboxOptionsBuilder:
        """Limit cpu time, in cpus."""
        return self.option("cpus", count)

    def timeout(self, seconds: float | None) -> SandboxOptionsBuilder:
        """Limit the time of one execution."""
        return self.option("timeout", seconds)

    def env(self, key: str, value: str) -> SandboxOptionsBuilder:
        """Set an environment variable."""
        self._env[key] = value
        return self

    def option(self, name: str, value: object) -> SandboxOptionsBuilder:
        """Set any other option of `SandboxOptions` by its name."""
        if name not in SandboxOptions.__dataclass_fields__:
            raise UsageError(
                f"there is no option {name!r}; there are: {', '.join(SandboxOptions.__dataclass_fields__)}"
            )
        self._values[name] = value
        return self

    def build(self) -> SandboxOptions:
        """Return the options. Raises UsageError for a value that makes no sense."""
        values = dict(self._values)
        if self._env:
            values["env"] = {**values.get("env", {}), **self._env}
        return SandboxOptions(**values)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")


def _between(name: str, value: object, least: float, most: float, unit: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type,operator]
        raise UsageError(f"{name}={value!r} is not a number of {unit} from {least:g} to {most:g}")


def _checked_env(env: Mapping[str, str]) -> dict[str, str]:
    for key, value in env.items():
        if not isinstance(key, str) or not _ENV_NAME.match(key):
            raise UsageError(f"env has {key!r}, which is not the name of an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise UsageError(f"env[{key!r}] is {value!r}, not a text without NUL")
    return dict(env)


def _checked_files(files: Mapping[str, str | os.PathLike[str] | Mount]) -> dict[str, Mount]:
    checked = {}
    for target, source in files.items():
        if not target.startswith("/") or os.path.normpath(target) != target or target == "/":
            raise UsageError(
                f"files has the target {target!r}: it must be an absolute path without . or .., as in '/data'"
            )
        checked[target] = source if isinstance(source, Mount) else Mount(source)
    return checked
