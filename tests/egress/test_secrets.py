"""Secrets: code uses them, and never sees them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.egress.conftest import Internet, Open, TlsServer, value

from sandbox import LocalSandbox, Secret
from sandbox.engine.thread import EngineThread

pytestmark = pytest.mark.needs_namespaces

VALUE = "sk-live-0123456789abcdef"


@pytest.fixture
async def box(open_box: Open, tls: TlsServer) -> Any:
    return await open_box(
        "api.example.com", "other.example.com", secrets={"API_KEY": Secret(VALUE, hosts=["api.example.com"])}
    )


async def test_the_host_of_a_secret_gets_its_value_and_code_a_placeholder(box: LocalSandbox, tls: TlsServer) -> None:
    placeholder = await value(box, "os.environ['API_KEY']")
    assert VALUE not in placeholder
    status, body = await value(
        box, "get('https://api.example.com/v1', Authorization='Bearer ' + os.environ['API_KEY'])"
    )
    assert status == 200
    assert dict(tls.seen[0][2])["Authorization"] == f"Bearer {VALUE}"
    # The server's answer has its headers: the value is taken out of it again.
    assert VALUE not in body
    assert f"Bearer {placeholder}" in body


async def test_a_password_of_basic_authentication_may_be_a_secret(box: LocalSandbox, tls: TlsServer) -> None:
    code = "'Basic ' + __import__('base64').b64encode(('me:' + os.environ['API_KEY']).encode()).decode()"
    await value(box, f"get('https://api.example.com/', Authorization={code})")
    sent = dict(tls.seen[0][2])["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"me:{VALUE}"


async def test_another_host_gets_the_placeholder(box: LocalSandbox, tls: TlsServer) -> None:
    """TLS with it is not taken apart: code has to believe its own certificate, which it does not, and asks anyway."""
    code = """
import ssl, http.client
context = ssl._create_unverified_context()
request = urllib.request.Request(
    "https://other.example.com/", headers={"Authorization": "Bearer " + os.environ["API_KEY"]})
print(urllib.request.urlopen(request, context=context).status)
"""
    assert (await box.run(code)).stdout == "200\n"
    sent = dict(tls.seen[0][2])["Authorization"]
    assert VALUE not in sent
    assert sent.startswith("Bearer sandbox-secret-API_KEY-")


async def test_a_value_is_put_into_headers_and_not_into_bodies_or_paths(box: LocalSandbox, tls: TlsServer) -> None:
    code = """
request = urllib.request.Request("https://api.example.com/" + os.environ["API_KEY"] + "?q=" + os.environ["API_KEY"],
    data=os.environ["API_KEY"].encode())
