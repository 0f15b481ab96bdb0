"""Importing a package ahead of time, so that every worker has it from its first line on."""

import contextlib
import importlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any


def warm(name: str) -> dict[str, Any]:
    """Import `name`; return what to tell the engine. A package that cannot be imported is reported, not fatal.

    `threads` above 1 means that the import started one: forks would then copy its locks in whatever state they are.
    """
    begin = time.perf_counter()
    report: dict[str, Any] = {"warmed": name, "error": None}
    try:
        with _without_timers():
            importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - third-party code, and the worker that needs it will see the error itself
        report["error"] = f"{type(error).__name__}: {error}"[:500]
    report["seconds"] = time.perf_counter() - begin
    report["threads"] = len(os.listdir("/proc/self/task"))
    return report


@contextlib.contextmanager
def _without_timers() -> "Iterator[None]":
    """Let timers be made and never go off: each is a thread, which a zygote cannot have.

    matplotlib before 3.11 has one while it looks for fonts, to say after five seconds that this takes a while.
    """
    threading.Timer.start = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del threading.Timer.start
