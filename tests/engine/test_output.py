"""Text from a pipe: whole characters, counted bytes, cut at the limit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.output import TextStream


def taken(stream: TextStream, *pieces: bytes) -> str:
    return "".join([*(stream.take(piece) for piece in pieces), stream.rest()])


@given(st.text(), st.lists(st.integers(0, 100), max_size=10))
def test_any_split_of_the_bytes_gives_the_same_text(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert taken(TextStream(1000), *(data[start:end] for start, end in pairwise(places))) == text


@given(st.lists(st.binary(max_size=30)), st.integers(0, 100))
def test_nothing_beyond_the_limit_comes_out_and_all_of_it_is_counted(pieces: list[bytes], limit: int) -> None:
    stream = TextStream(limit)
    data = b"".join(pieces)
    assert taken(stream, *pieces) == data[:limit].decode("utf-8", "replace")
    assert stream.dropped == max(0, len(data) - limit)
    assert stream.full == (len(data) >= limit)


def test_a_character_is_held_back_until_it_is_whole() -> None:
    stream = TextStream(100)
    assert stream.take("€".encode()[:2]) == ""
    assert stream.take("€".encode()[2:]) == "€"
    assert stream.rest() == ""


@pytest.mark.parametrize(("limit", "expected"), [(4, "a€"), (3, "a\ufffd"), (2, "a\ufffd"), (1, "a"), (0, "")])
def test_a_character_that_the_limit_cuts_is_replaced(limit: int, expected: str) -> None:
    assert taken(TextStream(limit), "a€b".encode()) == expected


def test_what_is_no_text_is_replaced() -> None:
    assert taken(TextStream(100), b"a\xff\xfeb\x80", b"\xed\xa0\x80") == "a\ufffd\ufffdb\ufffd\ufffd\ufffd\ufffd"
    assert taken(TextStream(100), b"\xf0\x9f") == "\ufffd"


def test_the_rest_can_be_asked_for_twice() -> None:
    stream = TextStream(100)
    stream.take(b"\xe2")
    assert (stream.rest(), stream.rest()) == ("\ufffd", "")