print(urllib.request.urlopen(request).status)
"""
    assert (await box.run(code)).stdout == "200\n"
    method, path, _, body = tls.seen[0]
    assert method == "POST"
    assert VALUE not in path + body


async def test_a_value_is_put_into_a_query_if_the_secret_says_so(open_box: Open, tls: TlsServer) -> None:
    secret = Secret("a value/with?signs", hosts=["api.example.com"], query=True)
    box = await open_box("api.example.com", secrets={"KEY": secret})
    await value(box, "get('https://api.example.com/?key=' + os.environ['KEY'])")
    assert tls.seen[0][1] == "/?key=a%20value%2Fwith%3Fsigns"
    assert all("value" not in entry.path for entry in await box.network.log())


@pytest.mark.parametrize("size", [1, 3, 10, 1000])
async def test_an_echo_is_taken_out_however_it_is_cut(
    box: LocalSandbox, tls: TlsServer, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.engine.egress.tls_link.CHUNK", size)
    tls.answer = lambda request, body: f"a {VALUE}{VALUE} b {VALUE[:10]}".encode()
    _, body = await value(box, "get('https://api.example.com/')")
    placeholder = await value(box, "os.environ['API_KEY']")
    assert body == f"a {placeholder}{placeholder} b {VALUE[:10]}"


async def test_an_echo_in_a_header_is_taken_out(box: LocalSandbox, tls: TlsServer) -> None:
    tls.headers = [("X-Echo", f"<{VALUE}>")]
    code = "dict(urllib.request.urlopen('https://api.example.com/').headers)['X-Echo']"
    assert VALUE not in await value(box, code)


async def test_an_echo_of_basic_authentication_is_taken_out(box: LocalSandbox, tls: TlsServer) -> None:
    """What the proxy has sent is the value in another form, and the proxy itself has made it."""
    basic = "'Basic ' + __import__('base64').b64encode(('me:' + os.environ['API_KEY']).encode()).decode()"
    _, body = await value(box, f"get('https://api.example.com/', Authorization={basic})")
    sent = dict(tls.seen[0][2])["Authorization"]
    assert sent not in body
    assert await value(box, basic) in body


async def test_an_echo_of_a_query_is_taken_out(open_box: Open, tls: TlsServer) -> None:
    secret = Secret('a"value&/with+signs', hosts=["api.example.com"], query=True)
    box = await open_box("api.example.com", secrets={"KEY": secret})
    _, body = await value(box, "get('https://api.example.com/?key=' + os.environ['KEY'], X=os.environ['KEY'])")
    placeholder = await value(box, "os.environ['KEY']")
    echoed = json.loads(body)
    assert (echoed["path"], echoed["headers"]["X"]) == (f"/?key={placeholder}", placeholder)


async def test_an_echo_in_the_first_line_or_the_name_of_a_header_is_taken_out(
    box: LocalSandbox, tls: TlsServer
) -> None:
    tls.headers = [(f"X-{VALUE}", "1")]
    tls.reason = f"OK {VALUE}"
    code = "(lambda a: [a.reason, *dict(a.headers)])(urllib.request.urlopen('https://api.example.com/'))"
    said = await value(box, code)
    assert said[0] == "OK " + await value(box, "os.environ['API_KEY']")
    assert VALUE not in str(said)


async def test_a_compressed_answer_to_a_request_with_a_secret_is_refused(box: LocalSandbox, tls: TlsServer) -> None:
    tls.headers = [("Content-Encoding", "gzip")]
    status, body = await value(box, "get('https://api.example.com/', Authorization=os.environ['API_KEY'])")
    assert (status, "compressed" in body) == (502, True)
    assert dict(tls.seen[0][2])["Accept-Encoding"] == "identity"


async def test_parts_of_an_answer_cannot_be_asked_for_with_a_secret(box: LocalSandbox, tls: TlsServer) -> None:
    """Else the first half of an echo could be asked for, and then the other one."""
    await value(box, "get('https://api.example.com/', Authorization=os.environ['API_KEY'], Range='bytes=0-9')")
    assert "Range" not in dict(tls.seen[0][2])


async def test_nothing_of_a_secret_goes_out_in_the_clear(open_box: Open, web: TlsServer, tls: TlsServer) -> None:
    box = await open_box("api.example.com", secrets={"API_KEY": Secret(VALUE, hosts=["api.example.com"])})
    await value(box, "get('http://api.example.com/', Authorization=os.environ['API_KEY'])")
    assert VALUE not in str(web.seen)


@pytest.mark.parametrize("code", ["key", "'Basic ' + __import__('base64').b64encode(b'me:' + key.encode()).decode()"])
async def test_a_placeholder_that_goes_out_in_the_clear_is_told_of(open_box: Open, web: TlsServer, code: str) -> None:
    box = await open_box("api.example.com", secrets={"API_KEY": Secret(VALUE, hosts=["api.example.com"])})
    execution = await box.run(f"key = os.environ['API_KEY']; get('http://api.example.com/', Authorization={code})")
    told = "api.example.com got the placeholder of the secret API_KEY: values go by https alone"
    assert execution.warnings == (f"network: {told}",)
    assert [entry.reason for entry in await box.network.log()] == [told]
    execution = await box.run("urllib.request.urlopen('http://api.example.com/').status; 1 / 0", check=False)
    assert (execution.warnings, execution.cause) == ((), None)


async def test_a_failure_after_a_placeholder_was_sent_is_not_denied(open_box: Open, web: TlsServer) -> None:
    web.status = 401
    box = await open_box("api.example.com", secrets={"API_KEY": Secret(VALUE, hosts=["api.example.com"])})
    request = "urllib.request.Request('http://api.example.com/', headers={'X': os.environ['API_KEY']})"
    execution = await box.run(f"urllib.request.urlopen({request})", check=False)
    assert "401" in str(execution.exception)
    assert (len(execution.warnings), execution.cause) == (1, None)


async def test_the_host_of_a_secret_that_is_not_found_is_in_the_log(box: LocalSandbox, internet: Internet) -> None:
    del internet.names["api.example.com"]
    execution = await box.run("urllib.request.urlopen('https://api.example.com/')", check=False)
    assert execution.cause is None
    assert ["cannot be resolved" in entry.reason for entry in await box.network.log()] == [True]


async def test_a_server_that_the_host_does_not_believe_gets_nothing(
    box: LocalSandbox, tls: TlsServer, internet: Internet
) -> None:
    other = TlsServer("api.example.com")
    try:
        internet.place("93.184.216.34", 443, other.address)
        status, body = await value(box, "get('https://api.example.com/', Authorization=os.environ['API_KEY'])")
        assert (status, "certificate" in body) == (502, True)
        assert other.seen == []
    finally:
        other.end()


async def test_the_certificates_are_good_for_the_hosts_of_secrets_only(
    box: LocalSandbox, tls: TlsServer, engine: EngineThread
) -> None:
    """The session's authority names them; one for another host, made with its key, is not believed."""
    border = engine._engine.sessions._sessions[box.session_id].egress.border
    assert border is not None
    assert border.authority is not None
    tls._contexts = {"other.example.com": border.authority.context("other.example.com")}
    status, body = await value(box, "get('https://other.example.com/')")
    assert (status, "permitted subtree violation" in body) == (0, True)


async def test_a_value_is_in_no_repr_and_not_inside(box: LocalSandbox) -> None:
    assert VALUE not in repr(box.options)
    from sandbox.sdk.convert import session_options

    assert VALUE not in repr(session_options(box.options))
    found = await box.run("open('/proc/self/environ').read() + str(dict(os.environ))")
    assert VALUE not in str(found.text)
