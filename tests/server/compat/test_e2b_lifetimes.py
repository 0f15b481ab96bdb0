"""E2B's sandboxes: listing, time to live, pausing, connecting, forking, ending."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from e2b import (
    AsyncSandbox,
    SandboxException,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)
from e2b import (
    Sandbox as Plain,
)
from e2b_code_interpreter import Sandbox
from tests.server.compat.conftest import point_at, until
from tests.serving import Serving


@pytest.fixture
def ended(key: str) -> Iterator[None]:
    """Ends what the test leaves."""
    yield
    pages = Plain.list()
    while pages.has_next:
        for one in pages.next_items():
            Plain.kill(one.sandbox_id)


@pytest.mark.usefixtures("ended")
def test_a_sandbox_tells_what_it_is(key: str) -> None:
    box = Plain.create("any-template", metadata={"user": "a & b", "é": "="}, envs={"GIVEN": "yes"}, timeout=60)
    info = box.get_info()
    assert (info.template_id, info.metadata, info.state) == (
        "any-template", {"user": "a & b", "é": "="}, SandboxState.RUNNING,
    )  # fmt: skip
    assert dt.timedelta(seconds=59) < info.end_at - info.started_at < dt.timedelta(seconds=61)
    assert box.commands.run("echo $GIVEN").stdout == "yes\n"
    (figures,) = box.get_metrics()
    assert figures.mem_total == info.memory_mb << 20
    assert 0 < figures.mem_used < figures.mem_total
    box.set_timeout(1000)
    assert box.get_info().end_at - info.started_at > dt.timedelta(seconds=900)


@pytest.mark.usefixtures("ended")
def test_sandboxes_are_listed_page_by_page_and_by_what_they_are(key: str) -> None:
    boxes = [Plain.create(metadata={"n": str(n), "odd": str(n % 2)}) for n in range(4)]
    boxes[3].pause()
    names = [one.sandbox_id for one in boxes]

    def listed(**query: Any) -> list[str]:
        found, pages = [], Plain.list(query=SandboxQuery(**query), limit=1)
        while pages.has_next:
            page = pages.next_items()
            assert len(page) <= 1
            found += [one.sandbox_id for one in page]
        return found

    assert listed() == names[::-1]
    assert listed(metadata={"odd": "1"}) == [names[3], names[1]]
    assert listed(metadata={"odd": "1"}, state=[SandboxState.RUNNING]) == [names[1]]
    assert listed(state=[SandboxState.PAUSED]) == [names[3]]
    assert listed(template="another") == []
    assert [one.sandbox_id for one in Plain.list(order="asc").next_items()] == names


@pytest.mark.usefixtures("ended")
def test_a_pause_keeps_variables_and_files(key: str) -> None:
    box = Sandbox.create()
    box.run_code("x = 1; open('f', 'w').write('kept')")
    assert box.pause()
    assert not box.pause()
    assert not box.is_running()
    assert box.get_info().state is SandboxState.PAUSED
    with pytest.raises(TimeoutException, match="was not found"):
        box.run_code("x")
    with pytest.raises(TimeoutException):
        box.files.read("f")
    with pytest.raises(TimeoutException):
        box.commands.run("true")
    again = Sandbox.connect(box.sandbox_id, timeout=100)
    assert again.run_code("x").text == "1"
    assert box.files.read("f") == "kept"


@pytest.mark.usefixtures("ended")
def test_a_sandbox_is_gone_when_its_time_is_over(key: str) -> None:
    box = Sandbox.create(timeout=2)
    ended = box.run_code("print('on', flush=True)\nwhile True: pass")
    assert ended.error is not None
    until(lambda: not box.is_running())
    with pytest.raises(SandboxNotFoundException):
        box.get_info()
    with pytest.raises(SandboxNotFoundException):
        Sandbox.connect(box.sandbox_id)
    assert not box.kill()


@pytest.mark.usefixtures("ended")
def test_a_sandbox_that_pauses_in_the_end_comes_back_by_itself_if_that_is_wanted(key: str) -> None:
    stays = Sandbox.create(timeout=1, lifecycle={"on_timeout": "pause"})
    wakes = Sandbox.create(timeout=1, lifecycle={"on_timeout": "pause", "auto_resume": True})
    wakes.run_code("x = 'awake'")
    until(lambda: {one.get_info().state for one in (stays, wakes)} == {SandboxState.PAUSED})
    assert wakes.get_info().lifecycle == {"on_timeout": "pause", "auto_resume": True}
    assert wakes.run_code("x").text == "awake"
    assert not stays.is_running()
    assert stays.connect().is_running()


@pytest.mark.usefixtures("ended")
def test_time_is_given_anew_and_taken_back(key: str) -> None:
    box = Sandbox.create(timeout=3000)
    Sandbox.connect(box.sandbox_id, timeout=1)
    assert box.get_info().end_at - box.get_info().started_at > dt.timedelta(seconds=2900)
    box.set_timeout(0)
    until(lambda: not box.is_running())


@pytest.mark.usefixtures("ended")
def test_forks_go_on_from_where_a_sandbox_is(key: str) -> None:
    box = Sandbox.create(metadata={"of": "fork"})
    box.run_code("x = 1")
    forks = box.fork(count=2)
    assert not any(isinstance(one, Exception) for one in forks)
    for number, one in enumerate(forks):
        assert one.run_code(f"x += {number}; x").text == str(1 + number)
    assert box.run_code("x").text == "1"
    assert len(Plain.list(query=SandboxQuery(metadata={"of": "fork"})).next_items()) == 3


@pytest.mark.usefixtures("ended")
def test_what_has_no_counterpart_is_a_clear_error(key: str) -> None:
    from e2b import Template, Volume

    box = Plain.create()
    attempts: list[Callable[[], object]] = [
        box.create_snapshot,
        partial(Volume.create, "v"),
        Volume.list,
        lambda: Template.build(Template().from_base_image(), "t"),
        lambda: Plain.create(network={"allow_out": ["a.example"], "deny_out": ["b.example"]}),
        lambda: box.update_network({"dns_servers": ["192.0.2.1"]}),
        lambda: Plain.create(mcp={"time": {}}),
        lambda: box.pause(mode="filesystem"),
    ]
    for attempt in attempts:
        with pytest.raises(Exception, match=r"docs/compatibility\.md"):
            attempt()
    assert box.is_running()


_TRY = """
import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://{}/", timeout=10)
except urllib.error.URLError as error:
    found = str(error)
