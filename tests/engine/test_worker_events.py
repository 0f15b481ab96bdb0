"""What a worker says: taken if it is well-formed and within its bounds, refused with one kind of error if not."""

from __future__ import annotations

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.engine.worker_events import Ended, Figure, Mark, Ready, Shown, decoder
from sandbox.protocol import messages as m


def result(value: bytes, chart: bytes = b"null") -> bytes:
    return b'{"event":"result","data":{"application/json":%s},"chart":%s}' % (value, chart)


def shown(value: bytes, chart: bytes = b"null") -> Shown:
    event = decoder.decode(result(value, chart))
    assert isinstance(event, Shown)
    return event


def test_every_kind_of_event_is_taken() -> None:
    assert decoder.decode(b'{"event":"mark","ack":true}') == Mark(ack=True)
    assert decoder.decode(b'{"event":"ready","enforced":["seccomp"]}') == Ready(False, ("seccomp",))
    raised = b'{"type":"E","message":"m","traceback":"t","errno":null,"exit_code":1}'
    ended = decoder.decode(b'{"event":"end","error":%s,"cache_hit":true}' % raised)
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert (ended.error.type, ended.cache_hit) == ("E", True)


def test_a_result_keeps_its_values() -> None:
    body = {"event": "result", "main": True, "data": {"text/plain": "1 €", "application/json": {"a": [1, 2.5, None]}}}
    event = decoder.decode(json.dumps({**body, "chart": {"type": "line"}}).encode())
    assert event == Shown(False, body["data"], True, {"type": "line"})  # type: ignore[arg-type]


def test_a_figure_is_told_from_a_result() -> None:
    assert isinstance(decoder.decode(b'{"event":"figure","data":{"image/png":"AA=="}}'), Figure)
    assert not isinstance(shown(b"1"), Figure)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"end"',
        b"{}",
        b'{"event":"unknown"}',
        b'{"event":1}',
        b'{"event":null}',
        b'{"event":"end","event":"mark"}',
        b'{"event":"gone","code":0}',
        b'{"event":"mark","more":1}',
        b'{"event":"mark"} trailing',
        b'\xef\xbb\xbf{"event":"mark"}',
        b'{"event":"mark","ack":1}',
        b'{"event":"refused","errno":-1}',
        b'{"event":"refused","errno":1.5}',
        b'{"event":"refused","errno":99999999999999999999}',
        b'{"event":"ready","enforced":"seccomp"}',
        b'{"event":"end","error":{"type":"E"}}',
        b'{"event":"end","error":{"type":"E","message":"","traceback":"","errno":null,"exit_code":256}}',
        b'{"event":"result","data":[]}',
        b'{"event":"result","data":{"a":NaN}}',
        b'{"event":"result","data":{"a":Infinity}}',
        b'{"event":"result","data":{"a":1e999}}',
        b'{"event":"result","data":{"a":"\\ud800"}}',
        b'{"event":"result","data":{"\\udfff":1}}',
        b'{"event":"result","data":{"a":"\xff"}}',
        b'{"event":"result","data":{"a":["\xed\xa0\x80"]}}',
        b'{"event":"result","data":{"a":01}}',
        b'{"event":"result","data":{"a":tru}}',
        b'{"event":"result","data":{"a":[1,2}}',
        b'{"event":"result","chart":[]}',
        b'{"event":"result","chart":"line"}',
        b'{"event":"result","dropped":[]}',
        b'{"event":"completions","matches":[1]}',
    ],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder.decode(body)


def test_every_text_and_list_has_a_bound() -> None:
    long = "x" * 1_000_001
    raised = {"type": "E", "message": long, "traceback": "", "errno": None, "exit_code": 1}
    for body in (
        {"event": "ready", "enforced": ["x" * 201]},
        {"event": "ready", "enforced": ["x"] * 65},
        {"event": "refused", "message": long},
        {"event": "end", "error": raised},
        {"event": "end", "error": {**raised, "message": "", "traceback": long}},
        {"event": "end", "compiled": 10**9 + 1},
        {"event": "result", "data": {"x" * 201: ""}},
        {"event": "result", "data": {str(n): "" for n in range(33)}},
        {"event": "completions", "matches": ["x" * 1001]},
        {"event": "completions", "matches": ["x"] * 201},
    ):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(json.dumps(body).encode())


