"""Frames under any split of the bytes, and under bytes that are no frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.wire import frames

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def split_messages(draw: st.DrawFn) -> tuple[Sequence[object], list[bytes]]:
    """Messages, and their frames cut into pieces anywhere; some pieces are empty."""
    messages = draw(st.lists(plain, max_size=8))
    data = b"".join(map(frames.encode, messages))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return messages, [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def feed_all(buffer: frames.FrameBuffer, pieces: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from buffer.feed(piece)


@given(split_messages())
def test_any_split_of_the_bytes_gives_the_same_frames(case: tuple[Sequence[object], list[bytes]]) -> None:
    messages, pieces = case
    bodies = list(feed_all(frames.FrameBuffer(), pieces))
    assert [json.loads(body) for body in bodies] == messages


@given(st.lists(st.binary(max_size=60), max_size=20), st.integers(0, 64))
def test_foreign_bytes_give_frames_within_the_limit_or_bad_frame(pieces: list[bytes], limit: int) -> None:
    buffer = frames.FrameBuffer(limit)
    taken = 0
    try:
        for frame in feed_all(buffer, pieces):
            assert len(frame) <= limit
            taken += 4 + len(frame)
    except frames.BadFrame:
        return
    data = b"".join(pieces)
    # What is left is less than one whole frame.
    assert len(data) - taken < 4 + limit
