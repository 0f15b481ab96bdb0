"""Gets a fresh worker ready: its environment, its limits, and the builtins that a sandbox answers differently."""

import _sitebuiltins
import builtins
import os
import resource
import sys
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from . import hooks
from .display import Display


def prepare(display: Display) -> None:
    """Once, in the zygote: every worker inherits it."""
    builtins.display = display.display  # type: ignore[attr-defined]
    builtins.input = _no_input
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]
    builtins.help = _sitebuiltins._Helper()
    sys.displayhook = display.hook
    sys.argv = [""]
    warnings.showwarning = _once_per_location()
    hooks.install(display)


def reseed() -> None:
    """In the zygote, after each fork: let the next worker's numpy begin with another sequence.

    The standard library's generator does so by itself, in the new process.
    """
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def attach(request: dict[str, Any]) -> None:
    """Take the options of the sandbox that this worker now belongs to. Limits can only become lower than they are."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.makedirs(request["tmp"] + "/.matplotlib", exist_ok=True)
    for kind, wanted in (
        # What the imports shared with the zygote take does not count: the kernel does not charge it either.
        (resource.RLIMIT_DATA, request["data_bytes"] + _own_data_bytes()),
        (resource.RLIMIT_FSIZE, request["file_bytes"]),
        (resource.RLIMIT_NPROC, request["processes"]),
    ):
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def _own_data_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def _no_input(prompt: object = "", /) -> str:
    raise EOFError(
        "input() has nobody to ask: code in a sandbox runs without a terminal. Put the value into the code or a file."
    )


def _once_per_location() -> "Callable[..., None]":
    """Python's own registry forgets the file's name, and cells share a namespace: keep one by file and line."""
    seen: set[tuple[str, type[Warning], str, int]] = set()

    def show(
        message: "Warning | str",
        category: type[Warning],
        filename: str,
        lineno: int,
        file: "TextIO | None" = None,
        line: "str | None" = None,
    ) -> None:
        place = (str(message), category, filename, lineno)
        if place not in seen:
            seen.add(place)
            text = warnings.formatwarning(message, category, filename, lineno, line)
            (file or sys.stderr).write(text)

    return show
