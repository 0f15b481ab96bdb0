"""Gets a fresh worker ready: its environment, its limits, and the builtins that a sandbox answers differently."""

import _sitebuiltins
import builtins
import os
import resource
import sys
import warnings
from collections.abc import Callable
from os import urandom  # by name: deterministic mode replaces that of the module
from typing import Any, TextIO

from ..contain.rlimits import with_reserve
from . import hooks, own_end
from .display import Display
from .failures import OURS

DETERMINISTIC = f"{__package__}.deterministic"
"""The module, which is loaded where a sandbox has a seed."""


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
    own_end.install()


def reseed() -> None:
    """In the zygote, after each fork: let the next worker's random generators begin with another sequence.

    With a number for a seed: numpy's own way to make one runs so much code that each worker would keep 0.3 MB of
    memory which the zygote has changed since.
    """
    course = sys.modules.get(DETERMINISTIC)
    if course is not None:
        course.course.seed = int.from_bytes(urandom(8), "little")
    for name in ("random", "numpy.random"):
        module = sys.modules.get(name)
        if module is not None:
            module.seed(int.from_bytes(urandom(4), "little"))


def attach(request: dict[str, Any], shared_bytes: int) -> None:
    """Take the options of the sandbox that this parked worker now belongs to. Limits can only become lower."""
    os.environ.update(request["env"])
    if request["seed"] is not None:
        from . import deterministic  # noqa: PLC0415 - few sandboxes need it

        deterministic.begin(request["seed"])
    data = request["data_bytes"] + shared_bytes
    for kind, soft, hard in (
        (resource.RLIMIT_DATA, data, with_reserve(data)),
        (resource.RLIMIT_FSIZE, request["file_bytes"], request["file_bytes"]),
        (resource.RLIMIT_NPROC, request["processes"], request["processes"]),
    ):
        _, most = resource.getrlimit(kind)
        limits = (soft, hard) if most == resource.RLIM_INFINITY else (min(soft, most), min(hard, most))
        resource.setrlimit(kind, limits)


def place(request: dict[str, Any]) -> None:
    """Write a file that programs of this sandbox are to find, such as the certificates that they may believe."""
    with open(request["path"], "w", encoding="utf-8") as file:
        file.write(request["text"])


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
            (file or sys.stderr).write(_warning_text(message, category, filename, lineno, line))

    return show


def _warning_text(
    message: "Warning | str", category: type[Warning], filename: str, lineno: int, line: "str | None"
) -> str:
    if filename.startswith(OURS):
        # Python blames whoever was running when an object was lost; that it was this package helps nobody.
        return f"{category.__name__}: {message}\n"
    return warnings.formatwarning(message, category, filename, lineno, line)
