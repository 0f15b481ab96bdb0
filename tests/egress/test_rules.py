"""Rules, policies and secrets as users write them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.egress.conftest import PUBLIC

from sandbox import LocalSandbox, NetworkPolicy, SandboxStartError, Secret, UsageError
from sandbox.engine.egress.authority import Authority
from sandbox.engine.egress.outside import Outside
from sandbox.engine.thread import EngineThread
from sandbox.network.addresses import not_public
from sandbox.network.hosts import BadHost, parsed_address, parsed_authority, parsed_host
from sandbox.network.rules import HTTP, HTTPS, TCP, Rules, parsed_rule, rule_for


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


def test_secrets_name_the_extra_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(SandboxStartError, match=r"enhanced-sandbox\[egress\]"):
        Authority(["a.b"])


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


async def test_a_policy_that_could_be_got_round_is_refused_of_a_running_sandbox_too(own_home: Path) -> None:
    engine = EngineThread(parked=0)
    try:
        box = await LocalSandbox(engine=engine, without=("network_namespace",)).start()
        for network in (NetworkPolicy(["a.b"]), "learn"):
            with pytest.raises(UsageError, match="network namespace"):
                await box.network.set(network)
        assert await box.network.get() == "none"
        await box.run("import os; os._exit(1)", check=False)
        assert (await box.run("1")).text == "1"
        await box.delete()
    finally:
        engine.close()
