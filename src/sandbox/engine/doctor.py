"""What this machine can give to sandboxes, as data: found by starting one at each level, not by guessing.

`sandbox doctor` shows it.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from sandbox.engine import cgroups, filters, interpreters, isolation, node
from sandbox.engine.isolation import LAYERS
from sandbox.engine.thread import EngineThread
from sandbox.errors import SandboxError
from sandbox.inside import tidy
from sandbox.inside.contain.policy import LEVELS
from sandbox.protocol import messages as m

_COMFORTABLE_OPEN_FILES = 1024
_TIMEOUT = 20.0
_USERNS_SETTINGS = (
    ("user", "max_user_namespaces"),
    ("kernel", "unprivileged_userns_clone"),
    ("kernel", "apparmor_restrict_unprivileged_userns"),
)
_VERSIONS = """\
import importlib.metadata, importlib.util
for name in {names!r}:
    if importlib.util.find_spec(name):
        print(name, importlib.metadata.version(name))
"""


@dataclass(frozen=True)
class Level:
    """A level of isolation, tried. `error` and `remedy` say why it does not work and what mends it."""

    name: str
    works: bool
    enforced: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""
    remedy: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What belongs to the level and is not in force."""
        return tuple(name for name, levels, _ in LAYERS if self.name in levels and name not in self.enforced)


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at. `good` is None where there is nothing to judge."""

    name: str
    value: str
    good: bool | None = None
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found."""

    levels: tuple[Level, ...]
    limits: tuple[Fact, ...]
    machine: tuple[Fact, ...]
    auto: str | None = field(init=False)

    def __post_init__(self) -> None:
        working = [level.name for level in self.levels if level.works]
        object.__setattr__(self, "auto", working[0] if working else None)

    @property
    def lacking(self) -> tuple[str, ...]:
        """What a sandbox with isolation="auto" does without here: a level, or restrictions."""
        if self.auto is None:
            return ("isolation",)
        best, used = self.levels[0], next(level for level in self.levels if level.name == self.auto)
        return (*((best.name,) if used is not best else ()), *used.missing)


def diagnose() -> Diagnosis:
    """Start a sandbox at each level, and look at the machine. Raises SandboxStartError off Linux."""
    isolation.require_linux()
    engine = EngineThread(parked=0)
    packages: dict[str, str] = {}
    try:
        levels = tuple(_try(engine, level, packages) for level in LEVELS)
    finally:
        engine.close()
    controllers, version = _controllers()
    warm = _warm(packages) if any(level.works for level in levels) else Fact("warm packages", "unknown")
    return Diagnosis(levels, _limits(controllers, version), _machine(warm, controllers, version))


# --- starting sandboxes ---------------------------------------------------------------------------------------------


def _try(engine: EngineThread, level: str, packages: dict[str, str]) -> Level:
    """Open a session at a level and run something in it; note the versions of the packages that it finds."""
    environment = m.EnvironmentSpec(warm=())
    begin = time.perf_counter()
    try:
        opened = _ask(engine, m.OpenSession(m.SessionOptions(isolation=level, environment=environment)))[-1]
        assert isinstance(opened, m.SessionOpened)
        seconds = time.perf_counter() - begin
        names = sorted({name.partition(".")[0] for name in interpreters.DEFAULT_WARM})
        events = _ask(engine, m.Run(opened.session, _VERSIONS.format(names=names), _TIMEOUT))
        _ask(engine, m.DeleteSession(opened.session))
    except _Failed as error:
        return _failed(level, error.event)
    end = events[-1]
    assert isinstance(end, m.ExecutionFinished)
    if end.status != "ok":
        text = f"a sandbox starts, but does not run code: {end.error.message if end.error else end.status}"
        return Level(level, works=False, error=text)
    printed = "".join(event.text for event in events if isinstance(event, m.Output))
    for line in printed.splitlines():
        name, _, version = line.partition(" ")
        packages[name] = version
    return Level(level, works=True, enforced=opened.enforced, seconds=seconds)


def _failed(level: str, event: m.Failed) -> Level:
    tried = event.details.get("tried") or [event.details]
    restriction = str(tried[0].get("restriction", ""))
    # The message of a start that failed at every level it tried repeats the remedy, which has a place of its own here.
    lines = [line.strip() for line in event.message.splitlines()]
    text = next((line for line in lines if line.startswith(f"{level}: ")), lines[0]).removeprefix(f"{level}: ")
    remedy = isolation.known_remedy(restriction, int(tried[0].get("errno") or 0))
    return Level(level, works=False, error=text.removesuffix(f"; {remedy}"), remedy=remedy)


