"""Rules, and policies that change while code runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.egress.conftest import PUBLIC, Internet, Open, Server, TlsServer, value

from sandbox import LocalSandbox, NetworkPolicy, SandboxStartError, Secret, UsageError
from sandbox.engine.egress.outside import Outside
from sandbox.engine.thread import EngineThread
from sandbox.network.addresses import not_public
from sandbox.network.hosts import BadHost, parsed_address, parsed_authority, parsed_host
from sandbox.network.rules import HTTP, HTTPS, TCP, Rules, parsed_rule, rule_for

# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        ("example.org", ["example.org:443", "EXAMPLE.ORG.:80"], ["a.example.org:443", "example.org:8080"]),
        (
            "*.example.org:443",
            ["a.example.org:443", "a.b.example.org:443"],
            ["example.org:443", "evil-example.org:443", "example.org.evil:443", "a.example.org:80", ".example.org:443"],
        ),
        ("example.org:*", ["example.org:1", "example.org:65535"], ["a.example.org:1", "tcp example.org:22"]),
        ("*", ["a:443", "1.2.3.4:80"], ["a:444"]),
        ("tcp://a.b:22", ["tcp a.b:22"], ["a.b:22", "tcp a.b:23"]),
        ("http://a.b", ["http a.b:80"], ["a.b:80", "a.b:443", "http a.b:443"]),
        ("https://a.b:8443", ["a.b:8443"], ["http a.b:8443", "a.b:443"]),
        ("10.1.0.0/16:8080", ["10.1.255.255:8080"], ["10.2.0.0:8080", "10.1.0.1:80", "a.b:8080"]),
        ("[fd00::/8]:443", ["[fd12::1]:443"], ["[fe80::1]:443"]),
        ("2001:db8::1", ["[2001:db8::1]:443"], ["[2001:db8::2]:443"]),
        ("b\u00fccher.example", ["xn--bcher-kva.example:443"], ["bcher.example:443"]),
    ],
)
def test_a_rule_means_what_it_says(rule: str, allowed: list[str], refused: list[str]) -> None:
    rules = Rules([rule])
    for text, wanted in [*((one, True) for one in allowed), *((one, False) for one in refused)]:
        kind, _, authority = text.rpartition(" ")
        try:
            found = rules.verdict(kind or HTTPS, *parsed_authority(authority)).allowed
        except BadHost:
            found = False
        assert found is wanted, text


@pytest.mark.parametrize(
    "rule",
    [
        "", " ", "example.org/path", "http://example.org/path", "ftp://example.org", "a*.org", "*a.org", "*.*.org",
        "example.org:0", "example.org:65536", "example.org:x", "example.org:80:80", "user@example.org", "0x7f.1",
        "2130706433", "10.0.0.1/8", "10.0.0.0/33", "tcp://example.org", "fa\u00df.example", "a b", "[::1",
        "::ffff:0:0/96",
        "example.org?x", "-a.org", "a..b", "*.", "a" * 64 + ".org",
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(rule: str) -> None:
    with pytest.raises(UsageError, match=r"NetworkPolicy"):
        NetworkPolicy([rule])


def test_what_is_denied_goes_first() -> None:
    rules = Rules(["*.example.org", "*"], ["bad.example.org", "93.184.0.0/16:80"])
    assert not rules.verdict(HTTPS, "bad.example.org", 443).allowed
    assert not rules.verdict(TCP, "bad.example.org", 22).allowed
    assert rules.verdict(HTTPS, "good.example.org", 443).allowed
    assert rules.denies(parsed_address("93.184.216.34"), 80)
    assert rules.denies(parsed_address("64:ff9b::5db8:d822"), 80)
    assert not rules.denies(parsed_address("93.184.216.34"), 443)


def test_a_network_with_public_addresses_names_no_private_one() -> None:
    assert not Rules(["0.0.0.0/0", "::/0"]).names(parsed_address("127.0.0.1"), 80)
    assert Rules(["127.0.0.0/8"]).names(parsed_address("127.0.0.1"), 80)
    assert Rules(["[::1]:80"]).names(parsed_address("::1"), 80)
    assert Rules(["10.0.0.0/8"]).names(parsed_address("::ffff:10.0.0.1"), 80)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00::1", "64:ff9b::101:101"])
def test_a_public_address_is_public(address: str) -> None:
    assert not not_public(parsed_address(address))


def test_policies_are_put_together() -> None:
    both = NetworkPolicy(["a.example"], rate=2, transfer=5) | NetworkPolicy(["b.example"], ["c.example"], transfer=3)
    assert both == NetworkPolicy(["a.example", "b.example"], ["c.example"], transfer=3, rate=2)
    assert Rules(NetworkPolicy.pypi().allow + NetworkPolicy.npm().allow).allow


@given(st.text(max_size=300))
def test_no_text_is_read_as_a_host_and_raises_anything_else(text: str) -> None:
    for read in (parsed_host, parsed_rule, parsed_authority):
        try:
            found = read(text)
        except BadHost:
            continue
        assert found


@given(
    st.from_regex(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?\.){0,3}[a-z_]{1,9}", fullmatch=True),
    st.integers(1, 65535),
)
def test_the_rule_that_is_proposed_allows_what_was_asked_for(name: str, port: int) -> None:
    host = parsed_host(name.removeprefix("*."))
    assert Rules([rule_for(host, port)]).verdict(HTTP, host, port).allowed
    assert Rules([rule_for(host, port, TCP)]).verdict(TCP, host, port).allowed


@given(st.ip_addresses())
def test_an_address_is_read_as_it_is_written(address: object) -> None:
    text = str(address)
    assert parsed_host(f"[{text}]" if ":" in text else text) == parsed_address(text)


def test_an_address_of_the_host_itself_is_known() -> None:
    assert Outside().is_own(parsed_address("127.0.0.1"))
    assert not Outside().is_own(parsed_address(PUBLIC))


# --- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": NetworkPolicy}, "nor a NetworkPolicy"),
        ({"network": "policy"}, "not one of 'none', 'learn', 'host'"),
        ({"secrets": {"A": "text"}}, "is not a Secret"),
        ({"secrets": {"A": Secret("0123456789", ["a.b"])}}, "needs a network"),
        ({"network": NetworkPolicy(["c.d"]), "secrets": {"A": Secret("0123456789", ["a.b"])}}, "does not allow"),
        (
            {"network": NetworkPolicy(["a.b"]), "secrets": {"A B": Secret("0123456789", ["a.b"])}},
            "not the name of an env",
        ),
        (
            {"network": NetworkPolicy(["a.b"]), "env": {"A": ""}, "secrets": {"A": Secret("0123456789", ["a.b"])}},
            "in env and in secrets",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LocalSandbox(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["short", "", "with\nline-break", "b\u00fccher-und-mehr", " blank-before", 12345678])
def test_a_value_that_cannot_be_a_secret_is_refused_without_being_shown(value: object) -> None:
    with pytest.raises(UsageError) as caught:
        Secret(value, ["a.b"])  # type: ignore[arg-type]
    assert value == "" or str(value) not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"isolation": "landlock"}, {"isolation": "none"}, {"without": ("network_namespace",)}]
)
async def test_a_policy_that_could_be_got_round_is_refused(
    engine: EngineThread, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.sdk.local._warned", True)
    with pytest.raises(SandboxStartError, match="network namespace"):
        await LocalSandbox(network=NetworkPolicy(["a.b"]), **options).start()  # type: ignore[arg-type]


# --- changes --------------------------------------------------------------------------------------------------------

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
