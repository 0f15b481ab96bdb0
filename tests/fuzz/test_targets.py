"""The host's parsers under bytes that are almost right, briefly; `make fuzz` goes on for long."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.endurance import SECONDS, SOAK

from .targets import CORPUS, TARGETS, Target, clean

_EXAMPLES = {"delta": 100, "archive": 100, "upload_path": 150}
_MEMORY = 64 << 20
_PATIENCE = 10.0
# What is small and asks for much: lengths, sizes and counts that nobody has sent the bytes for.
_MUCH = (
    b"\xff" * 1000, b"\xdf\x7f\xff\xff\xff", b"\xdd\x7f\xff\xff\xff" * 100, b"\x7f\xff\xff\xff{}", b"\xff\xff\x1f\0{}",
    b'{"put":"x","size":281474976710655}', b'{"patch":"x","size":281474976710655,"ranges":[[0,281474976706560]]}',
    b"[" * 1_000_000, b"[[]," * 250_000, b"\x28\xb5\x2f\xfd" + b"\xff" * 60, b"\1\x28\xb5\x2f\xfd\xa0\xff\xff\xff\x7f",
)  # fmt: skip

pytestmark = pytest.mark.timeout(SECONDS)


@pytest.fixture(autouse=True, scope="module")
def _clean() -> Iterator[None]:
    with clean():
        yield


def inputs(target: Target) -> list[bytes]:
    """What is well-formed, and what was found worth keeping."""
    kept = CORPUS / target.name
    return [*target.seeds(), *(path.read_bytes() for path in (sorted(kept.iterdir()) if kept.is_dir() else ()))]


@st.composite
def almost_right(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A well-formed input with a few changes: bytes put in, taken out, repeated, replaced by others or by those of
    another one."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 16))
        match draw(st.integers(0, 4)):
            case 0:
                data[start : start + length] = draw(st.binary(max_size=16))
            case 1:
                data[start:start] = draw(st.binary(min_size=1, max_size=16))
            case 2:
                del data[start : start + length]
            case 3:
                data[start:start] = data[start : start + length] * draw(st.integers(1, 8))
            case _:
                other = draw(st.sampled_from(seeds))
                data[start:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_is_well_formed_or_was_once_a_defect_is_taken_or_refused(target: Target) -> None:
    for data in inputs(target):
        target.run(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_parser_raises_nothing_but_what_it_says(target: Target) -> None:
    """Whatever it is given, and it takes neither long nor much memory for it."""
    seeds = inputs(target)

    @settings(
        max_examples=_EXAMPLES.get(target.name, 250) * SOAK, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), derandomize=SOAK == 1,
    )  # fmt: skip
    @given(almost_right(seeds) | st.binary(max_size=200))
    @example(b"")
    @example(b"[" * 100_000)
    @example(b'{"a":' * 20_000)
    @example(b"\x81\xa1a" * 50_000)
    @example(b"9" * 10_000)
    def one(data: bytes) -> None:
        begin = time.perf_counter()
        target.run(data)
        assert time.perf_counter() - begin < _PATIENCE

    one()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_parser_takes_no_more_memory_than_it_may(target: Target) -> None:
    target.run(inputs(target)[0])  # so that what is made once does not count
    tracemalloc.start()
    try:
        for data in _MUCH:
            target.run(data)
        assert tracemalloc.get_traced_memory()[1] < _MEMORY
    finally:
        tracemalloc.stop()


def test_what_a_parser_must_not_raise_is_seen() -> None:
    """The harness itself: a mistake in a parser is not taken for a refusal."""

    def mistaken(data: bytes) -> None:
        if data.startswith(b"{") and b"x" in data:
            raise KeyError("x")

    with pytest.raises(KeyError):
        test_a_parser_raises_nothing_but_what_it_says(Target("mistaken", mistaken, lambda: [b'{"x": 1}']))
