"""What a sandbox may do and have: `SandboxOptions`, its builder, mounts and environments."""

from __future__ import annotations

import dataclasses
import operator
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import UsageError
from sandbox.network.policy import NetworkPolicy, Secret, checked_secrets

ISOLATIONS = ("auto", "namespaces", "landlock", "none")
NETWORKS = ("none", "learn", "host")
LANGUAGES = ("python", "javascript", "typescript")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# What the kernel takes for one variable of a program, with its name.
_MOST_ENV_BYTES = 128 * 1024 - 1


@dataclass(frozen=True)
class Mount:
    """A host directory or file to show inside. `path` is resolved once, when the sandbox starts."""

    path: str | os.PathLike[str]
    writable: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", _checked_path("Mount", self.path))
        _checked_flag("Mount", "writable", self.writable)


@dataclass(frozen=True)
class Environment:
    """An interpreter and packages, built with uv at first use and cached by content.

    `python` is a version ("3.12") or the path of an interpreter; None takes the one that runs this code.
    Only wheels are installed, because building a source distribution runs its code on the host:
    `allow_source_builds=True` permits it. `warm` is what the zygote imports ahead of time, if it is installed.
    """

    python: str | None
    packages: tuple[str, ...]
    warm: tuple[str, ...]
    allow_source_builds: bool

    def __init__(
        self,
        python: str | os.PathLike[str] | None = None,
        packages: Iterable[str] = (),
        warm: Iterable[str] = ("numpy", "pandas", "matplotlib.pyplot"),
        *,
        allow_source_builds: bool = False,
    ) -> None:
        _checked_flag("Environment", "allow_source_builds", allow_source_builds)
        checked = {
            "python": None if python is None else _checked_path("Environment", python),
            "packages": _checked_names("Environment(packages=...)", packages, "six==1.17"),
            "warm": _checked_names("Environment(warm=...)", warm, "numpy"),
            "allow_source_builds": allow_source_builds,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


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
            or an `Environment`. In JavaScript: None for the Node of the extra `node` or the one on the PATH, or the
            path of another.
        network: "none" (a loopback of its own), a `NetworkPolicy` of what it may reach, "learn" (all public hosts,
            noted for a policy to be made of it) or "host" (the host's own network, without any restriction).
        secrets: Values that code can use and never sees, by the environment variables that stand for them.
        files: Host directories and files to show, by the path inside: read-only, or `Mount(path, writable=True)`.
        processes: How many processes and threads there may be at once.
        disk: Limit in MB for the workspace, and for the session's artifacts as much again.
        output: Limit in MB for each of stdout and stderr of one execution; more is dropped and marked.
        persist: Store variables, files and history after each execution. With False a stopped session is empty.
        idle_timeout: Seconds without a call after which the worker is ended, to free its memory; the next call gets
            a fresh one with the variables as they were. None for never. What code left running ends with the worker.
        storage: Limit in MB for what is stored of the session. Before it is passed, the oldest checkpoints without a
            label are dropped. None for 20 GB, or less on a small disk.
        checkpoints: How many checkpoints without a label are kept, the newest.
        language: What the session runs: "python", "javascript" or "typescript". None for what a stored session was
            begun in, and Python for a new one. Only the latter two can be exchanged later.
        seed: With a number the session is deterministic: its random numbers follow from the seed, and its clock begins
            at 2026-01-01 and goes on with what it does, so that the same code does the same again. Python only.
            None for what a stored session was begun with, and true time and chance for a new one.
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
    network: str | NetworkPolicy = "none"
    files: Mapping[str, str | os.PathLike[str] | Mount] = field(default_factory=dict)
    processes: int = 128
    disk: int = 1024
    output: float = 10
    persist: bool = True
    idle_timeout: float | None = None
    storage: int | None = None
    checkpoints: int = 1000
    language: str | None = None
    without: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            _checked_text("name", self.name)
        _one_of("isolation", self.isolation, ISOLATIONS)
        checked_network(self.network)
        if self.language is not None:
            _one_of("language", self.language, LANGUAGES)
        if not isinstance(self.persist, bool):
            raise UsageError(f"persist={self.persist!r} is neither True nor False")
        if self.idle_timeout is not None and not self.persist:
            raise UsageError("idle_timeout needs persist=True: nothing brings back variables that are not stored")
        checked = {
            "memory": _whole("memory", self.memory, 32, 1 << 24, "MB"),
            "cpus": _between("cpus", self.cpus, 0.01, 4096, "cpus"),
            "processes": _whole("processes", self.processes, 1, 1 << 20, "processes"),
            "disk": _whole("disk", self.disk, 1, 1 << 30, "MB"),
            "storage": None if self.storage is None else _whole("storage", self.storage, 1, 1 << 30, "MB"),
            "seed": None if self.seed is None else _checked_seed(self.seed),
            "checkpoints": _whole("checkpoints", self.checkpoints, 1, 1 << 30, "checkpoints"),
            "output": _between("output", self.output, 0.001, 1024, "MB"),
            "timeout": checked_timeout(self.timeout),
            "idle_timeout": checked_timeout(self.idle_timeout, "idle_timeout"),
            "env": checked_env(self.env),
            "files": _checked_files(self.files),
            "environment": _checked_environment(self.environment),
            "without": _checked_names("without", self.without, "cgroup"),
            "secrets": _checked_secrets(self.secrets, self.network, self.env),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

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


# --- checks: each raises UsageError, saying what is wrong and what is allowed ---------------------------------------


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")


def checked_network(network: object) -> str | NetworkPolicy:
    """Return the network of a sandbox. Raises UsageError."""
    if isinstance(network, NetworkPolicy):
        return network
    if network not in NETWORKS:
        names = ", ".join(map(repr, NETWORKS))
        raise UsageError(f"network={network!r} is not one of {names}, nor a NetworkPolicy(allow=[...])")
    return str(network)


def _between(name: str, value: object, least: float, most: float, unit: str) -> float:
    if hasattr(value, "__index__") and not isinstance(value, (int, float)):  # such as numpy's
        value = operator.index(value)
    # NaN is between nothing.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
        return value
    none = ", or None for no limit" if name.endswith("timeout") else ""
    raise UsageError(f"{name}={value!r} is not a number of {unit} from {least:.12g} to {most:.12g}{none}")


def checked_timeout(timeout: object, name: str = "timeout") -> float | None:
    """Return a number of seconds, or None for no limit. Raises UsageError."""
    return None if timeout is None else float(_between(name, timeout, 0.001, 1e9, "seconds"))


def _whole(name: str, value: object, least: int, most: int, unit: str) -> int:
    number = _between(name, value, least, most, unit)
    if number != int(number):
        raise UsageError(f"{name}={value!r} is not a whole number of {unit}")
    return int(number)


def _checked_seed(seed: object) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= operator.index(seed) < 1 << 63:
        raise UsageError(f"seed={seed!r} is not a whole number from 0 to {(1 << 63) - 1}")
    return operator.index(seed)


def _checked_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} is {value!r}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is {value!r}, which cannot be encoded as UTF-8") from error
    return value


def _checked_flag(what: str, name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"{what} has {name}={value!r}, which is neither True nor False")


def _checked_path(what: str, path: object) -> str:
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise UsageError(f"{what} has the path {path!r}: it must be a str or a pathlib.Path")
    if not text or "\0" in text:
        raise UsageError(f"{what} has the path {path!r}: it must not be empty, nor contain NUL")
    return _checked_text(f"the path of {what}", text)


def _checked_names(what: str, names: object, example: str) -> tuple[str, ...]:
    if isinstance(names, (str, Mapping)) or not isinstance(names, Iterable):
        raise UsageError(f"{what} is {names!r}: it must be a list of names, such as [{example!r}]")
    checked = tuple(names)
    for name in checked:
        if not isinstance(name, str) or not name.strip() or name.startswith("-"):
            raise UsageError(f"{what} has {name!r}, which is not a name such as {example!r}")
        _checked_text(what, name)
    return checked


def checked_env(env: object) -> dict[str, str]:
    """Return environment variables as they can be passed on. Raises UsageError."""
    if not isinstance(env, Mapping):
        raise UsageError(f"env is {env!r}: it must map names to values, such as {{'DEBUG': 'true'}}")
    for key, value in env.items():
        if not isinstance(key, str) or not _ENV_NAME.match(key):
            raise UsageError(
                f"env has {key!r}, which is not the name of an environment variable: letters, digits and _, "
                "not beginning with a digit"
            )
        if not isinstance(value, str) or "\0" in value:
            raise UsageError(f"env[{key!r}] is {value!r}, not a text without NUL")
        size = len(key) + len(_checked_text(f"env[{key!r}]", value).encode()) + 2
        if size > _MOST_ENV_BYTES:
            raise UsageError(f"env[{key!r}] takes {size} bytes; the kernel takes at most {_MOST_ENV_BYTES} for one")
    return dict(env)


def _checked_secrets(secrets: object, network: object, env: Mapping[str, str]) -> dict[str, Secret]:
    checked = checked_secrets(secrets, network, env)
    checked_env(dict.fromkeys(checked, ""))
    return checked


def _checked_files(files: object) -> dict[str, Mount]:
    if not isinstance(files, Mapping):
        raise UsageError(f"files is {files!r}: it must map paths inside to paths here, such as {{'/data': 'data'}}")
    checked = {}
    for target, source in files.items():
        path = target if isinstance(target, str) else ""
        clean = path.startswith("/") and not path.startswith("//") and os.path.normpath(path) == path != "/"
        if not clean or "\0" in path:
            raise UsageError(
                f"files has the target {target!r}: it must be an absolute path without ., .., // or a slash at the "
                "end, as in '/data'"
            )
        _checked_text("a target of files", path)
        checked[path] = source if isinstance(source, Mount) else Mount(source)
    for path in checked:
        above = next((other for other in checked if path.startswith(f"{other}/")), None)
        if above is not None:
            raise UsageError(f"files has the target {path!r} below {above!r}: one cannot lie in another")
    return checked


def _checked_environment(value: object) -> str | Environment | None:
    if value is None or isinstance(value, Environment):
        return value
    return _checked_path("environment", value)
