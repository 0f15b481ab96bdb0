"""Frames: what is a frame, what is refused, and what it costs."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc

import pytest

from sandbox.inside.wire import frames


def header(size: int) -> bytes:
    return struct.pack("<I", size)


def test_a_message_comes_back_as_it_was() -> None:
    message = {"event": "end", "text": "ä\n\0€", "numbers": [1, 2.5, -3], "nothing": None}
    (body,) = frames.FrameBuffer().feed(frames.encode(message))
    assert json.loads(body) == message


def test_a_frame_is_a_little_endian_length_and_json() -> None:
    assert frames.encode({"a": 1}) == b'\x07\x00\x00\x00{"a":1}'


def test_an_empty_frame_is_a_frame() -> None:
    assert list(frames.FrameBuffer().feed(header(0) * 3)) == [b"", b"", b""]


def test_an_oversized_header_is_refused_before_anything_is_buffered() -> None:
    buffer = frames.FrameBuffer(limit=100)
    with pytest.raises(frames.BadFrame, match="101 bytes; the limit is 100"):
        list(buffer.feed(header(101)))
    with pytest.raises(frames.BadFrame, match="4294967295 bytes"):
        list(frames.FrameBuffer().feed(header(0xFFFFFFFF)))


def test_a_frame_of_exactly_the_limit_is_taken() -> None:
    assert list(frames.FrameBuffer(limit=100).feed(header(100) + bytes(100))) == [bytes(100)]


def test_frames_before_a_bad_one_still_come_and_none_after_it() -> None:
    buffer = frames.FrameBuffer(limit=10)
    feed = buffer.feed(header(2) + b"{}" + header(11))
    assert next(feed) == b"{}"
    with pytest.raises(frames.BadFrame):
        next(feed)
    with pytest.raises(frames.BadFrame):
        next(buffer.feed(b"x" * 11 + header(2) + b"{}"))


def test_a_truncated_frame_is_held_back_until_it_is_whole() -> None:
    buffer = frames.FrameBuffer()
    whole = frames.encode({"a": 1})
    for cut in range(len(whole)):
        assert list(frames.FrameBuffer().feed(whole[:cut])) == []
    assert list(buffer.feed(whole[:-1])) == []
    assert list(buffer.feed(whole[-1:])) == [b'{"a":1}']


def test_frames_that_nobody_took_come_with_the_next_bytes() -> None:
    buffer = frames.FrameBuffer()
    feed = buffer.feed(frames.encode(1) + frames.encode(2) + frames.encode(3))
    assert next(feed) == b"1"
    feed.close()  # type: ignore[attr-defined]
    assert list(buffer.feed(b"")) == [b"2", b"3"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "\ud800", {"\udfff": 1}])
def test_what_json_has_no_form_for_is_refused_where_it_is_sent(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        frames.encode({"data": value})


def test_a_message_that_fits_into_no_frame_is_refused_where_it_is_sent() -> None:
    with pytest.raises(frames.BadFrame, match="33554434 byte message"):
        frames.encode("x" * frames.MAX_FRAME)


def test_a_trickle_of_bytes_costs_no_more_memory_than_the_frame() -> None:
    buffer = frames.FrameBuffer()
    piece = b"x" * 65536
    tracemalloc.start()
    try:
        list(buffer.feed(header(4 << 20)))
        for _ in range((4 << 20) // len(piece) - 1):
            assert list(buffer.feed(piece)) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 << 20


def seconds_for(count: int) -> float:
    """The best of three times to take `count` tiny frames out of one buffer."""
    data = frames.encode("") * count
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        assert sum(1 for _ in frames.FrameBuffer().feed(data)) == count
        times.append(time.perf_counter() - begin)
    return min(times)


def test_the_time_for_many_tiny_frames_in_one_buffer_is_linear() -> None:
    few, many = seconds_for(20_000), seconds_for(400_000)
    # Moving what is left after each frame would make this 400 times, not 20 times.
    assert many < few * 20 * 4
