"""Rules: `api.example.com`, `*.example.org:443`, `tcp://db.example.com:5432`, `10.1.0.0/16:8080`.

A rule without a scheme is for HTTPS and plain HTTP, and without a port for 443 and 80. `tcp://` is for anything else:
what goes through is then not looked at. An address or a network stands for itself, and lets names resolve to it where
it is private; see `Rules.names`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from sandbox.network.addresses import is_never_public
from sandbox.network.hosts import STANDS_FOR_V4, Address, BadHost, Host, name_of_rule, parsed_port, plain, shown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HTTP, HTTPS, TCP = "http", "https", "tcp"
_PORTS = {HTTP: {80}, HTTPS: {443}, "": {80, 443}}
_KINDS = {HTTP: {HTTP}, HTTPS: {HTTPS}, TCP: {TCP}, "": {HTTP, HTTPS}}


class Rule(NamedTuple):
    """`name` is exact, ends others if it begins with a dot, and is any if it is empty; or there is a `network`.

    `ports` None is any.
    """

    text: str
    kinds: frozenset[str]
    name: str
    network: Network | None
    ports: frozenset[int] | None

    def matches(self, kind: str, host: Host, port: int) -> bool:
        """Whether a host is meant, by what kind of traffic, at a port."""
        return kind in self.kinds and self.has_port(port) and self._has(host)

    def has_port(self, port: int) -> bool:
        """Whether a port is meant."""
        return self.ports is None or port in self.ports

    def _has(self, host: Host) -> bool:
        if self.network is not None:
            return not isinstance(host, str) and self.has_address(host)
        if isinstance(host, str) and self.name:
            return host == self.name or (self.name[0] == "." and host.endswith(self.name))
        return not self.name

    def has_address(self, address: Address) -> bool:
        """Whether the rule is about a network that has this address."""
        return self.network is not None and plain(address) in self.network


def parsed_rule(text: str, *, denies: bool = False) -> Rule:
    """Read a rule; one that denies is about every port and kind unless it names one. Raises BadHost."""
    scheme, separator, rest = text.strip().rpartition("://")
    if separator and scheme not in {HTTP, HTTPS, TCP}:
        raise BadHost(f"{text!r} begins with {scheme}://, and a rule can begin with https://, http:// or tcp://")
    host, port = _split(rest, text)
    if scheme == TCP and not port:
        raise BadHost(f"{text!r} needs a port, as in tcp://db.example.com:5432")
    kinds = {HTTP, HTTPS, TCP} if denies and not scheme else _KINDS[scheme]
    name, network = _meant(host, text)
    return Rule(text.strip(), frozenset(kinds), name, network, _ports(port, scheme, denies=denies))


def _ports(port: str, scheme: str, *, denies: bool) -> frozenset[int] | None:
    if port == "*" or (denies and not port):
        return None
    return frozenset({parsed_port(port)} if port else _PORTS[scheme])


def _split(rest: str, text: str) -> tuple[str, str]:
    """Split `host:port`, `host/24:port` and `[v6/64]:port`."""
    if rest.startswith("["):
        inner, closing, port = rest[1:].rpartition("]")
        if not closing or (port and not port.startswith(":")):
            raise BadHost(f"{text!r}: write an IPv6 address as [2001:db8::1], or [2001:db8::1]:443")
        return inner, port[1:]
    if rest.count(":") > 1:
        return rest, ""
    host, _, port = rest.partition(":")
    if "/" in port or "?" in rest or "@" in rest:
        raise BadHost(f"{text!r} has more than a host and a port: a rule is about no path and no user")
    return host, port


def _meant(host: str, text: str) -> tuple[str, Network | None]:
    """The name that a rule is about, or its network."""
    if host == "*":
        return "", None
    if host.startswith("*."):
        return f".{name_of_rule(host[2:])}", None
    address, slash, prefix = host.partition("/")
    if slash and not prefix.isdecimal():
        raise BadHost(f"{text!r} has a path: a rule is a host, an address or a network, and perhaps a port")
    try:
        return "", _network(host)
    except ValueError as error:
        if slash or isinstance(error, BadHost):
            raise BadHost(f"{text!r} is not a network: {error}") from None
    if "*" in host:
        raise BadHost(f"{text!r}: a * stands for whole parts at the beginning, as in *.example.org")
    return name_of_rule(address), None


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and any(network.subnet_of(one) for one in STANDS_FOR_V4):
        raise BadHost("it has addresses that stand for IPv4: write those, as 10.0.0.0/8")
    return network


class Verdict(NamedTuple):
    """Whether something is allowed, and by which rule, or which rule forbids it."""

    allowed: bool
    rule: str


class Rules:
    """What is allowed and what is denied; what is denied goes first. Raises BadHost."""

    def __init__(self, allow: Iterable[str], deny: Iterable[str] = ()) -> None:
        self.allow = tuple(parsed_rule(text) for text in allow)
        self.deny = tuple(parsed_rule(text, denies=True) for text in deny)

    def verdict(self, kind: str, host: Host, port: int) -> Verdict:
        """Decide about a host as it was asked for."""
        for rule in self.deny:
            if rule.matches(kind, host, port):
                return Verdict(False, rule.text)
        for rule in self.allow:
            if rule.matches(kind, host, port):
                return Verdict(True, rule.text)
        return Verdict(False, "")

    def denies(self, address: Address, port: int) -> str:
        """The rule that denies an address to which a name has resolved, or nothing."""
        found = (rule.text for rule in self.deny if rule.has_port(port) and rule.has_address(address))
        return next(found, "")

    def names(self, address: Address, port: int) -> bool:
        """Whether a rule allows this address by name although it is not public.

        A network that has public addresses too, such as 0.0.0.0/0, names none of the others.
        """
        return any(
            rule.has_port(port) and rule.has_address(address) and is_never_public(rule.network)
            for rule in self.allow
            if rule.network is not None
        )

    def covers(self, pattern: str) -> bool:
        """Whether all that a name or `*.name` stands for is allowed by HTTPS or HTTP at some port."""
        wanted = pattern.removeprefix("*")
        return any(
            rule.kinds & {HTTP, HTTPS}
            and rule.network is None
            and (not rule.name or rule.name == wanted or (rule.name[0] == "." and wanted.endswith(rule.name)))
            for rule in self.allow
        )


def rule_for(host: Host, port: int, kind: str = "") -> str:
    """The rule that would allow this and nothing else."""
    return f"{'tcp://' if kind == TCP else ''}{shown(host)}:{port}"
