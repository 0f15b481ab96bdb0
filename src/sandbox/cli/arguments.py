"""Flags that `run` and `repl` share, and the options that they make."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from sandbox.errors import UsageError

if TYPE_CHECKING:
    from sandbox.options import SandboxOptions

_WIDEST = 100
_UNITS = {"": 1, "M": 1, "MB": 1, "G": 1024, "GB": 1024}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. The width is given because finding it costs argparse an import of shutil, 5 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(_columns(), _WIDEST))


def _columns() -> int:
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        pass
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def megabytes(text: str) -> int:
    """Read "512", "512M" or "2G" as megabytes."""
    digits = text.rstrip("MGBmgb")
    unit = _UNITS.get(text[len(digits) :].upper())
    if not digits.isdecimal() or unit is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512, 512M or 2G")
    return int(digits) * unit


def seconds(text: str) -> float | None:
    """Read a number of seconds, or "none" for no limit."""
    try:
        return None if text == "none" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, or none") from None


def add_file_flags(parser: argparse.ArgumentParser) -> None:
    """Add how files come and go."""
    add = parser.add_argument
    add("--file", action="append", default=[], metavar="LOCAL[:INSIDE]", help="copy a file into the workspace")
    add("--artifacts", metavar="DIR", help="keep what the code produced in this directory")
    add("--replace", action="store_true", help="let --artifacts replace files that are there already")


def add_sandbox_flags(parser: argparse.ArgumentParser, timeout: float | None) -> None:
    """Add what a sandbox may have and do; `timeout` is this command's default."""
    limits = parser.add_argument_group("limits")
    add = limits.add_argument
    add("--memory", type=megabytes, metavar="MB", help="of all its processes together, as 512 or 2G (default: 1024)")
    add("--cpus", type=float, metavar="N", help="how many cpus' time, as 0.5 or 2 (default: 1)")
    described = "none" if timeout is None else f"{timeout:g}"
    add("--timeout", type=seconds, default=timeout, metavar="SECONDS", help=f"or none (default: {described})")
    add("--processes", type=int, metavar="N", help="processes and threads at once (default: 128)")
    add("--disk", type=megabytes, metavar="MB", help="of its files (default: 1024)")
    add(
        "--output", type=megabytes, metavar="MB", help="of each of stdout and stderr; the rest is dropped (default: 10)"
    )
    sandbox = parser.add_argument_group("the sandbox")
    add = sandbox.add_argument
    add("--env", action="append", default=[], metavar="K=V", help="set an environment variable; again for more")
    add("--mount", action="append", default=[], metavar="HOST:INSIDE[:rw]", help="show a host directory or file")
    add("--network", choices=("none", "host"), help="none has a loopback of its own (default: none)")
    add("--isolation", choices=("auto", "namespaces", "landlock", "none"), help="how strong (default: auto)")
    packages = sandbox.add_mutually_exclusive_group()
    packages.add_argument(
        "--environment", metavar="PATH", help="a virtual environment, for its interpreter and packages"
    )
    packages.add_argument(
        "--with", action="append", default=[], metavar="PACKAGE", dest="packages",
        help="an environment with this package, built by uv and kept; again for more",
    )  # fmt: skip
    add("-v", "--verbose", action="store_true", help="show the isolation in force and times, on stderr")


def sandbox_options(args: argparse.Namespace) -> SandboxOptions:
    """Return the options that the flags ask for. Raises UsageError."""
    from sandbox.options import Environment, SandboxOptions  # noqa: PLC0415 - after the parser has accepted the flags

    given: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("memory", "cpus", "processes", "disk", "output", "network", "isolation", "environment")
        if getattr(args, name) is not None
    }
    if args.packages:
        given["environment"] = Environment(packages=args.packages)
    return SandboxOptions(timeout=args.timeout, env=_variables(args.env), files=_mounts(args.mount), **given)


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
        if inside in files:
            raise UsageError(f"--mount {text}: something is mounted at {inside} already")
        files[inside] = Mount(host, writable=mode == "rw")
    return files


def files_to_bring(given: list[str]) -> list[tuple[str, str]]:
    """Return the local path and the path inside of each --file. Raises UsageError."""
    return [_local_and_inside(text) for text in given]


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
