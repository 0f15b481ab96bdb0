"""Compiled filters: kept for the next time, and never taken from a file that was cut or changed."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.engine import filters, isolation
from sandbox.engine.filters import compiled
from sandbox.errors import SandboxStartError
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES, NONE, WORKER, ZYGOTE

NOTHING: frozenset[str] = frozenset()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    return tmp_path / "cache" / "filters"


def make(level: str = NAMESPACES, stage: str = WORKER) -> bytes:
    return compiled(level, stage, NOTHING, isolation.landlock_abi())


@pytest.mark.parametrize("stage", [WORKER, ZYGOTE])
@pytest.mark.parametrize("level", [NAMESPACES, LANDLOCK])
def test_a_filter_is_a_program_that_the_kernel_can_take(cache: Path, level: str, stage: str) -> None:
    program = make(level, stage)
    instructions = list(struct.iter_unpack("=HBBI", program))
    assert 10 < len(instructions) <= 4096
    # The first loads the architecture (seccomp_data.arch, at 4), which numbers mean nothing without.
    assert instructions[0] == (0x20, 0, 0, 4)


def test_a_filter_is_compiled_once_and_read_afterwards(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    (kept,) = cache.iterdir()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    monkeypatch.setattr(filters, "_compile", lambda *_: pytest.fail("it was compiled again"))
    assert make() == first


def test_levels_stages_and_versions_have_filters_of_their_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {make(level, stage) for level in (NAMESPACES, LANDLOCK) for stage in (WORKER, ZYGOTE)}
    assert len(programs) == len(list(cache.iterdir())) >= 3
    count = len(list(cache.iterdir()))
    monkeypatch.setattr(filters, "__version__", "another")
    make()
    assert len(list(cache.iterdir())) == count + 1


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "longer", "only the digest"])
def test_a_damaged_file_is_compiled_anew_and_never_loaded(cache: Path, damage: str) -> None:
    """An empty program would be taken for "nothing is refused"."""
    program = make()
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-8],
            "changed": whole[:-1] + bytes([whole[-1] ^ 1]),
            "longer": whole + bytes(8),
            "only the digest": whole[:32],
        }[damage]
    )
    assert make() == program
    assert kept.read_bytes() == whole


def test_without_seccomp_there_is_no_filter(cache: Path) -> None:
    assert compiled(NAMESPACES, WORKER, frozenset({"seccomp"}), 1) == b""
    assert not cache.exists()


def test_the_level_none_refuses_nothing_that_isolates(cache: Path) -> None:
    assert len(make(NONE)) < len(make(NAMESPACES))


def test_a_write_that_fails_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        make()
    assert list(cache.iterdir()) == []


def test_without_libseccomp_the_error_says_how_to_get_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(SandboxStartError, match="apt-get install libseccomp2") as caught:
        make()
    assert caught.value.details == {"missing": "libseccomp"}


def test_a_kept_filter_needs_no_libseccomp(cache: Path) -> None:
    """Finding and loading it would cost every start of a process 40 ms."""
    make()
    code = (
        "import sys; from sandbox.engine import filters, isolation\n"
        "assert filters.compiled('namespaces', 'worker', frozenset(), isolation.landlock_abi())\n"
        "assert 'pyseccomp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
