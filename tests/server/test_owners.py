"""What one owner has is not there for another: not seen, not guessed, not used, not deleted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.serving import Serving

from sandbox import RemoteSandbox, SandboxClosedError, SandboxError
from sandbox.protocol import messages as m

from .conftest import Http


@pytest.fixture
async def theirs(serving: Serving, http: Http) -> AsyncIterator[Http]:
    """Another owner, who has a sandbox `box` with a secret, beside the first one's."""
    yield http
    await http("DELETE", "/v1/sandboxes/box")


async def _secret(http: Http) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    code = "secret = 'theirs'; import os; os.mkdir('artifacts'); open('artifacts/a', 'w').write('theirs')"
    assert (await http("POST", "/v1/sandboxes/box/executions", {"code": code}))[1][-1]["status"] == "ok"


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "", None), ("DELETE", "", None), ("POST", "/start", {}), ("POST", "/stop", {}),
    ("POST", "/executions", {"code": "secret"}), ("GET", "/executions", None), ("GET", "/executions/1/events", None),
    ("POST", "/interrupt", {}), ("POST", "/commands", {"argv": ["ls"]}), ("GET", "/files/artifacts/a", None),
    ("PUT", "/files/mine", None), ("GET", "/list", None), ("GET", "/watch", None), ("GET", "/artifacts", None),
    ("GET", "/artifacts/1/a", None), ("DELETE", "/artifacts/1/a", None), ("GET", "/checkpoints", None),
    ("POST", "/rollback", {"execution": 0}), ("POST", "/fork", {"ids": ["mine"]}), ("GET", "/variables", None),
    ("GET", "/apps", None), ("POST", "/apps", {"app_type": "http", "port": 0, "code": ""}), ("GET", "/apps/one", None),
    ("POST", "/apps/one/restart", {}), ("POST", "/apps/one/screenshot", {}), ("DELETE", "/apps/one", None),
    ("GET", "/diff?old=0&new=1", None), ("GET", "/export", None), ("GET", "/metrics", None), ("GET", "/stats", None),
]  # fmt: skip


async def test_every_request_answers_as_if_there_were_none(serving: Serving, theirs: Http, clients: Any) -> None:
    await _secret(theirs)
    mine: Http = clients(serving.url, serving.key())
    same = {"X-Request-Id": "same"}  # else each error has another
    for method, path, body in REQUESTS:
        status, answer = await mine(method, f"/v1/sandboxes/box{path}", body, headers=same)
        missing_status, missing = await mine(method, f"/v1/sandboxes/bax{path}", body, headers=same)
        assert status == missing_status, (path, answer)
        assert status in {404, 409}, (path, answer)
        assert _same(answer, missing), (path, answer, missing)
    assert (await mine("GET", "/v1/sandboxes"))[1] == {"sandboxes": []}
    _, events = await theirs("POST", "/v1/sandboxes/box/executions", {"code": "secret, __import__('os').listdir()"})
    assert events[1]["data"]["text/plain"] == "('theirs', ['artifacts'])"


def _same(answer: Any, missing: Any) -> bool:
    return re.sub(r"\bbox\b", "bax", str(answer)) == str(missing)


async def test_both_may_use_the_same_id(serving: Serving, theirs: Http) -> None:
    await _secret(theirs)
    async with RemoteSandbox(serving.url, serving.key(), session_id="box") as mine:
        assert mine.session_id == "box"
        assert (await mine.run("'secret' in globals(), __import__('os').listdir()")).text == "(False, [])"
        await mine.delete()
    _, events = await theirs("POST", "/v1/sandboxes/box/executions", {"code": "secret"})
    assert events[1]["data"]["text/plain"] == "'theirs'"


async def test_two_keys_of_one_owner_share_their_sandboxes(serving: Serving) -> None:
    first, second = serving.key(owner="team-a"), serving.key(owner="team-a")
    box = await RemoteSandbox(serving.url, first, session_id="shared")
    await box.run("x = 1")
    again = await RemoteSandbox(serving.url, second, session_id="shared")
    assert (await again.run("x")).text == "1"
    await again.delete()
    with pytest.raises(SandboxClosedError):
        await box.run("x")


async def test_an_owner_in_a_message_is_not_believed(serving: Serving, theirs: Http) -> None:
    await _secret(theirs)
    owners = {one["owner"] for one in serving.cli("keys", "list", "--json")["keys"]}
    mine = RemoteSandbox(serving.url, serving.key())
    for owner in (*owners, "local"):
        opening = m.OpenSession(m.SessionOptions(), "box", owner=owner)
        await mine._connection.ask(opening, m.SessionOpened)
        mine._connection.session = "box"
        last = await mine._connection.ask(m.ListFiles("box"), m.FilesListed)
        assert last.entries == ()
        await mine._connection.ask(m.DeleteSession("box"), m.Done)
    _, events = await theirs("POST", "/v1/sandboxes/box/executions", {"code": "secret"})
    assert events[1]["data"]["text/plain"] == "'theirs'"


async def test_the_engines_own_id_of_anothers_sandbox_is_no_way_to_it(serving: Serving, theirs: Http) -> None:
    await _secret(theirs)
    owners = {one["owner"] for one in serving.cli("keys", "list", "--json")["keys"]}
    for owner in owners:
        mine = RemoteSandbox(serving.url, serving.key(), session_id=f"{owner}.box")
        await mine.start()
        assert (await mine.run("'secret' in globals()")).text == "False"
        await mine.delete()


async def test_an_answer_cannot_be_taken_by_the_name_of_anothers_request(serving: Serving, theirs: Http) -> None:
    await _secret(theirs)
    headers = {"Idempotency-Key": "known-to-both-of-them"}
    path = "/v1/sandboxes/box/executions"
    _, events = await theirs("POST", path, {"code": "secret"}, headers=headers)
    assert events[1]["data"]["text/plain"] == "'theirs'"
    mine = RemoteSandbox(serving.url, serving.key(), session_id="box")
    await mine.start()
    with pytest.raises(SandboxError, match="NameError"):
        await mine.run("secret")
    await mine.delete()