found
"""


@pytest.mark.needs_namespaces
@pytest.mark.usefixtures("ended")
def test_hosts_are_reached_as_far_as_the_key_and_the_policy_allow(key: str, serving: Serving) -> None:
    with pytest.raises(SandboxException, match="scope 'network'"):
        Sandbox.create(allow_internet_access=True)
    allowed = serving.key("sandboxes", "network")
    hosts: Any = {"allow_out": ["nothing.invalid"], "deny_out": ["0.0.0.0/0"]}
    box = Sandbox.create(network=hosts, api_key=allowed)
    try:
        assert box.get_info().allow_internet_access
        assert "403" in box.run_code(_TRY.format("elsewhere.invalid")).text
        assert "403" not in box.run_code(_TRY.format("nothing.invalid")).text
        box.update_network({"allow_internet_access": False})
        assert "403" in box.run_code(_TRY.format("nothing.invalid")).text
    finally:
        assert box.kill()
    off = Sandbox.create()
    assert not off.get_info().allow_internet_access


def test_sandboxes_outlive_the_server_and_end_on_time_after_it(own: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    own.start()
    point_at(own, own.first_key, monkeypatch.setenv)
    box, short = Sandbox.create(metadata={"a": "b"}), Sandbox.create(timeout=1)
    box.run_code("x = 'still'")
    context = box.create_code_context()
    box.run_code("x = 'own'", context=context)
    url = box.download_url("f")
    box.files.write("f", "x")
    own.kill()
    own.start()
    assert box.run_code("x").text == "still"
    assert box.run_code("x", context=context).text == "own"
    assert box.get_info().metadata == {"a": "b"}
    assert box.download_url("f") == url
    until(lambda: not short.is_running())
    assert [one.sandbox_id for one in Plain.list().next_items()] == [box.sandbox_id]
    assert "timeout" in {one["key"] for one in own.audit if one["session"] == short.sandbox_id}


async def test_the_asynchronous_client_lists_pauses_and_connects(key: str) -> None:
    box = await AsyncSandbox.create(metadata={"kind": "async"})
    try:
        assert await box.pause()
        (found,) = await AsyncSandbox.list(query=SandboxQuery(metadata={"kind": "async"})).next_items()
        assert (found.sandbox_id, found.state) == (box.sandbox_id, SandboxState.PAUSED)
        again = await AsyncSandbox.connect(box.sandbox_id)
        assert (await again.commands.run("echo up")).stdout == "up\n"
        assert await again.is_running()
    finally:
        assert await box.kill()
    with pytest.raises(SandboxException):
        await box.get_info()
