"""What sandboxes of a server may reach, and secrets that a server is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.egress.conftest import TlsServer
from tests.serving import Serving

from sandbox import NetworkPolicy, RemoteSandbox, SandboxAccessError, Secret, UsageError
from sandbox.engine.egress.authority import _pem
from sandbox.protocol.messages import PolicySpec, SecretSpec, SessionOptions
from sandbox.server import policy

from .conftest import Http

pytestmark = pytest.mark.needs_namespaces

VALUE = "a-value-that-nobody-writes-down"
ASK = """
import os, urllib.request, urllib.error
os.environ["NO_PROXY"] = os.environ["no_proxy"] = ""
def ask(url):
    request = urllib.request.Request(url, headers={"Authorization": os.environ.get("KEY", "")})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return str(error)
"""


async def test_a_scope_is_needed_to_reach_hosts(serving: Serving) -> None:
    plain, network = serving.key("sandboxes"), serving.key("sandboxes", "network")
    public, private = NetworkPolicy(["api.example.com"]), NetworkPolicy(["10.0.0.0/8:80"])
    for wanted in (public, "learn"):
        with pytest.raises(SandboxAccessError, match="scope 'network'"):
            await RemoteSandbox(serving.url, plain, network=wanted).start()
    with pytest.raises(SandboxAccessError, match="scope 'host'"):
        await RemoteSandbox(serving.url, network, network=private).start()
    box = await RemoteSandbox(serving.url, plain)
    with pytest.raises(SandboxAccessError, match="scope 'network'"):
        await box.network.set(public)
    await box.network.set("none")
    await box.delete()
    box = await RemoteSandbox(serving.url, network, network=public)
    with pytest.raises(SandboxAccessError, match="scope 'host'"):
        await box.network.set(private)
    assert await box.network.get() == public
    await box.delete()


async def test_a_change_is_there_after_a_restart_of_the_server(own: Serving, clients: Any) -> None:
    own.start()
    box = await RemoteSandbox(own.url, own.key("sandboxes", "network"), network=NetworkPolicy(["a.example"]))
    await box.run(ASK)
    assert "'b.example:80'" in str((await box.run("ask('http://b.example/')")).text)
    await box.network.set(NetworkPolicy(["c.example"]))
    own.kill()
    own.start()
    assert "'a.example:80'" in str((await box.run("ask('http://a.example/')")).text)
    assert await box.network.get() == NetworkPolicy(["c.example"])
    (entry,) = await box.network.log()
    assert (entry.host, entry.allowed, entry.rule) == ("a.example", False, "a.example:80")


async def test_a_policy_is_given_and_looked_at_over_http(serving: Serving, clients: Any) -> None:
    http: Http = clients(serving.url, serving.key("sandboxes", "network"))
    options = {"network": "policy", "policy": {"allow": ["a.example"]}}
    assert (await http("POST", "/v1/sandboxes", {"id": "net", "options": options}))[0] == 201
    bad = {"network": "policy", "policy": {"allow": ["a.example/path"]}}
    assert (await http("POST", "/v1/sandboxes/net/network", bad))[0] == 400
    assert (await http("POST", "/v1/sandboxes/net/network", {"network": "learn"}))[0] == 200
    status, shown = await http("GET", "/v1/sandboxes/net/network")
    assert (status, shown["network"], shown["records"]) == (200, "learn", [])
    await http("DELETE", "/v1/sandboxes/net")


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[TlsServer]:
    """https://localhost, which the server under test believes."""
    server = TlsServer("localhost")
    (tmp_path / "believed.pem").write_text(_pem(server.authority._certificate), encoding="ascii")
    yield server
    server.end()


async def test_a_secret_is_used_and_nowhere_written_down(own: Serving, upstream: TlsServer, tmp_path: Path) -> None:
    own.environment["SSL_CERT_FILE"] = str(tmp_path / "believed.pem")
    own.start()
    port = upstream.server_port
    options: dict[str, Any] = {
        "network": NetworkPolicy([f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"]),
        "secrets": {"KEY": Secret(VALUE, ["localhost"])},
    }
    key = own.key("sandboxes", "host")
    box = await RemoteSandbox(own.url, key, **options)
    await box.run(ASK)
    assert (await box.run(f"ask('https://localhost:{port}/')")).text == "200"
    assert dict(upstream.seen[0][2])["Authorization"] == VALUE
    await box.run("key = os.environ['KEY']")
    await box.checkpoint("with a secret")
    own.kill()
    own.start()
    found = await box.run(f"ask('https://localhost:{port}/')")
    assert "not known since the engine was restarted" in str(found.text)
    again = await RemoteSandbox(own.url, key, session_id=box.session_id, **options)
    assert (await again.run(f"ask('https://localhost:{port}/')")).text == "200"
    assert len(upstream.seen) == 2
    own.terminate()
    files = [path for path in own.home.rglob("*") if path.is_file()]
    assert any(b"localhost" in path.read_bytes() for path in files), "what is known of it is written down elsewhere"
    assert [path for path in files if VALUE.encode() in path.read_bytes()] == []


async def test_what_is_closed_stays_closed_for_a_sandbox_with_secrets(own: Serving) -> None:
    own.start()
    key = own.key("sandboxes", "network")
    secrets = {"KEY": Secret(VALUE, ["api.example.com"])}
    box = await RemoteSandbox(own.url, key, network=NetworkPolicy(["api.example.com"]), secrets=secrets)
    await box.network.set("none")
    await box.stop()
    await box.start()
    assert await box.network.get() == "none"
    own.kill()
    own.start()
    assert await box.network.get() == "none"
    await box.delete()


def test_values_are_filled_in_for_the_same_secret_alone() -> None:
    known = SessionOptions(secrets=(SecretSpec("A", "", ("a.b",)), SecretSpec("B", "kept", ("a.b",))))
    given = (SecretSpec("A", "new", ("a.b",)), SecretSpec("B", "other", ("a.b",)))
    assert [one.value for one in policy.with_values(known, given).secrets] == ["new", "kept"]
    assert policy.with_values(known, (SecretSpec("A", "new", ("evil.b",)),)).secrets[0].value == ""


def test_rules_from_a_client_are_checked_again() -> None:
    with pytest.raises(UsageError, match="has a path"):
        policy.network_of("policy", PolicySpec(("a/b",)))
