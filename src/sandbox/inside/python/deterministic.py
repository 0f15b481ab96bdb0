"""Deterministic mode: what a session's code learns of chance and of time follows from a seed alone.

Imported only by workers of sandboxes that have a seed. It is no restriction: code that wants the true time finds it.
The clock begins at `EPOCH`, goes on by `_TICK` each time that it is read, so that a loop which waits for it ends, and
by as long as something slept. Random bytes are a keyed hash of their position (BLAKE2b, RFC 7693).
"""

import datetime as dt
import math
import os
import random
import sys
import time
import types
from _blake2 import blake2b
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

EPOCH = 1_767_225_600_000_000_000
"""Nanoseconds since 1970 at which the clock begins: 2026-01-01 00:00 UTC."""
_TICK = 1_000
_SECOND = 1_000_000_000
_BLOCK = 64
_WALL = frozenset(("CLOCK_REALTIME", "CLOCK_REALTIME_COARSE", "CLOCK_TAI"))
_REAL_SLEEP, _REAL_MONOTONIC = time.sleep, time.monotonic


class Course:
    """How far a session's time and chance have come: all that a checkpoint has to keep of them."""

    def __init__(self) -> None:
        self.seed = 0
        self.passed = 0  # nanoseconds
        self.drawn = 0  # blocks of random bytes

    def read(self) -> int:
        """Nanoseconds since the session began."""
        self.passed += _TICK
        return self.passed

    def later(self, seconds: "float | None") -> int:
        """When so much time will have passed; now for none. It is asked before the wait: threads wait side by side."""
        return self.passed + round((seconds or 0) * _SECOND)

    def wait(self, until: int) -> None:
        """Let time pass until then."""
        self.passed = max(self.passed, until)

    def child(self) -> None:
        """In a process that was forked: have chance of its own, which follows from what was drawn before."""
        self.seed, self.drawn = int.from_bytes(self.bytes(8), "little"), 0

    def bytes(self, count: int) -> bytes:
        """Return as many random bytes. Raises ValueError for a negative count."""
        if count < 0:
            raise ValueError("negative argument not allowed")
        key = self.seed.to_bytes(8, "little")
        first, self.drawn = self.drawn, self.drawn + -(-count // _BLOCK)
        blocks = (blake2b(n.to_bytes(8, "little"), key=key).digest() for n in range(first, self.drawn))
        return b"".join(blocks)[:count]

    def state(self) -> "tuple[int, int, int]":
        """What `go_on` takes."""
        return self.seed, self.passed, self.drawn

    def go_on(self, state: "tuple[int, int, int]") -> None:
        """From where another worker has come."""
        self.seed, self.passed, self.drawn = state


course = Course()
_begun = False


def begin(seed: int) -> None:
    """Take the true time and chance away from all code of this process, for good. Once: what is asked again is so."""
    global _begun  # noqa: PLW0603 - of a process
    if _begun:
        return
    _begun = True
    course.go_on((seed, 0, 0))
    _replace_clocks()
    _replace_dates()
    _replace_waits()
    _replace_chance()
    _replace_order()
    seed_generators()


def seed_generators() -> None:
    """Let the generators that programs share begin with numbers of the session's own."""
    random.seed()
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed(int.from_bytes(course.bytes(4), "little"))


def _put(module: Any, name: str, function: Callable[..., Any]) -> None:
    """Let `function` be what it stands for, by name too: a variable that is bound to it is stored by that."""
    function.__module__, function.__name__, function.__qualname__ = module.__name__, name, name
    setattr(module, name, function)


# --- time -----------------------------------------------------------------------------------------------------------


def _now() -> int:
    return EPOCH + course.read()


def _replace_clocks() -> None:
    readings = {
        "time": _now,
        **dict.fromkeys(("monotonic", "perf_counter", "process_time", "thread_time"), course.read),
    }
    for name, read in readings.items():
        _put(time, name, _seconds(read))
        _put(time, f"{name}_ns", _whole(read))
    walls = frozenset(getattr(time, name) for name in _WALL if hasattr(time, name))
    _put(time, "clock_gettime", lambda clock, /: (_now() if clock in walls else course.read()) / _SECOND)
    _put(time, "clock_gettime_ns", lambda clock, /: _now() if clock in walls else course.read())
    for name in ("gmtime", "localtime", "ctime"):
        _put(time, name, _of_now(getattr(time, name)))
    for name in ("asctime", "strftime"):
        _put(time, name, _of_local(getattr(time, name), time.localtime, arguments=name == "strftime"))


def _seconds(read: Callable[[], int]) -> Callable[[], float]:
    return lambda: read() / _SECOND


def _whole(read: Callable[[], int]) -> Callable[[], int]:
    def whole() -> int:  # another function for each name
        return read()

    return whole


def _of_now(true: Callable[[float], Any]) -> Callable[..., Any]:
    """Of seconds since 1970, or of now."""

    def of(seconds: "float | None" = None, /) -> Any:
        return true(_now() // _SECOND if seconds is None else seconds)

    return of


def _of_local(true: Callable[..., Any], local: Callable[[], Any], *, arguments: int) -> Callable[..., Any]:
    """Of a time in parts, or of now's."""

    def of(*given: Any) -> Any:
        return true(*given, local()) if len(given) == arguments else true(*given)

    return of


def _replace_dates() -> None:
    """In the types themselves: they have been imported by name all over."""

    def now(cls: Any, tz: Any = None) -> Any:
        seconds, rest = divmod(_now(), _SECOND)
        return cls.fromtimestamp(seconds, tz).replace(microsecond=rest // 1_000)

    def utcnow(cls: Any) -> Any:
        return now(cls, dt.timezone.utc).replace(tzinfo=None)  # noqa: UP017 - as of Python 3.9

    def today(cls: Any) -> Any:
        return now(cls) if issubclass(cls, dt.datetime) else cls.fromtimestamp(_now() // _SECOND)

    _put_into_type(dt.date, {"today": today})
    _put_into_type(dt.datetime, {"now": now, "utcnow": utcnow})


def _put_into_type(cls: type, methods: "dict[str, Callable[..., Any]]") -> None:
    """The dict of a built-in type cannot be had by name, but the collector knows it."""
    import ctypes  # noqa: PLC0415
    import gc  # noqa: PLC0415

    (own,) = gc.get_referents(vars(cls))
    for name, method in methods.items():
        method.__module__, method.__qualname__ = cls.__module__, f"{cls.__name__}.{name}"
        own[name] = classmethod(method)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


def _replace_waits() -> None:
    """What waits lets time pass. How long another program takes is not known before: that is true time, and none."""
    import queue  # noqa: PLC0415
    import select  # noqa: PLC0415
    import selectors  # noqa: PLC0415
    import subprocess  # noqa: PLC0415
    import threading  # noqa: PLC0415

    queue.time = threading._time = time.monotonic  # type: ignore[attr-defined]
    subprocess._time = _REAL_MONOTONIC  # type: ignore[attr-defined]
    subprocess.time = types.SimpleNamespace(sleep=_REAL_SLEEP)  # type: ignore[attr-defined]

    def sleep(seconds: float, /) -> None:
        until = course.later(seconds)
        _REAL_SLEEP(seconds)
        course.wait(until)

    _put(time, "sleep", sleep)
    for kind in ("SelectSelector", "PollSelector", "EpollSelector"):
        _let_pass(getattr(selectors, kind), "select")
    _put(select, "select", _selecting(select.select))
    _let_pass(threading.Condition, "wait")


def _selecting(true: Callable[..., Any]) -> Callable[..., Any]:
    def waiting(reads: Any, writes: Any, others: Any, timeout: "float | None" = None, /) -> Any:
        until = course.later(timeout)
        found = true(reads, writes, others, timeout)
        if not any(found):
            course.wait(until)
        return found

    return waiting


def _let_pass(cls: Any, name: str) -> None:
    """A method that waits for something, for a time at most: if nothing came, that time is over."""
    true = getattr(cls, name)

    def wait(self: Any, timeout: "float | None" = None) -> Any:
        until = course.later(timeout and math.ceil(timeout * 1_000) / 1_000)  # as epoll counts: what is left varies
        found = true(self, timeout)
        if not found:
            course.wait(until)
        return found

    wait.__name__, wait.__qualname__ = name, f"{cls.__qualname__}.{name}"
    setattr(cls, name, wait)


# --- chance and order -----------------------------------------------------------------------------------------------


def _replace_chance() -> None:
    import uuid  # noqa: PLC0415

    true = random.Random.seed

    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        true(self, int.from_bytes(course.bytes(32), "little") if a is None else a, version)

    random.Random.seed = seed  # type: ignore[method-assign]
    random.seed = random._inst.seed
    _put(os, "urandom", lambda size, /: course.bytes(size))
    _put(os, "getrandom", lambda size, flags=0: course.bytes(size))
    random._urandom = os.urandom  # type: ignore[attr-defined]
    uuid._generate_time_safe = uuid._UuidCreate = None  # type: ignore[attr-defined]
    uuid._node = int.from_bytes(course.bytes(6), "little") | 1 << 40  # type: ignore[attr-defined]
    # After the module's own, which takes true chance. The parent draws, so that each child has another.
    os.register_at_fork(before=lambda: course.bytes(1), after_in_child=_in_child)
    os.environ.setdefault("PYTHONHASHSEED", "0")  # of what it starts; this interpreter's own is 0 in any case


def _in_child() -> None:
    course.child()
    random.seed()  # as Python does, with true chance; what others inherit they inherit here too


class _Sorted:
    """What os.scandir returns, in the order of the names."""

    def __init__(self, entries: Any) -> None:
        with entries:
            self._entries = iter(sorted(entries, key=lambda entry: entry.name))

    def __iter__(self) -> "Self":
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _replace_order() -> None:
    """A directory has no order of its own."""
    true_list, true_scan = os.listdir, os.scandir
    _put(os, "listdir", lambda path=".": sorted(true_list(path)))
    _put(os, "scandir", lambda path=".": _Sorted(true_scan(path)))
