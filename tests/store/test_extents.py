"""Extents: a patch over a part gives the bytes that the patch has, and the part's own everywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import StoreDamaged
from sandbox.store import extents
from sandbox.store.extents import Extent, overlay

SIZE = 64


@st.composite
def layers(draw: st.DrawFn, record: int) -> tuple[Extent, ...]:
    """Sorted extents, apart from each other, of one record."""
    cuts = sorted(draw(st.sets(st.integers(0, SIZE), max_size=12)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return tuple(Extent(start, record, 1000 * record + start, end - start) for start, end in pairs)


def painted(*all_layers: tuple[Extent, ...]) -> list[tuple[int, int] | None]:
    """The model: for each byte of the part, the record and the place in it that it comes from."""
    canvas: list[tuple[int, int] | None] = [None] * SIZE
    for layer in all_layers:
        for extent in layer:
            for step in range(extent.size):
                canvas[extent.at + step] = (extent.record, extent.start + step)
    return canvas


@given(layers(1), layers(2), layers(3))
def test_later_layers_cover_earlier_ones(
    first: tuple[Extent, ...], second: tuple[Extent, ...], third: tuple[Extent, ...]
) -> None:
    both = overlay(first, second)
    assert painted(both) == painted(first, second)
    three = overlay(both, third)
    assert painted(three) == painted(first, second, third)
    assert extents.check(three, SIZE, "x") == three


@given(layers(1), layers(2))
def test_they_come_back_from_the_database_as_they_were(first: tuple[Extent, ...], second: tuple[Extent, ...]) -> None:
    both = overlay(first, second)
    assert extents.decode(extents.encode(both), SIZE, "x") == both


def test_neighbours_are_joined() -> None:
    base = (Extent(0, 1, 0, 100),)
    patched = overlay(overlay(base, (Extent(10, 2, 0, 10),)), (Extent(10, 1, 10, 10),))
    assert patched == base


@pytest.mark.parametrize(
    "wrong",
    [
        (Extent(0, 1, 0, 0),),
        (Extent(60, 1, 0, 5),),
        (Extent(0, 1, -1, 5),),
        (Extent(10, 1, 0, 5), Extent(0, 1, 0, 5)),
        (Extent(0, 1, 0, 5), Extent(4, 1, 0, 5)),
    ],
)
def test_extents_that_cannot_be_are_damage(wrong: tuple[Extent, ...]) -> None:
    with pytest.raises(StoreDamaged):
        extents.decode(extents.encode(wrong), SIZE, "x")


def test_a_flipped_bit_is_damage() -> None:
    blob = extents.encode((Extent(0, 1, 0, 5),))
    for place in range(len(blob)):
        wrong = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        with pytest.raises(StoreDamaged):
            extents.decode(wrong, SIZE, "x")
