"""Tracebacks stay of bounded size, however deep the code went."""

from __future__ import annotations

import sys
import time

from sandbox.inside.python.failures import CELL_PREFIX, describe


def test_a_very_long_traceback_keeps_its_ends_and_says_what_is_left_out() -> None:
    code = "def f(n):\n    if n:\n        f(n - 1)\n    else:\n        raise ValueError('bottom')\nf(200_000)\n"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        exec(compile(code, f"{CELL_PREFIX}1>", "exec"), {})
    except ValueError as error:
        begin = time.perf_counter()
        text = describe(error)["traceback"]
    finally:
        sys.setrecursionlimit(limit)
    assert time.perf_counter() - begin < 1.5, "formatting 200,000 frames takes six seconds"
    assert text.startswith(f'Traceback (most recent call last):\n  File "{CELL_PREFIX}1>", line 6, in <module>')
    assert "line 5, in f\nValueError: bottom\n199002 frames in the middle of the traceback are left out." in text
