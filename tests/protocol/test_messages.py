"""Messages: each comes back as it was, requests refuse what they do not know, and hostile bytes raise one error."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.protocol import messages as m

REQUESTS = get_args(m.AnyRequest)
EVENTS = get_args(m.AnyEvent)
MESSAGES = (*REQUESTS, *EVENTS)

integers = st.integers(-(2**63), 2**64 - 1)
floats = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | integers | floats | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


SCALARS: dict[type, st.SearchStrategy[Any]] = {
    msgspec.inspect.StrType: st.text(),
    msgspec.inspect.BytesType: st.binary(),
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.IntType: integers,
    msgspec.inspect.FloatType: floats,
    msgspec.inspect.NoneType: st.none(),
    msgspec.inspect.AnyType: plain,
}


def of_type(info: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a field, from what msgspec itself knows of its type."""
    match info:
        case msgspec.inspect.VarTupleType():
            return st.lists(of_type(info.item_type), max_size=3).map(tuple)
        case msgspec.inspect.DictType():
            return st.dictionaries(of_type(info.key_type), of_type(info.value_type), max_size=3)
        case msgspec.inspect.UnionType():
            return st.one_of([of_type(inner) for inner in info.types])
        case msgspec.inspect.StructType():
            return st.builds(info.cls, **{field.name: of_type(field.type) for field in info.fields})
    return SCALARS[type(info)]


def of_class(cls: type) -> st.SearchStrategy[Any]:
    return of_type(msgspec.inspect.type_info(cls))


@pytest.mark.parametrize("cls", REQUESTS, ids=lambda cls: cls.__name__)
def test_every_request_comes_back_as_it_was(cls: type) -> None:
    @given(of_class(cls))
    def check(request: m.Request) -> None:
        assert m.decode_request(m.encode(request)) == request

    check()


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_every_event_comes_back_as_it_was(cls: type) -> None:
    @given(of_class(cls))
    def check(event: m.Event) -> None:
        assert m.decode_event(m.encode(event)) == event

    check()


def subclasses(base: type) -> set[type]:
    below: list[type] = base.__subclasses__()
    return {cls for child in below for cls in {child, *subclasses(child)}}


def test_the_unions_name_every_message() -> None:
    assert set(REQUESTS) == subclasses(m.Request)
    assert set(EVENTS) == subclasses(m.Event) - {m.LastEvent}


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_the_tag_is_the_name_of_the_class(cls: type) -> None:
    config = cls.__struct_config__  # type: ignore[attr-defined]
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    shortened = {"metrics_measured": "metrics", "stats_counted": "stats", "history_listed": "history"}
    assert config.tag == {**shortened, "result_shown": "result"}.get(words, words)
    assert config.frozen


def test_requests_are_told_from_events() -> None:
    for data in (m.encode(m.Done()), m.encode(m.Output("stdout", "x"))):
        with pytest.raises(msgspec.ValidationError):
            m.decode_request(data)
    with pytest.raises(msgspec.ValidationError):
        m.decode_event(m.encode(m.ClearCache("s")))


def wire(message: m.Request | m.Event) -> dict[str, Any]:
    fields = msgspec.msgpack.decode(m.encode(message))
    assert isinstance(fields, dict)
    return fields


@pytest.mark.parametrize("cls", REQUESTS, ids=lambda cls: cls.__name__)
def test_a_request_with_an_unknown_field_is_refused(cls: type) -> None:
    @given(of_class(cls))
    def check(request: m.Request) -> None:
        data = msgspec.msgpack.encode({**wire(request), "netwrok": "host"})
        with pytest.raises(msgspec.ValidationError, match="unknown field `netwrok`"):
            m.decode_request(data)

    check()


@pytest.mark.parametrize("path", [(), ("environment",), ("files", 0)], ids=str)
def test_a_mistyped_option_is_refused_at_every_depth(path: tuple[str | int, ...]) -> None:
    message = wire(m.OpenSession(m.SessionOptions(files=(m.MountSpec("/data", "/tmp"),))))
    place: Any = message["options"]
    for step in path:
        place = place[step]
    place["writeable"] = True
    with pytest.raises(msgspec.ValidationError, match="unknown field `writeable`"):
        m.decode_request(msgspec.msgpack.encode(message))


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_an_event_of_a_newer_engine_is_understood(cls: type) -> None:
    @given(of_class(cls))
    def check(event: m.Event) -> None:
        assert m.decode_event(msgspec.msgpack.encode({**wire(event), "new_in_a_later_version": 1})) == event

    check()


@pytest.mark.parametrize("cls", REQUESTS, ids=lambda cls: cls.__name__)
def test_a_request_without_a_field_that_it_needs_is_refused(cls: type) -> None:
    needed = [field.name for field in msgspec.structs.fields(cls) if field.required]
    assert needed
    message = {"do": cls.__struct_config__.tag}  # type: ignore[attr-defined]
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{needed[0]}`"):
        m.decode_request(msgspec.msgpack.encode(message))


def test_a_field_of_another_type_is_refused() -> None:
    for field, value in (("session", 1), ("code", b"x"), ("timeout", "1"), ("cache_key", ["k"])):
        data = msgspec.msgpack.encode({**wire(m.Run("s", "1")), field: value})
        with pytest.raises(msgspec.ValidationError, match=f"`\\$.{field}`"):
            m.decode_request(data)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_decode_error(data: bytes) -> None:
    for decode in (m.decode_request, m.decode_event):
        try:
            message = decode(data)
        except msgspec.DecodeError:
            continue
        assert isinstance(message, MESSAGES)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        m.encode(m.ClearCache("A")).replace(b"A", b"\xff"),
        m.encode(m.Output("stdout", "A")).replace(b"A", b"\xed\xa0\x80"),
        b"\x82\xa5event\xa6result\xa4data\x81\xa1a" + b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["nothing", "no type", "no text in a request", "no text in an event", "deep", "a map without its entries"],
)
def test_hostile_bytes_raise_a_decode_error(data: bytes) -> None:
    for decode in (m.decode_request, m.decode_event):
        with pytest.raises(msgspec.DecodeError):
            decode(data)


def test_exactly_the_last_events_end_an_answer() -> None:
    assert {cls.__name__ for cls in EVENTS if not cls.last} == {
        "Output", "ResultShown", "ExecutionStarted", "CommandStarted", "Data", "FilesChanged", "Watching",
        "AnimationProgress",
    }  # fmt: skip