@pytest.mark.parametrize("depth", [1000, 100_000, 1_000_000])
def test_deep_json_is_refused_or_dropped_and_does_not_end_the_host(depth: int) -> None:
    """How deep it is decoded at all differs from one Python to the next."""
    try:
        event = shown(b"[" * depth + b"]" * depth)
    except msgspec.DecodeError:
        return
    assert (event.data, event.dropped) == ({}, ("application/json",))


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" + b"[]," * 250_000 + b"1]",
        b"[" + b"1," * 5_000_000 + b"1]",
    ],
    ids=["a deep list", "a deep object", "too many containers", "too many bytes"],
)
def test_a_value_beyond_its_bounds_is_dropped_and_named(value: bytes) -> None:
    event = shown(value, chart=b'{"type":"line"}')
    assert (event.data, event.dropped, event.chart) == ({}, ("application/json",), {"type": "line"})


def test_a_chart_beyond_its_bounds_is_dropped_and_named() -> None:
    event = shown(b"1", chart=b'{"data":' + b"[" * 64 + b"]" * 64 + b"}")
    assert (event.data, event.dropped, event.chart) == ({"application/json": 1}, ("chart",), None)


def test_a_value_within_its_bounds_is_kept_whole() -> None:
    deep = b"[" * 64 + b"]" * 64
    assert shown(deep).data == {"application/json": json.loads(deep)}
    wide = [[n, n / 3] for n in range(100_000)]
    assert shown(json.dumps(wide).encode()).data == {"application/json": wide}


def test_a_text_may_be_larger_than_an_object() -> None:
    text = "[" * (10 << 20)
    assert shown(json.dumps(text).encode()).data == {"application/json": text}


@pytest.mark.parametrize(
    ("number", "taken"),
    [
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (2**64, 2.0**64),
        (-(2**63) - 1, -(2.0**63)),
        (10**250, 1e250),
        (10**400, None),
    ],
)
def test_whole_numbers_of_any_length_can_be_sent_on(number: int, taken: float | None) -> None:
    event = shown(json.dumps([1, {"n": number}]).encode(), chart=json.dumps({"n": number}).encode())
    assert event.data == {"application/json": [1, {"n": taken}]}
    assert event.chart == {"n": taken}
    m.encode(m.ResultShown(event.data, chart=event.chart))


# --- properties -----------------------------------------------------------------------------------------------------

numbers = st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
fields = st.sampled_from(
    ["event", "ack", "enforced", "pid", "errno", "message", "data", "main", "chart", "error", "matches", "x"]
)
tags = st.sampled_from(
    ["ready", "refused", "not_started", "mark", "result", "figure", "end", "completions", "done", "gone", "x"]
)
events = st.builds(lambda tag, rest: {**rest, "event": tag}, tags, st.dictionaries(fields, values, max_size=5))
bundles = st.builds(
    lambda tag, data, chart: {"event": tag, "data": data, "chart": chart},
    st.sampled_from(["result", "figure"]),
    st.dictionaries(st.text(max_size=30), values, max_size=5),
    st.none() | st.dictionaries(st.text(), values, max_size=5),
)


def take(body: bytes) -> None:
    """A worker's bytes are refused with a DecodeError, or can be sent on to whoever asked."""
    try:
        event: Any = decoder.decode(body)
    except msgspec.DecodeError:
        return
    if isinstance(event, Shown):
        m.encode(m.ResultShown(event.data, main=event.main, chart=event.chart))


@given(st.binary(max_size=200))
@example(b'{"event":"result","data":{"a":"\xff"}}')
def test_no_bytes_raise_anything_but_a_decode_error(body: bytes) -> None:
    take(body)


@given(events | bundles)
def test_no_event_raises_anything_but_a_decode_error(event: dict[str, Any]) -> None:
    take(json.dumps(event).encode())


@given(bundles)
def test_every_bundle_of_json_is_taken(bundle: dict[str, Any]) -> None:
    event = decoder.decode(json.dumps(bundle).encode("utf-8", "surrogatepass"))
    assert isinstance(event, Shown)
    assert event.dropped == ()


@given(bundles, st.data())
def test_a_damaged_event_raises_nothing_but_a_decode_error(bundle: dict[str, Any], data: st.DataObject) -> None:
    body = bytearray(json.dumps(bundle).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.sampled_from([ord(c) for c in string.printable] + [0, 0xFF, 0xC3]))
    take(bytes(body))
