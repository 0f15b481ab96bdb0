"""What a worker holds and knows, and what it can do to the engine with it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import ssl
import struct
import tempfile
import uuid
from typing import Any


def descriptors() -> dict[str, str]:
    """What each open descriptor is. The one that reads the list is left out."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


def inherited() -> list[str]:
    """Files and directories that are open without having been opened here."""
    return [
        kind for kind in descriptors().values() if kind.startswith("/") and not kind.startswith(("/dev/", "/proc/"))
    ]


def variable(name: str) -> str:
    """A variable of the environment, now or when the process began."""
    return next((text for key, text in environment().items() if key == name or name in text), "")


def environment() -> dict[str, str]:
    with open("/proc/self/environ", "rb") as file:
        first = file.read().decode("utf-8", "replace")
    return {**os.environ, "/proc/self/environ": first}


def memory_with(reversed_hex: str) -> list[str]:
    """Search the whole memory of this process; return what surrounds each find. The needle comes disguised."""
    found = []
    with open("/proc/self/mem", "rb", buffering=0) as memory, open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("r") or "[v" in line:
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            found += _in_span(memory, begin, end, reversed_hex)
    return found


def _in_span(memory: Any, begin: int, end: int, reversed_hex: str) -> list[str]:
    try:
        memory.seek(begin)
        data = memory.read(end - begin)
    except (OSError, OverflowError):
        return []
    # Compared piecewise, because the needle in one piece would be in memory, too, and find itself.
    first, rest = bytes.fromhex(reversed_hex[-2:]), bytes.fromhex(reversed_hex[:-2])[::-1]
    found = []
    at = data.find(rest[:8])
    while at >= 0:
        if data[at - 1 : at] == first and data.startswith(rest, at):
            found.append(data[max(0, at - 40) : at + len(rest) + 8].decode("latin-1"))
        at = data.find(rest[:8], at + 1)
    return found


def random_numbers() -> list[str]:

    names = [next(tempfile._get_candidate_names())]  # type: ignore[attr-defined]
    return [str(random.random()), ssl.RAND_bytes(16).hex(), os.urandom(16).hex(), str(uuid.uuid4()), *names]


def control_socket() -> int:
    """Find the descriptor over which the engine talks to this worker."""
    return int(next(fd for fd, kind in descriptors().items() if kind.startswith("socket:") and int(fd) >= 1000))


def frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def forge(data: bytes) -> None:
    """Write to the control socket, behind the back of the code that owns it."""
    fd = control_socket()
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def flood_events(event: str, batch: int, **fields: Any) -> None:
    """Send the same event without end, in batches."""
    data = frame(json.dumps({"event": event, **fields}).encode()) * batch
    while True:
        forge(data)


def flood_output(size: int) -> None:
    """Print without end."""
    data = b"x" * size
    while True:
        os.write(1, data)


def send_large_results(head: str, part: str, count: int, tail: str, times: int) -> None:
    """Send a result whose value is `head`, `count` times `part`, and `tail`; and again."""
    body = b'{"event":"result","data":{"application/json":' + (head + part * count + tail).encode() + b"}}"
    for _ in range(times):
        forge(frame(body))


def print_while_stealing(count: int) -> None:
    """Print, while two others read from the same pipe what they can get."""
    thieves = [thief for thief in (os.fork(), os.fork()) if thief]
    if len(thieves) < 2:
        _steal()
    for _ in range(count):
        os.write(1, b"something to read\n")
        forge(frame(b'{"event":"mark"}'))
    for thief in thieves:
        os.kill(thief, signal.SIGKILL)
        os.waitpid(thief, 0)


def _steal() -> None:
    try:
        fd = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        os._exit(0)  # a uid of its own may not
    while True:
        with contextlib.suppress(BlockingIOError):
            os.read(fd, 65536)
