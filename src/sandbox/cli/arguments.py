"""What `run` and `repl` were given, with its defaults, and the options that it makes."""

from __future__ import annotations

import os
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sandbox.errors import UsageError

if TYPE_CHECKING:
    from sandbox.network.policy import NetworkPolicy, Secret
    from sandbox.options import SandboxOptions

TIMEOUT = 30.0
# How a message about a limit begins, as it is for those who see keyword arguments.
_OPTION = re.compile(r"\A(memory|cpus|timeout|processes|disk|output|storage|checkpoints|seed)=(\S+) ")
# Every flag of `run` with its value when it is not given. None leaves the choice to `SandboxOptions`.
_UNSET: dict[str, Any] = {
    "file": None, "artifacts": None, "replace": False, "list_files": False, "json": False, "memory": None,
    "cpus": None, "timeout": TIMEOUT, "processes": None, "disk": None, "output": None, "env": None, "mount": None,
    "network": None, "isolation": None, "environment": None, "packages": None, "verbose": False,
    "session": None, "storage": None, "checkpoints": None, "allow_host": None, "secret": None, "language": None,
    "seed": None,
}  # fmt: skip

_LANGUAGES = {
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".ts": "typescript", ".mts": "typescript",
    ".cts": "typescript",
}  # fmt: skip
_PASSED_ON = (
    "memory", "cpus", "processes", "disk", "output", "network", "isolation", "environment", "storage", "checkpoints",
    "language", "seed",
)  # fmt: skip


class Arguments(SimpleNamespace):
    """A parsed command line: an attribute for each flag, `rest` for the positional arguments and `code` for -c."""


def without_flags(argv: list[str]) -> Arguments | None:
    """What the parser would make of a `run` that has no flags; None if this has some."""
    match argv:
        case ["-c", code, *rest] if not rest or not rest[0].startswith("-"):
            return Arguments(**_UNSET, code=code, rest=rest)
        case [script, *_] if script == "-" or not script.startswith("-"):
            return Arguments(**_UNSET, code=None, rest=argv)
    return None


def language_of(script: str) -> str | None:
    """The language that the name of a script says it is in; None for Python's, and for a session's own."""
    return _LANGUAGES.get(os.path.splitext(script)[1])


def with_language(args: Arguments) -> Arguments:
    """The arguments of a `run`, with the language that the script's name says, unless a flag does."""
    scripts = args.rest[1:] if args.rest[:1] == ["--"] else args.rest
    if args.language is None and args.code is None and scripts:
        args.language = language_of(scripts[0])
    return args


def sandbox_options(args: Arguments) -> SandboxOptions:
    """Return the options that the flags ask for. Raises UsageError."""
    from sandbox.options import Environment, SandboxOptions  # noqa: PLC0415 - after the keeper was started

    given: dict[str, Any] = {name: value for name in _PASSED_ON if (value := getattr(args, name, None)) is not None}
    if args.packages:
        given["environment"] = Environment(packages=args.packages)
    if args.allow_host:
        given["network"] = _policy(args)
    given["secrets"] = _secrets(args.secret or [])
    _check_reach(given["secrets"], given.get("network", "none"))
    given.update(timeout=args.timeout, env=_variables(args.env or []), files=_mounts(args.mount or []))
    try:
        return SandboxOptions(persist=args.session is not None, **given)
    except UsageError as error:
        raise UsageError(_OPTION.sub(r"--\1 \2 ", error.message).replace("None", "none")) from error


def _policy(args: Arguments) -> NetworkPolicy:
    from sandbox.network.policy import NetworkPolicy  # noqa: PLC0415 - as above

    if args.network not in {None, "none"}:
        raise UsageError(f"--allow-host goes without --network {args.network}, which allows more")
    return NetworkPolicy(args.allow_host)


def _secrets(given: list[str]) -> dict[str, Secret]:
    """Secrets by their names. Their values are in the environment, since everybody sees a command line."""
    from sandbox.network.policy import Secret  # noqa: PLC0415 - as above

    hosts: dict[str, list[str]] = {}
    for text in given:
        name, at, host = text.partition("@")
        if not at or not host:
            raise UsageError(f"--secret {text}: write it as NAME@HOST; the value is that of your variable NAME")
        if name not in os.environ:
            raise UsageError(f"--secret {text}: there is no variable {name} in the environment")
        hosts.setdefault(name, []).append(host)
    return {name: Secret(os.environ[name], each) for name, each in hosts.items()}


def _check_reach(secrets: dict[str, Secret], network: str | NetworkPolicy) -> None:
    """Whether the hosts of secrets may be reached, in words for a command line. Raises UsageError."""
    from sandbox.network.policy import not_allowed  # noqa: PLC0415 - as above

    for name, secret in secrets.items():
        missing = not_allowed(secret, network)
        if network == "host":
            raise UsageError(
                f"--secret {name}@{missing[0]} goes without --network host, which has no proxy to put it in"
            )
        if missing:
            flags = " ".join(f"--allow-host {host}" for host in missing)
            raise UsageError(f"--secret {name}@{missing[0]} needs its host to be allowed too: add {flags}")


def _variables(pairs: list[str]) -> dict[str, str]:
    variables = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--env {pair}: write it as NAME=VALUE")
        variables[name] = value
    return variables


def _mounts(mounts: list[str]) -> dict[str, Any]:
    from sandbox.options import Mount  # noqa: PLC0415

    files = {}
    for text in mounts:
        source, mode = (text[:-3], text[-2:]) if text.endswith((":rw", ":ro")) else (text, "ro")
        host, colon, inside = source.rpartition(":")
        if not colon or not host or not inside:
            raise UsageError(f"--mount {text}: write it as HOST:INSIDE, or HOST:INSIDE:rw to let it be written")
        if not inside.startswith("/"):
            raise UsageError(
                f"--mount {text}: {inside!r} must be an absolute path, as in HOST:/data, or HOST:/data:rw to let it be "
                "written"
            )
        if inside in files:
            raise UsageError(f"--mount {text}: something is mounted at {inside} already")
        files[inside] = Mount(host, writable=mode == "rw")
    return files


def files_to_bring(given: list[str] | None) -> list[tuple[str, str]]:
    """Return the local path and the path inside of each --file. Raises UsageError."""
    return [_local_and_inside(text) for text in given or []]


def _local_and_inside(text: str) -> tuple[str, str]:
    """Split LOCAL[:INSIDE]. A local name may have a colon itself, if there is such a file."""
    local, colon, inside = (text, "", "") if os.path.exists(text) else text.rpartition(":")
    local = local if colon or os.path.exists(text) else text
    if os.path.isdir(local):
        raise UsageError(f"--file {text}: {local!r} is a directory; show it with --mount, or name its files")
    if not os.path.exists(local):
        raise UsageError(f"--file {text}: there is no file {local!r}")
    if not inside or inside.endswith("/"):
        inside += os.path.basename(local)
    return local, inside
