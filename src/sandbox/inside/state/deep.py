"""Calls something that recurses deeply: a list in a list in a list, or a chain of objects."""

import sys
import threading
from collections.abc import Callable
from typing import Any

_STACK = 512 * 1024 * 1024
_LIMIT = 400_000


def deeply(call: Callable[[], Any]) -> Any:
    """Call in a thread with a stack that is large enough. Its pages are only taken as it grows."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, call()))
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            outcome.extend((False, error))

    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK)
    try:
        sys.setrecursionlimit(_LIMIT)
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    sys.setrecursionlimit(limit)
    if not outcome[0]:
        raise outcome[1]
    return outcome[1]
