"""What a request may say. The SDK checks most of it before it sends something; others send what they like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.errors import UsageError
from sandbox.options import checked_env, checked_timeout
from sandbox.protocol import messages as m

_MOST_CODE = 16 * 1024 * 1024
_MOST_KEY = 1000
_MOST_ARGUMENTS = 10_000
_MOST_FORKS = 1000
_MOST_SCENES = 100
_MOST_HOSTS = 100
_MOST_HISTORY = 10_000
_MOST_LABEL = 1000


def check(request: Any) -> None:
    """Raises UsageError."""
    check_one = _CHECKS.get(type(request))
    if check_one is not None:
        check_one(request)


def _check_run(request: m.Run) -> None:
    _check_timeout(request.timeout, default=-1.0)
    _at_most("code", len(request.code), _MOST_CODE, "characters")
    _at_most("cache_key", len(request.cache_key or ""), _MOST_KEY, "characters")


def _check_animation(request: m.CreateAnimation) -> None:
    _check_timeout(request.timeout, default=None)
    _at_most("code", len(request.code), _MOST_CODE, "characters")
    _at_most("scenes", len(request.scenes), _MOST_SCENES, "names")


def _check_complete(request: m.Complete) -> None:
    _at_most("code", len(request.code), _MOST_CODE, "characters")
    if not 0 <= request.cursor <= len(request.code):
        raise UsageError(f"cursor={request.cursor} is not a place in the code")


def _check_write(request: m.WriteFile) -> None:
    _at_most("data", len(request.data), m.MAX_CHUNK, "bytes")
    if request.size < 0:
        raise UsageError(f"size={request.size} is negative")


def _check_fork(request: m.Fork) -> None:
    _at_most("ids", len(request.ids), _MOST_FORKS, "sandboxes")
    if not request.ids or len(set(request.ids)) != len(request.ids):
        raise UsageError("ids names no sandbox, or one twice")


def _check_history(request: m.GetHistory) -> None:
    _at_most("limit", request.limit, _MOST_HISTORY, "executions")


def _check_label(request: m.MakeCheckpoint) -> None:
    _at_most("label", len(request.label or ""), _MOST_LABEL, "characters")


def _check_command(request: m.StartCommand) -> None:
    _check_timeout(request.timeout, default=None)
    _check_program(request)


def _check_app(request: m.StartWebApp) -> None:
    _check_served(request)
    _at_most("hosts", len(request.hosts), _MOST_HOSTS, "names")
    checked_env(request.env)


def _check_served(request: m.StartWebApp | m.RestartWebApp) -> None:
    _check_timeout(request.timeout, default=None)
    _at_most("code", len(request.code or ""), _MOST_CODE, "characters")
    _at_most("command", len(request.command), _MOST_ARGUMENTS, "arguments")
    if any("\0" in text for text in request.command):
        raise UsageError("command has a NUL, which no program can be given")


def _check_program(request: m.StartCommand | m.StartTerminal) -> None:
    _at_most("argv", len(request.argv), _MOST_ARGUMENTS, "arguments")
    checked_env(request.env)
    if not request.argv or not request.argv[0]:
        raise UsageError("argv is empty: a command needs at least the program's name")
    if any("\0" in text for text in (*request.argv, request.cwd or "")):
        raise UsageError("argv or cwd has a NUL, which no command can be given")


def _check_timeout(value: float | None, default: float | None) -> None:
    if value != default:
        checked_timeout(value)


def _at_most(name: str, seen: int, most: int, unit: str) -> None:
    if seen > most:
        raise UsageError(f"{name} has {seen} {unit}: a server takes at most {most}")


_CHECKS: dict[type[Any], Callable[[Any], None]] = {
    m.Run: _check_run,
    m.CreateAnimation: _check_animation,
    m.Complete: _check_complete,
    m.StartCommand: _check_command,
    m.StartTerminal: _check_program,
    m.StartWebApp: _check_app,
    m.RestartWebApp: _check_served,
    m.WriteFile: _check_write,
    m.Fork: _check_fork,
    m.GetHistory: _check_history,
    m.MakeCheckpoint: _check_label,
}
