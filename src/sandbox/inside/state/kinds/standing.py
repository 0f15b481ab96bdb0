"""What has not begun, stands still, or is over: it can be made again, where one that is under way cannot."""

import sys
import types
from typing import Any

from ..lost import Refused
from ..pickler import SessionPickler
from ..registry import builder, reduces, reduces_all

_VARARGS, _KEYWORDS = 0x04, 0x08


@reduces("builtins.generator")
def _generator(pickler: SessionPickler, value: Any) -> Any:
    if value.gi_frame is None:
        return ended_generator, (value.__name__, value.__qualname__)
    if value.gi_running or value.gi_suspended:
        raise Refused("a generator that is under way has a frame, which cannot be copied")
    return _not_begun(pickler, value, value.gi_frame, value.gi_code)


@reduces("builtins.coroutine")
def _coroutine(pickler: SessionPickler, value: Any) -> Any:
    if value.cr_frame is None or value.cr_running or value.cr_suspended:
        raise Refused("a coroutine that was awaited has a frame, which cannot be copied")
    return _not_begun(pickler, value, value.cr_frame, value.cr_code)


@reduces("builtins.async_generator")
def _asynchronous(pickler: SessionPickler, value: Any) -> Any:
    frame = value.ag_frame
    suspended = getattr(value, "ag_suspended", frame is not None and frame.f_lasti >= _START)
    if frame is None or value.ag_running or suspended:
        raise Refused("an asynchronous generator that is under way has a frame, which cannot be copied")
    return _not_begun(pickler, value, frame, value.ag_code)


_START = 8


def _not_begun(_: SessionPickler, value: Any, frame: types.FrameType, code: types.CodeType) -> Any:
    """By the call that would make it again: its frame holds the arguments and nothing else yet."""
    if code.co_freevars:
        raise Refused("a generator with variables of an enclosing function cannot be made again")
    held = frame.f_locals
    count = code.co_argcount
    names = code.co_varnames
    arguments = [held[name] for name in names[:count]]
    end = count + code.co_kwonlyargcount
    named = {name: held[name] for name in names[count:end]}
    if code.co_flags & _VARARGS:
        arguments += held[names[end]]
        end += 1
    if code.co_flags & _KEYWORDS:
        named.update(held[names[end]])
    function = types.FunctionType(code, frame.f_globals, value.__name__)
    return call_again, (function, tuple(arguments), named), (value.__name__, value.__qualname__), None, None, set_names


@builder
def call_again(function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return function(*arguments, **named)


@builder
def set_names(made: Any, names: tuple[str, str]) -> None:
    made.__name__, made.__qualname__ = names


@builder
def ended_generator(name: str, qualified: str) -> Any:
    made: Any = (one for one in "")
    made.close()
    made.__name__, made.__qualname__ = name, qualified
    return made


@reduces("concurrent.futures.thread.ThreadPoolExecutor")
def _pool(_: SessionPickler, pool: Any) -> Any:
    """With no thread yet, as it was when it was made: they are started when there is work."""
    idle = pool._idle_semaphore._value >= len(pool._threads)
    if not idle or not pool._work_queue.empty() or getattr(pool, "_broken", False):
        raise Refused("a pool that has work to do ends with the process")
    started_with = getattr(pool, "_initializer", None), getattr(pool, "_initargs", ())
    return make_pool, (pool._max_workers, pool._thread_name_prefix, *started_with, pool._shutdown)


@builder
def make_pool(most: int, prefix: str, initializer: Any, arguments: Any, over: bool) -> Any:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    made = ThreadPoolExecutor(most, prefix, initializer, arguments)
    if over:
        made.shutdown()
    return made


@reduces("socket.socket", "_socket.socket")
def _socket(_: SessionPickler, value: Any) -> Any:
    """One that is neither bound nor connected."""
    socket = sys.modules["socket"]
    if value.fileno() < 0:
        return closed_socket, (int(value.family), int(value.type), value.proto)
    inet = value.family in (socket.AF_INET, socket.AF_INET6)
    if not inet or value.getsockname()[1] or _is_connected(value):
        raise Refused("a socket's connection ends with the process")
    options = [(level, option, value.getsockopt(level, option)) for level, option in _options(socket)]
    return make_socket, (int(value.family), int(value.type), value.proto, value.gettimeout(), options)


def _is_connected(value: Any) -> bool:
    try:
        value.getpeername()
    except OSError:
        return False
    return True


def _options(socket: Any) -> list[tuple[int, int]]:
    names = ("SO_REUSEADDR", "SO_REUSEPORT", "SO_KEEPALIVE", "SO_BROADCAST", "SO_OOBINLINE", "SO_DONTROUTE")
    return [(socket.SOL_SOCKET, getattr(socket, name)) for name in names if hasattr(socket, name)]


@builder
def make_socket(family: int, kind: int, protocol: int, timeout: Any, options: list[tuple[int, int, int]]) -> Any:
    import socket  # noqa: PLC0415

    made = socket.socket(family, kind, protocol)
    made.settimeout(timeout)
    for level, option, value in options:
        if made.getsockopt(level, option) != value:
            made.setsockopt(level, option, value)
    return made


@builder
def closed_socket(family: int, kind: int, protocol: int) -> Any:
    import socket  # noqa: PLC0415

    made = socket.socket(family, kind, protocol)
    made.close()
    return made


@reduces("mmap.mmap")
def _mapping(_: SessionPickler, value: Any) -> Any:
    """Memory of its own, by what is in it. A file's is the file's, and what was not written back would be lost."""
    if value.closed:
        return closed_mapping, ()
    if not _is_anonymous(value):
        raise Refused("a file that is mapped by hand cannot be mapped again")
    return make_mapping, (len(value), value[:], value.tell())


def _is_anonymous(value: Any) -> bool:
    from ..pages import address_of  # noqa: PLC0415

    at = address_of(value)
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            start, end = (int(one, 16) for one in line.split(maxsplit=1)[0].split("-"))
            if start <= at < end:
                name = line.split(maxsplit=5)[5:]
                return not name or name[0].startswith(("/dev/zero", "["))
    return False


@builder
def make_mapping(size: int, data: bytes, at: int) -> Any:
    import mmap  # noqa: PLC0415

    made = mmap.mmap(-1, size)
    made[:] = data
    made.seek(at)
    return made


@builder
def closed_mapping() -> Any:
    import mmap  # noqa: PLC0415

    made = mmap.mmap(-1, 1)
    made.close()
    return made


@reduces_all("tempfile.TemporaryDirectory")
def _folder(_: SessionPickler, value: Any) -> Any:
    raise Refused("a temporary directory is outside of the workspace, and only that is kept")
