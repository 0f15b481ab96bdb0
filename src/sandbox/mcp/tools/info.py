"""`get_execution_info`: what there is to work with."""

from __future__ import annotations

import asyncio
import json
import platform
from importlib import metadata
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

import sandbox
from sandbox import SandboxOptions
from sandbox.mcp import apps, fields
from sandbox.mcp.apps import AppTold
from sandbox.mcp.call import Call
from sandbox.mcp.commands import PLACES
from sandbox.mcp.reply import Reply, ToolError
from sandbox.mcp.resources import artifacts_of
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import listed
from sandbox.mcp.tool import Hints, Tool
from sandbox.mcp.tools.timeline import current
from sandbox.sdk.convert import kind_of

INFO = """\
Describe the environment: Python's version and the packages that can be imported, the isolation in force, \
network, limits and what is used of them, the session with its executions, artifacts and web apps, versions, and \
hints for what is missing. Use it before relying on a package or the network, and when something fails for no apparent \
reason. It runs nothing in the session."""

_LOOK = """\
import importlib.metadata as m, json, shutil, sys
found = {d.metadata["Name"]: d.version for d in m.distributions() if d.metadata["Name"]}
print(json.dumps([sys.version.split()[0], sys.executable, found, [n for n in %r if shutil.which(n)]]))
"""
_PROGRAMS = ("bash", "git", "gcc", "make", "node", "curl", "ffmpeg", "latex", "pdflatex", "dot", "R", "java")
_WANTED = ("numpy", "pandas", "matplotlib")
_LOOK_SECONDS = 20.0


class Info(Struct, forbid_unknown_fields=True):
    """The arguments."""

    session_id: fields.SessionId = ""


class Interpreter(Struct):
    """The Python that runs the code."""

    version: str
    executable: str
    packages: Annotated[dict[str, str], Meta(description="Installed packages with their versions.")]
    programs: Annotated[list[str], Meta(description="Some programs that shell_execute can use.")]


class Isolation(Struct):
    """What confines the code."""

    level: str
    network: Annotated[str, Meta(description="none is a loopback of its own; host is all of the machine's.")]
    restrictions: Annotated[list[str], Meta(description="The restrictions in force.")]
    sees: Annotated[str, Meta(description="What programs inside can see of the file system.")]


class Limits(Struct):
    """What a session may take."""

    memory_mb: float
    cpus: float
    processes: float
    disk_mb: float
    output_mb: Annotated[float, Meta(description="Of each of stdout and stderr of an execution.")]
    timeout_seconds: Annotated[float | None, Meta(description="Of an execution that names none.")]


class Use(Struct):
    """What the session takes now."""

    memory_mb: float
    processes: float
    disk_mb: float
    cpu_seconds: float
    uptime_seconds: float


class Described(Struct):
    """The session."""

    executions: int
    current: Annotated[int, Meta(description="The execution whose state it has.")]
    checkpoints: int
    artifacts: int
    stored_as: Annotated[str, Meta(description="Its id for `sandbox sessions` and `sandbox repl --session`.")]


class Told(Struct, omit_defaults=True):
    """Everything."""

    session_id: fields.AnsweredSession
    python: Interpreter
    isolation: Isolation
    limits: Limits
    usage: Use
    session: Described
    versions: dict[str, str]
    web_apps: Annotated[list[AppTold], Meta(description="Those that start_web_app has started.")] = []
    hints: list[str] = []


async def _info(call: Call, asked: Info) -> Reply:
    async with call.session(asked.session_id) as held:
        python = await _interpreter(held)
        options = call.server.options
        isolation = Isolation(held.box.isolation, kind_of(options.network), list(held.box.enforced), PLACES)
        limits = Limits(options.memory, options.cpus, options.processes, options.disk, options.output, options.timeout)
        told = Told(
            held.name, python, isolation, limits, await _usage(held), await _session(held), _versions(),
            [apps.told(held, app) for app in await held.box.web.list()],
            _hints(python, isolation, options),
        )  # fmt: skip
        return Reply(told, _text(told))


async def _interpreter(held: Held) -> Interpreter:
    """Asked of the interpreter itself, as a program beside the session: an execution would be a checkpoint."""
    done = await held.box.command.run("python3", ["-c", _LOOK % (_PROGRAMS,)], timeout=_LOOK_SECONDS)
    try:
        version, executable, packages, programs = msgspec.json.decode(
            done.stdout.encode(), type=tuple[str, str, dict[str, str], list[str]]
        )
    except msgspec.MsgspecError as error:
        said = done.combined[-1000:]
        raise ToolError(f"the sandbox's Python does not run (exit code {done.exit_code}): {said}") from error
    return Interpreter(version, executable, dict(sorted(packages.items(), key=lambda item: item[0].lower())), programs)


async def _usage(held: Held) -> Use:
    now = {name: round(value, 1) for name, value in (await held.box.metrics.all()).items()}
    return Use(now["memory_usage"], now["processes"], now["disk_usage"], now["cpu_seconds"], now["uptime"])


async def _session(held: Held) -> Described:
    stats: dict[str, Any] = await asyncio.to_thread(held.box.get_performance_stats)
    made = await asyncio.to_thread(held.box.checkpoints)
    artifacts = len(await artifacts_of(held))
    return Described(stats["total_executions"], current(made), len(made), artifacts, held.box.session_id)


def _versions() -> dict[str, str]:
    return {"enhanced-sandbox": sandbox.__version__, "mcp": metadata.version("mcp"), "host": platform.release()}


def _hints(python: Interpreter, isolation: Isolation, options: SandboxOptions) -> list[str]:
    hints = []
    missing = [name for name in _WANTED if name not in python.packages]
    if missing:
        hints.append(
            f"{listed(missing)} cannot be imported: the user can install them beside the server, or start it with "
            f"`--with {missing[0]}`"
        )
    if "manim" not in python.packages:
        hints.append("create_manim_animation needs Manim: pip install 'enhanced-sandbox[manim]' beside the server")
    if options.network == "none":
        hints.append("there is no network: pip install and downloads fail; the user can start the server with --with")
    if isolation.level != "namespaces":
        without = ", and start_web_app needs them" if isolation.network == "none" else ""
        hints.append(f"isolation is {isolation.level}, not namespaces{without}: `sandbox doctor` says what mends that")
    if "latex" not in python.programs:
        hints.append("there is no LaTeX: matplotlib's own mathtext works, and in animations Text and MathTypst")
    return hints


def _text(told: Told) -> str:
    packages = [f"{name} {version}" for name, version in told.python.packages.items()]
    lines = [
        f"Python {told.python.version}, {told.python.executable}",
        f"packages: {', '.join(packages)}",
        f"programs: {', '.join(told.python.programs)}",
        f"isolation: {told.isolation.level}, network {told.isolation.network}, "
        f"{len(told.isolation.restrictions)} restrictions in force; programs see {told.isolation.sees}",
        f"limits: {json.dumps(msgspec.to_builtins(told.limits))}",
        f"used: {json.dumps(msgspec.to_builtins(told.usage))}",
        f"session {told.session_id}: {told.session.executions} executions, now as of {told.session.current}, "
        f"{told.session.artifacts} artifacts",
        *(f"{apps.line(app)}, its log: {app.log_uri}" for app in told.web_apps),
        f"versions: {json.dumps(told.versions)}",
        *(f"hint: {hint}" for hint in told.hints),
    ]
    return "\n".join(lines)


TOOL = Tool(
    "get_execution_info", "Describe the environment", INFO, Info, Told, _info, Hints(read_only=True, idempotent=True)
)
