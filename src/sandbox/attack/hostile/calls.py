"""System calls, made with plain numbers."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import struct
from typing import Any

from . import Stopped, find, name_of

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(number: int, *arguments: int) -> int:
    """Make a system call with plain numbers. -1 is no descriptor, no address and no known flag."""
    ctypes.set_errno(0)
    result = int(_libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments)))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def calls(probes: list[list[int]]) -> list[str]:
    """Make several system calls; return the name of each one's errno, or its result."""
    return [_tried(probe) for probe in probes]


def reaching(probes: list[list[Any]], refused: list[str]) -> list[str]:
    """Make calls, each a label, a number and arguments; return those that answer anything but what a filter does."""
    answers = {label: _tried(probe) for label, *probe in probes}
    found = [f"{label}: {answer}" for label, answer in answers.items() if answer not in refused]
    if not found:
        raise Stopped(" ".join(sorted(set(answers.values()))))
    return found


def _tried(probe: list[int]) -> str:
    try:
        return str(call(*probe))
    except OSError as error:
        return name_of(error)


def in_child(name: str, *arguments: Any) -> dict[str, int]:
    """Run an attack in a child; return the signal that ended it (0 for none) and its exit code (0 unless it failed)."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(OSError):
            find(name)(*arguments)
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "code": os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 0,
        "core": int(os.WCOREDUMP(status)),
    }


def by_another_convention(name: str, number: int) -> str:
    """Make a call in a child by a way for which the filter was not made."""
    ended = in_child(name, number)
    if ended["signal"]:
        raise Stopped(signal.Signals(ended["signal"]).name)
    return "it reached the kernel"


def call_as_i386(number: int) -> int:
    """Make a system call through the 32 bit entry: int 0x80 has other numbers than the filter was made for."""
    code = b"\xb8" + struct.pack("<I", number) + b"\xcd\x80\xc3"  # mov eax, number; int 0x80; ret
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(code)
        address = ctypes.addressof(holder := ctypes.c_char.from_buffer(page))
        result = int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
        del holder
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def socket_of(family: int, kind: int, protocol: int = 0) -> str:
    with socket.socket(family, kind, protocol) as made:
        return str(made.type)


def set_core_limit(soft: int) -> bool:

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    except ValueError as error:  # what Python makes of EPERM
        raise PermissionError(errno.EPERM, str(error)) from error
    return True


def core_limit() -> list[int]:

    return list(resource.getrlimit(resource.RLIMIT_CORE))


def abort() -> None:
    os.abort()
