"""Parts as the engine hands them over, and the memory that large ones come to lie in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from sandbox.inside.state import Extent, Parts, Place
from sandbox.inside.state.memory import bring
from sandbox.inside.state.parts import MAPPED, PAGE


@pytest.fixture
def pack() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(bytes([number]) * PAGE for number in range(1, 251)) * 3)
        file.flush()
        yield file.fileno()


def place_of(pack: int, size: int, *extents: tuple[int, int, int]) -> Parts:
    return Parts({}, {"buffer/1": Place(size, [Extent(offset, pack, at, length) for offset, at, length in extents])})


@pytest.mark.parametrize("size", [10 * PAGE, MAPPED + 5 * PAGE + 17])
def test_later_extents_lie_over_earlier_ones_and_gaps_are_zeros(pack: int, size: int) -> None:
    parts = place_of(pack, size, (PAGE, 0, size - PAGE), (3 * PAGE, 7 * PAGE, 2 * PAGE))
    view, _ = bring(parts, "buffer/1")
    assert bytes(view) == parts["buffer/1"]
    assert [view[number * PAGE] for number in range(6)] == [0, 1, 2, 8, 9, 5]


@pytest.mark.parametrize("size", [10 * PAGE, MAPPED + 5 * PAGE])
def test_writing_into_restored_memory_leaves_the_pack_alone(pack: int, size: int) -> None:
    view, _ = bring(place_of(pack, size, (0, 0, size)), "buffer/1")
    view[5] = 99
    assert os.pread(pack, 1, 5) == b"\1"


def test_extents_that_lie_askew_are_read(pack: int) -> None:
    size = MAPPED + PAGE
    view, _ = bring(place_of(pack, size, (0, PAGE, size), (100, 50 * PAGE + 7, 300)), "buffer/1")
    assert bytes(view[99:101]) == b"\2\x33"
    assert view[400] == 2


@pytest.mark.parametrize("size", [10 * PAGE, MAPPED + PAGE])
def test_a_pack_that_is_too_short_is_an_error_and_no_bus_error(pack: int, size: int) -> None:
    os.ftruncate(pack, 2 * PAGE)
    with pytest.raises(ValueError, match="too early"):
        bring(place_of(pack, size, (0, 0, size)), "buffer/1")


@pytest.mark.parametrize("extent", [(-PAGE, 0, PAGE), (MAPPED, 0, PAGE)])
def test_an_extent_outside_of_its_part_is_an_error(pack: int, extent: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="outside"):
        bring(place_of(pack, MAPPED, extent), "buffer/1")


def test_parts_are_a_mapping_of_small_and_large_ones(pack: int) -> None:
    parts = Parts({"index": b"x"}, place_of(pack, PAGE, (0, 0, PAGE)).places)
    assert {key: len(parts[key]) for key in parts} == {"index": 1, "buffer/1": PAGE}
    assert len(parts) == 2
