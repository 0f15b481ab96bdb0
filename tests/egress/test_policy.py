"""Policies that are changed while code runs, learned, and limits."""

from __future__ import annotations

import asyncio

import pytest
from tests.egress.conftest import INSIDE, PUBLIC, Internet, Open, Server, TlsServer, value

from sandbox import NetworkPolicy, Secret, UsageError
from sandbox.engine.egress.meter import Meter

pytestmark = pytest.mark.needs_namespaces


async def test_a_change_holds_at_once_and_cuts_what_it_forbids(open_box: Open, internet: Internet, web: Server) -> None:
    internet.place(PUBLIC, 2222, web.address)
    internet.name("other.example.com", [PUBLIC])
    box = await open_box("tcp://api.example.com:2222", "tcp://other.example.com:2222")
    await box.run(
        """
def tunnel(host):
    s = socket.create_connection(("127.0.0.1", 3128), 30)
    s.sendall(f"CONNECT {host}:2222 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
    assert b" 200 " in s.recv(1000)
    return s
def works(s):
    try:
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        answer = s.recv(1000)
        while answer and b'"body"' not in answer:
            answer += s.recv(1000)
        return answer[:15]
    except OSError:
        return b""
one, two = tunnel("api.example.com"), tunnel("other.example.com")
"""
    )
    assert await value(box, "[works(one), works(two)]") == ["HTTP/1.1 200 OK"] * 2
    await box.network.set(NetworkPolicy(["tcp://other.example.com:2222"]))
    assert await value(box, "[works(one), works(two)]") == ["", "HTTP/1.1 200 OK"]
    await box.network.set("none")
    assert await value(box, "works(two)") == ""
    assert (await value(box, "get('http://api.example.com/')"))[0] == 403


async def test_a_sandbox_without_a_network_can_be_given_one(open_box: Open, web: Server) -> None:
    box = await open_box(network="none")
    assert (await box.run("socket.create_connection(('127.0.0.1', 3128))", check=False)).exception is not None
    await box.network.set(NetworkPolicy(["api.example.com"]))
    assert await box.network.get() == NetworkPolicy(["api.example.com"])
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    code = "import urllib.request as u; print(u.urlopen('http://api.example.com/command').status)"
    assert (await box.command.run("python3", ["-c", code])).stdout == "200\n"


async def test_the_hosts_network_is_not_given_later(open_box: Open) -> None:
    box = await open_box()
    with pytest.raises(UsageError, match="when the sandbox is made"):
        await box.network.set("host")


async def test_a_change_survives_a_crash_and_a_restart_of_the_session(open_box: Open, web: Server) -> None:
    box = await open_box(network="none", persist=True)
    await box.network.set(NetworkPolicy(["api.example.com"]))
    await box.run("os.kill(os.getpid(), 9)", check=False)
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    await box.stop()
    await box.start()
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    assert await box.network.get() == NetworkPolicy(["api.example.com"])
    (fork,) = await box.fork()
    try:
        assert (await value(fork, "get('http://api.example.com/')"))[0] == 200
        assert (await value(fork, "get('http://other.example.com/')"))[0] == 403
    finally:
        await fork.delete()


async def test_what_is_closed_stays_closed_for_a_sandbox_with_secrets(open_box: Open, tls: TlsServer) -> None:
    secrets = {"KEY": Secret("sk-live-0123456789", ["api.example.com"])}
    box = await open_box("api.example.com", "other.example.com", secrets=secrets, persist=True)
    for closed in ("none", NetworkPolicy(["other.example.com"])):
        await box.network.set(closed)
        assert (await value(box, "get('https://api.example.com/')"))[0] != 200
        await box.stop()
        await box.start()
        assert await box.network.get() == closed
        assert (await value(box, "get('https://api.example.com/')"))[0] != 200
        (fork,) = await box.fork()
        try:
            assert await fork.network.get() == closed
            assert (await value(fork, "get('https://api.example.com/')"))[0] != 200
        finally:
            await fork.delete()
    assert tls.seen == []


async def test_a_secret_works_again_when_its_host_is_allowed_again(open_box: Open, tls: TlsServer) -> None:
    policy = NetworkPolicy(["api.example.com"])
    box = await open_box(network=policy, secrets={"KEY": Secret("sk-live-0123456789", ["api.example.com"])})
    await box.network.set("none")
    await box.stop()
    await box.start()
    await box.run(INSIDE)
    assert (await value(box, "os.environ['KEY']")).startswith("sandbox-secret-KEY-")
    await box.network.set(policy)
    assert (await value(box, "get('https://api.example.com/', Authorization=os.environ['KEY'])"))[0] == 200
    assert dict(tls.seen[0][2])["Authorization"] == "sk-live-0123456789"


async def test_learning_lets_public_hosts_be_reached_and_proposes_a_policy(
    open_box: Open, internet: Internet, tls: TlsServer, web: Server, metadata: Server
) -> None:
    internet.name("inner.example.com", ["10.0.0.5"])
    box = await open_box(network="learn")
    hosts = ("http://api.example.com/", "https://api.example.com/", "http://inner.example.com/", "http://127.0.0.1:81/")
    await box.run(f"[get(url) for url in {hosts!r}]; os.environ['NO_PROXY'] = ''")
    proposed = await box.network.proposal()
    assert proposed == NetworkPolicy(["api.example.com:80", "api.example.com:443"])
    await box.network.set(proposed)
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    assert (await value(box, "get('http://other.example.com/')"))[0] == 403
    assert metadata.seen == []


async def test_what_was_not_found_is_proposed_too(open_box: Open) -> None:
    box = await open_box(network="learn")
    await box.run("get('https://evil.example/')")
    assert await box.network.proposal() == NetworkPolicy(["evil.example:443"])


async def test_what_was_refused_is_proposed_too(open_box: Open) -> None:
    box = await open_box("api.example.com")
    await box.run("get('https://wanted.example.com:8443/')")
    assert await box.network.proposal() == NetworkPolicy(["wanted.example.com:8443"])


# --- limits ---------------------------------------------------------------------------------------------------------


async def test_no_more_is_transferred_than_the_policy_says(open_box: Open, web: Server) -> None:
    web.answer = lambda request, body: b"x" * 300_000
    box = await open_box(network=NetworkPolicy(["api.example.com"], transfer=0.5))
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200
    code = "len(say(b'GET http://api.example.com/ HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n'))"
    assert await value(box, code) < 300_000
    status, body = await value(box, "get('http://api.example.com/')")
    assert (status, "used up" in body) == (403, True)
    assert await box.network.transferred() < 700_000
    await box.network.set(NetworkPolicy(["api.example.com"]))
    assert (await value(box, "get('http://api.example.com/')"))[0] == 200


async def test_a_rate_is_kept_to(open_box: Open, web: Server) -> None:
    web.answer = lambda request, body: b"x" * 1_000_000
    box = await open_box(network=NetworkPolicy(["api.example.com"], rate=2))
    execution = await box.run("get('http://api.example.com/')[0]")
    assert execution.execution_time > 0.2
    await box.network.set(NetworkPolicy(["api.example.com"]))
    assert (await box.run("get('http://api.example.com/')[0]")).text == "200"


async def test_a_higher_rate_holds_at_once_also_for_what_waits_under_the_old_one() -> None:
    meter = Meter()
    meter.limit(None, 1.0)
    waiting = asyncio.create_task(meter.take(1_000_000))
    await asyncio.sleep(0)
    meter.limit(None, 1e12)
    async with asyncio.timeout(20):  # and not the eleven days that it was to take
        await waiting
        await meter.take(1_000_000)
