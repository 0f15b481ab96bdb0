"""What arrives need not come from a client that its maker has tested: bodies of any kind, and clients that go away."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.compat.test_e2b_access import to_box
from tests.serving import Serving

from sandbox.errors import UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import charts, connect, files, network, paths, results

_BODIES = [
    b"", b"{}", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"code": 1}', b'{"code": "1", "context_id": "missing"}',
    b'{"code": "1", "env_vars": {"A=B": "1"}}', b'{"process": {}}', b'{"process": {"cmd": ""}}',
    b'{"process": {"cmd": "a\\u0000b"}}', b'{"process": {"pid": -1}}',
    b'{"path": "../../etc/passwd"}', b'{"path": "a\\u0000b"}', b'{"path": ".", "depth": -5}',
    b'{"watcherId": "missing"}', b'{"process": {"cmd": "true", "cwd": "\\u0000"}}',
    b'{"cwd": "/missing"}', b'{"cwd": "missing"}', b"[" * 100_000,
]  # fmt: skip
_CALLS = [
    *(f"/process.Process/{one}" for one in ("Start", "Connect", "List", "SendSignal", "SendInput", "CloseStdin",
                                            "StreamInput", "Update", "Nothing")),
    *(f"/filesystem.Filesystem/{one}" for one in ("Stat", "ListDir", "MakeDir", "Move", "WatchDir", "CreateWatcher",
                                                  "GetWatcherEvents", "RemoveWatcher")),
    "/execute", "/contexts", "/contexts/missing/restart", "/files?path=", "/files?path=f&username=root", "/nothing",
]  # fmt: skip
_STREAMS = {"Start", "Connect", "WatchDir", "StreamInput"}


@pytest.mark.parametrize("path", _CALLS)
async def test_no_body_is_a_mistake_of_the_server(box: Any, serving: Serving, path: str) -> None:
    before = serving.log.count('"level":"error"')
    streams = path.rpartition("/")[2] in _STREAMS
    kind = connect.STREAM if streams else "application/json"
    headers = {**to_box(box, box._envd_access_token), "Content-Type": kind}
    async with aiohttp.ClientSession(f"{serving.url}", headers=headers) as session:
        for body in _BODIES:
            sent = (struct.pack(">BI", 0, len(body)) + body) * (1 + (body == b"{}")) if streams else body
            timeout = aiohttp.ClientTimeout(total=0.5 if path.endswith("WatchDir") else 30)
            try:
                async with session.post(path, data=sent, timeout=timeout) as answer:
                    await answer.read()
                    assert answer.status < 500 or answer.status in {501, 502}, (body, await answer.text())
            except TimeoutError:
                assert path.endswith("WatchDir")
    assert serving.log.count('"level":"error"') == before


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"{}", b'{"templateID": 1}', b'{"templateID": ""}', b'{"templateID": "x", "timeout": -1}',
        b'{"templateID": "x", "timeout": 99999999999}', b'{"templateID": "x", "metadata": {"a": 1}}',
        b'{"templateID": "x", "envVars": {"1A": ""}}', b'{"templateID": "x", "volumeMounts": [1]}',
        json.dumps({"templateID": "x", "metadata": {str(n): "" for n in range(101)}}).encode(),
    ],
)  # fmt: skip
async def test_what_no_sandbox_can_be_made_of_is_the_callers_mistake(serving: Serving, key: str, body: bytes) -> None:
    async with aiohttp.ClientSession(serving.url, headers={"X-API-Key": key}) as session:
        async with session.post("/v2/sandboxes", data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["code"] == 400
        async with session.get("/v2/sandboxes") as answer:
            assert await answer.json() == []


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=101", "nextToken=%00", "nextToken=YQ==", "limit=9" * 9])
async def test_a_list_is_asked_for_in_numbers(serving: Serving, key: str, query: str) -> None:
    async with (
        aiohttp.ClientSession(serving.url, headers={"X-API-Key": key}) as session,
        session.get(f"/v2/sandboxes?{query}") as answer,
    ):
        assert answer.status == 400


async def test_a_client_that_goes_leaves_nothing_running(box: Any, serving: Serving) -> None:
    figures = aiohttp.ClientSession(serving.url, headers={"Authorization": f"Bearer {serving.key('metrics')}"})
    async with figures, aiohttp.ClientSession(serving.url, headers=to_box(box, box._envd_access_token)) as session:
        watch: dict[str, Any] = {"data": b'{"path": "."}', "headers": {"Content-Type": "application/json"}}
        run: dict[str, Any] = {"data": b'{"code": "while True: pass"}'}
        answers = [
            await session.post("/filesystem.Filesystem/WatchDir", **watch), await session.post("/execute", **run),
        ]  # fmt: skip
        assert await _answers_running(figures) >= 2
        for one in answers:
            one.close()
        async with asyncio.timeout(30):
            while await _answers_running(figures):
                pass
    assert box.run_code("'free'").text == "free"


async def _answers_running(session: aiohttp.ClientSession) -> float:
    async with session.get("/metrics") as answer:
        (line,) = [one for one in (await answer.text()).splitlines() if one.startswith("sandbox_answers_running ")]
    return float(line.split()[1])


# --- in pieces ---


@given(st.lists(st.binary(max_size=50), max_size=5), st.lists(st.integers(0, 400), max_size=10))
def test_messages_are_found_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(struct.pack(">BI", 0, len(one)) + one for one in messages) + struct.pack(">BI", 2, 2) + b"{}"
    frames = connect._Frames()
    assert [one for piece in _cut(sent, cuts) for one in frames.feed(piece)] == messages


def test_a_message_that_says_it_is_large_is_refused_before_it_comes() -> None:
    for head in (struct.pack(">BI", 0, 1 << 30), struct.pack(">BI", 1, 10)):
        with pytest.raises(UsageError):
            list(connect._Frames().feed(head))


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\0'), min_size=1, max_size=20)


@given(st.lists(st.tuples(_NAMES, st.binary(max_size=100)), min_size=1, max_size=4), st.lists(st.integers(0, 900)))
def test_forms_are_read_however_they_are_cut(parts: list[tuple[str, bytes]], cuts: list[int]) -> None:
    form = b"".join(
        b'--BxB\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n%b\r\n' % (name.encode(), data)
        for name, data in parts
        if b"--BxB" not in data
    )
    reading = files._Parts(b"BxB")
    events = [one for piece in _cut(form + b"--BxB--\r\n", cuts) for one in reading.feed(piece)]
    reading.finish()
    found = []
    for what, data in events:
        if what == "begin":
            found.append((data.decode(), b""))
        elif what == "data":
            found[-1] = found[-1][0], found[-1][1] + data
    assert found == [(name, data) for name, data in parts if b"--BxB" not in data]


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *(min(one, len(data)) for one in cuts), len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("path", "inward"),
    [
        ("a/b", "a/b"), ("/home/user", "."), ("/home/user/", "."), ("/home/user/a", "a"), ("~", "."), ("~/a", "a"),
        ("/home/user/../user/a", "a"), ("/home/user/../other", "/home/user/../other"), ("/home/users", "/home/users"),
        ("//home/user/a", "a"), ("/etc", "/etc"),
    ],
)  # fmt: skip
def test_the_home_directory_is_the_workspace(path: str, inward: str) -> None:
    assert paths.inward(path) == inward


def test_what_is_printed_in_a_row_is_one_line_of_the_answer() -> None:
    events: list[m.AnyEvent] = [
        m.Output("stdout", "a"),
        m.Output("stdout", "\n"),
        m.Output("stderr", "b"),
        m.ResultShown({}),
        m.Output("stdout", "c"),
    ]
    assert list(results.together(events)) == [
        m.Output("stdout", "a\n"), m.Output("stderr", "b"), m.ResultShown({}), m.Output("stdout", "c"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("internet", "allow", "deny", "kind", "policy"),
    [
        (None, (), (), "none", ((), ())), (False, (), (), "none", ((), ())), (True, (), (), "policy", (("*",), ())),
        (None, (), ("0.0.0.0/0",), "none", ((), ())), (True, (), ("0.0.0.0/0",), "none", ((), ())),
        (None, ("a",), ("0.0.0.0/0",), "policy", (("a",), ())), (False, ("a",), (), "policy", (("a",), ())),
        (None, ("a",), (), "policy", (("a",), ())), (None, (), ("b",), "policy", (("*",), ("b",))),
        (True, (), ("b", "::/0"), "none", ((), ())), (True, ("a",), (), "policy", (("*",), ())),
    ],
)  # fmt: skip
def test_networks_are_policies(internet: bool | None, allow: Any, deny: Any, kind: str, policy: Any) -> None:
    found, spec = network.wanted(internet, network.Network(allowOut=allow, denyOut=deny))
    assert (found, (spec.allow, spec.deny)) == (kind, policy)


def test_every_chart_is_one_of_theirs() -> None:
    from e2b_code_interpreter.charts import _deserialize_chart

    for kind in ("line", "scatter", "bar", "histogram", "pie", "box", "violin", "heatmap", "mixed"):
        bare: list[dict[str, Any]] = [{"type": kind}, {"type": kind, "title": "t", "series": [{"name": None}]}]
        for chart in bare:
            assert _deserialize_chart(charts.translated(chart)) is not None
    histogram = {"type": "histogram", "series": [{"edges": [0.0, 1.0, 2.0], "counts": [3, 4]}]}
    assert [(one.label, one.value) for one in _deserialize_chart(charts.translated(histogram)).elements] == [
        ("0 to 1", 3), ("1 to 2", 4),
    ]  # fmt: skip
