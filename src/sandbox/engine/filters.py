"""Compile the refusals of `inside/contain/policy.py` into seccomp filters, with libseccomp, on the host.

A worker gets the result as bytes: it needs neither libseccomp nor the time that compiling takes. Compiled filters
are kept in the cache directory, since finding and loading libseccomp costs 40 ms.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path
from typing import IO, Any

from sandbox import __version__
from sandbox.engine.paths import cache_dir, private
from sandbox.errors import SandboxStartError
from sandbox.inside.contain.policy import ZYGOTE, Refusal, When, refusals

_ENOSYS = 38
_OPTIMIZE = 8  # SCMP_FLTATR_CTL_OPTIMIZE; 2 is a binary tree instead of a list
_LAST_NUMBER = 1024
_CHECK_BYTES = 4


def compiled(level: str, stage: str, without: frozenset[str], landlock_abi: int, *, cgroups: bool = True) -> bytes:
    """Return the filter of a stage as BPF instructions, 8 bytes each; empty if nothing is refused.

    Raises SandboxStartError if libseccomp is missing.
    """
    if "seccomp" in without:
        return b""
    rows = refusals(level, stage, without, landlock_abi, cgroups=cgroups)
    source = repr((__version__, os.uname().machine, os.uname().release, stage, rows)).encode()
    kept = private(cache_dir() / "filters") / f"{stage}-{zlib.crc32(source):08x}.bpf"
    program = _kept(kept, source)
    if program is None:
        program = _compile(stage, rows)
        _keep(kept, source, program)
    return program


def _kept(path: Path, source: bytes) -> bytes | None:
    """Return a kept filter, or None. One of another source is none.

    Nor is one that was cut or changed by accident: it would refuse less, or nothing at all.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if not content.startswith(source):
        return None
    check, program = content[len(source) :][:_CHECK_BYTES], content[len(source) + _CHECK_BYTES :]
    return program if _check(program) == check else None


def _check(program: bytes) -> bytes:
    return zlib.crc32(program).to_bytes(_CHECK_BYTES, "big")


def _keep(path: Path, source: bytes, program: bytes) -> None:
    """Write a filter for the next time, whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as file:
        try:
            file.write(source + _check(program) + program)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _compile(stage: str, rows: list[Refusal]) -> bytes:
    pyseccomp = _pyseccomp()
    # The zygote's filter allows what it knows and nothing else; the worker's adds refusals on top of it.
    default = pyseccomp.ERRNO(_ENOSYS) if stage == ZYGOTE else pyseccomp.ALLOW
    filter_ = pyseccomp.SyscallFilter(default)
    filter_.set_attr(_OPTIMIZE, 2)
    refused = {call for row in rows if not row.when for call in row.calls}
    if stage == ZYGOTE:
        _allow_known(pyseccomp, filter_, refused)
    for row in rows:
        for call in row.calls:
            if stage == ZYGOTE and row.error == _ENOSYS:
                continue  # the default already, which libseccomp refuses to hear twice
            if number_of(call) is not None and not (row.when and call in refused):
                _refuse(pyseccomp, filter_, row, call)
    with tempfile.TemporaryFile() as file:
        return _export(filter_, file)


def _pyseccomp() -> Any:
    try:
        import pyseccomp  # noqa: PLC0415 - see the module's docstring

        return pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise SandboxStartError(
            "libseccomp is not installed, so no system call filter can be made: install it "
            "(Debian, Ubuntu: apt-get install libseccomp2; Fedora: dnf install libseccomp)",
            {"missing": "libseccomp"},
        ) from error


def number_of(call: str) -> int | None:
    """The number of a system call; None if this architecture, or libseccomp, does not know it."""
    pyseccomp = _pyseccomp()
    try:
        number = int(pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, call))
    except (ValueError, OSError):
        return None
    return number if number >= 0 else None  # negative numbers stand for calls of other architectures


def _allow_known(pyseccomp: Any, filter_: Any, refused: set[str]) -> None:
    for number in range(_LAST_NUMBER):
        try:
            name = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, number)
        except (ValueError, OSError):
            continue
        text = name.decode() if isinstance(name, bytes) else name
        if text not in refused:
            filter_.add_rule(pyseccomp.ALLOW, text)


def _refuse(pyseccomp: Any, filter_: Any, row: Refusal, call: str) -> None:
    action = pyseccomp.ERRNO(row.error)
    if not row.when:
        filter_.add_rule(action, call)
    for conditions in row.when:
        filter_.add_rule(action, call, *(_argument(pyseccomp, when) for when in conditions))


def _argument(pyseccomp: Any, when: When) -> Any:
    if when.is_set:
        return pyseccomp.Arg(when.argument, pyseccomp.NE, 0)
    return pyseccomp.Arg(when.argument, pyseccomp.MASKED_EQ, when.mask, when.value)


def _export(filter_: Any, file: IO[bytes]) -> bytes:
    filter_.export_bpf(file)
    file.seek(0)
    return file.read()