class _Failed(Exception):
    def __init__(self, event: m.Failed) -> None:
        super().__init__(event.message)
        self.event = event


def _ask(engine: EngineThread, request: m.Request) -> list[m.AnyEvent]:
    """Send a request; return the events of its answer. Raises _Failed."""
    arrived: SimpleQueue[tuple[bytes, bool]] = SimpleQueue()
    engine.submit(m.encode(request), lambda data, last: arrived.put((data, last)))
    events: list[m.AnyEvent] = []
    last = False
    while not last:
        data, last = arrived.get()
        events.append(m.decode_event(data))
    if isinstance(events[-1], m.Failed):
        raise _Failed(events[-1])
    return events


# --- limits ---------------------------------------------------------------------------------------------------------


def _controllers() -> tuple[set[str], int]:
    """Make a control group, and say what it can limit and in which version; nothing and 0 where there is none."""
    groups = cgroups.find(f"doctor-{os.getpid()}")
    if groups is None:
        return set(), 0
    group = groups.make("one")
    try:
        files = {name for path in group.paths() for name in os.listdir(path)}
    finally:
        tidy.remove_cgroups([*group.paths(), *groups.paths()])
    wanted = {
        "memory": {"memory.max", "memory.limit_in_bytes"},
        "cpu": {"cpu.max", "cpu.cfs_quota_us"},
        "processes": {"pids.max"},
    }
    return {name for name, any_of in wanted.items() if any_of & files}, groups.version


def _limits(controllers: set[str], version: int) -> tuple[Fact, ...]:
    def held(by: str, otherwise: str) -> str:
        return f"control group, version {version}" if by in controllers else otherwise

    return (
        Fact("memory", held("memory", "rlimit of each process; the engine looks 10 times a second")),
        Fact("cpus", held("cpu", "kept on as many whole cpus")),
        Fact("processes", held("processes", "rlimit")),
        Fact("disk", "the engine looks 10 times a second; rlimit of each file"),
        Fact("output", "the engine, byte by byte"),
        Fact("timeout", "the engine: interrupts, kills 2 s later"),
    )


# --- the machine ----------------------------------------------------------------------------------------------------


def _machine(warm: Fact, controllers: set[str], version: int) -> tuple[Fact, ...]:
    abi = isolation.landlock_abi()
    groups = f"version {version}: {', '.join(sorted(controllers))}" if version else "none that this user may write to"
    return (
        Fact("kernel", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Fact("user", "root" if isolation.is_root() else f"uid {os.geteuid()}"),
        Fact("user namespaces", _user_namespaces()),
        Fact(
            "Landlock",
            f"version {abi}" if abi else "none",
            bool(abi),
            "" if abi else isolation.known_remedy("landlock"),
        ),
        _libseccomp(),
        _open_files(),
        Fact("control groups", groups, bool(version), "" if version else isolation.known_remedy("cgroup")),
        Fact(
            "interpreter", f"Python {platform.python_version()}, {interpreters.resolve(m.EnvironmentSpec()).executable}"
        ),
        warm,
        _uv(),
        _node(),
    )


def _user_namespaces() -> str:
    settings = []
    for directory, name in _USERNS_SETTINGS:
        path = Path("/proc/sys", directory, name)
        if path.exists():
            settings.append(f"{name}={path.read_text('ascii').strip()}")
    return ", ".join(settings) or "none in this kernel"


def _open_files() -> Fact:
    """Fewer than an engine needs were an error before anything could be looked at."""
    most = isolation.most_open_files()
    if most >= _COMFORTABLE_OPEN_FILES:
        return Fact("open files", "no limit" if most == sys.maxsize else f"at most {most}", good=True)
    return Fact("open files", f"at most {most}: enough for few sandboxes", None, isolation.MORE_OPEN_FILES)


def _libseccomp() -> Fact:
    try:
        filters._pyseccomp()
    except SandboxError as error:
        return Fact("libseccomp", "missing", good=False, remedy=error.message)
    return Fact("libseccomp", "found", good=True)


def _warm(packages: dict[str, str]) -> Fact:
    text = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    remedy = "" if text else "pip install numpy pandas matplotlib, if you want them"
    return Fact("warm packages", text or "none is installed", None, remedy)


def _uv() -> Fact:
    try:
        return Fact("uv", interpreters._uv(), good=True)
    except SandboxError as error:
        return Fact("uv", "missing", None, error.message)


def _node() -> Fact:
    """The one that sandboxes use where none is named."""
    try:
        found = node.find(m.EnvironmentSpec())
    except SandboxError as error:
        return Fact("Node", "none that sandboxes can use", None, error.message)
    return Fact("Node", f"v{found.version}, {found.executable}", good=True)
