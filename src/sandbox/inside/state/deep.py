"""Calls something that recurses deeply: a list in a list in a list, or a chain of objects."""

import sys
import threading
from collections.abc import Callable
from typing import Any

# The address space of a stack counts for the memory limit of the process, though its pages are only taken as it
# grows: the largest that can be had.
_STACKS = tuple(size * 1024 * 1024 for size in (512, 256, 128, 64, 32))
_BYTES_A_LEVEL = 1300


def deeply(call: Callable[[], Any]) -> Any:
    """Call in a thread with a large stack. Raises RecursionError if even that is too small, or there is none."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, call()))
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            outcome.extend((False, error))

    limit = sys.getrecursionlimit()
    try:
        _start(run).join()
    finally:
        sys.setrecursionlimit(limit)
    if not outcome[0]:
        raise outcome[1]
    return outcome[1]


def _start(run: Callable[[], None]) -> threading.Thread:
    before = threading.stack_size()
    try:
        for size in _STACKS:
            threading.stack_size(size)
            sys.setrecursionlimit(size // _BYTES_A_LEVEL)
            thread = threading.Thread(target=run)
            try:
                thread.start()
            except RuntimeError:
                continue
            return thread
    finally:
        threading.stack_size(before)
    raise RecursionError("it is nested too deeply, and there is no memory for a stack that is large enough")
