"""Sets are walked in the order in which they were, whatever their past."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.inside.state.live import Live

from sandbox.inside.state import groups
from sandbox.inside.state.kinds.sets import arrange, orders

_CHANCE = random.Random(5)


def _grown() -> set[str]:
    found: set[str] = set()
    for _ in range(_CHANCE.randint(2, 200)):
        found.add("".join(_CHANCE.choices("abcdefghijklm", k=4)))
    return found


def _thinned() -> set[str]:
    found = _grown()
    for one in list(found)[::2]:
        found.discard(one)
    return found


def _numbers() -> set[int]:
    return {_CHANCE.randrange(-(10**6), 10**6) for _ in range(_CHANCE.randint(2, 300))}


PASTS = {
    "grown": _grown,
    "thinned out": _thinned,
    "numbers": _numbers,
    "copied": lambda: set(_grown()),
    "joined": lambda: _grown() | _grown(),
    "what is left": lambda: _grown() - _thinned(),
}


@pytest.mark.parametrize("make", PASTS.values(), ids=PASTS)
def test_an_order_is_found_that_gives_the_same(make: Callable[[], set[object]]) -> None:
    differ = 0
    for _ in range(100):
        value = make()
        again = set(list(value))  # noqa: C414 - as pickle makes it: one element after the other
        if list(again) == list(value):
            assert orders([value]) == []
            continue
        differ += 1
        for _, order in orders([value]):
            arrange(again, *order)
            assert list(again) == list(value)
            differ -= 1
    assert differ <= 1


def test_a_set_in_order_still_finds_its_elements_and_takes_new_ones() -> None:
    value = _grown()
    again = set(value)
    for _, order in orders([value]):
        arrange(again, *order)
    assert again == value
    again.add("new")
    again.discard(next(iter(value)))
    assert len(again) == len(value)


@pytest.mark.parametrize(
    ("pieces", "has"),
    [
        ([b"ab", b"cd"], False),
        ([b"a\x8f\x94b"], True),
        ([memoryview(b"a\x8f\x94b")], True),
        ([b"a\x8f", b"\x94b"], True),
        ([bytearray(b"a\x8fb"), b"\x94"], False),
    ],
)
def test_the_beginning_of_a_set_is_seen_wherever_the_pieces_of_a_pickle_end(pieces: list[Any], has: bool) -> None:
    file = groups.Pieces()
    for piece in pieces:
        file.write(piece)
    assert file.has_sets() is has


def test_sets_across_the_pieces_of_a_large_pickle_keep_their_order(live: Live) -> None:
    live.run("x = [{n, n + 8, n * 64 + 16, str(n)} for n in range(30_000)]; order = [list(one) for one in x]")
    assert max(map(len, live.parts.values())) > 10 * 64 * 1024
    space, lost = live.fresh()
    assert lost == []
    assert [list(one) for one in space["x"]] == space["order"]
