"""Hosts as clients and rules write them, brought to one form each, so that no two spellings are told apart by chance.

What has more than one reading is refused and never guessed: numbers that some resolvers take for addresses
(`0x7f.1`, `2130706433`), percent signs, user names, zones of IPv6.
"""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Host = str | ipaddress.IPv4Address | ipaddress.IPv6Address
"""A name in lower case without a dot at its end, or an address."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What a resolver would take for a number, and the whole then for an address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_MOST_NAME = 253
STANDS_FOR_V4 = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
"""Mapped addresses, and those by which a NAT64 reaches IPv4: the last 32 bits are the address."""
# IDNA 2003, which the standard library has, makes other names of these than browsers do.
_DIFFERENT_IDNA = frozenset("\u00df\u03c2\u200c\u200d")


class BadHost(ValueError):
    """Not a host, or one that could be read in more than one way."""


def parsed_host(text: str) -> Host:
    """Read a host as it stands in a request. Raises BadHost."""
    if not text.isascii():
        raise BadHost(f"{text!r} has letters beyond ASCII: write it in punycode, as in xn--bcher-kva.example")
    if text.startswith("["):
        return parsed_address(text.removeprefix("[").removesuffix("]")) if text.endswith("]") else _bad(text)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _MOST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        return _bad(text)
    return parsed_address(name) if _NUMBER.fullmatch(labels[-1]) else name


def _bad(text: str) -> Host:
    raise BadHost(f"{text[:300]!r} is not the name of a host, nor an address as 192.0.2.1 or [2001:db8::1]")


def parsed_address(text: str) -> Address:
    """Read an address in its usual form; a v4 address within a v6 one is the v4 one. Raises BadHost."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text:
        raise BadHost(f"{text[:300]!r} is not an address: write 192.0.2.1 or [2001:db8::1], without a zone")
    return plain(address)


def plain(address: Address) -> Address:
    """The v4 address that a v6 one stands for (`::ffff:10.0.0.1`, `64:ff9b::10.0.0.1`), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in STANDS_FOR_V4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def name_of_rule(text: str) -> str:
    """Bring a name from a rule to the form that requests have. Raises BadHost."""
    if text.isascii():
        name = text
    elif _DIFFERENT_IDNA & set(text):
        raise BadHost(f"{text!r} has a letter with more than one reading in names: write it in punycode")
    else:
        try:
            name = text.removesuffix(".").encode("idna").decode("ascii")
        except UnicodeError as error:
            raise BadHost(f"{text!r} is not the name of a host: {error}") from None
    host = parsed_host(name)
    if not isinstance(host, str):
        raise BadHost(f"{text[:300]!r} is an address: what is for a host goes by its name")
    return host


def parsed_port(text: str) -> int:
    """Read a port. Raises BadHost."""
    port = int(text) if text.isascii() and _PORT.fullmatch(text) else 0
    if not 0 < port < 1 << 16:
        raise BadHost(f"{text[:20]!r} is not a port from 1 to 65535")
    return port


def parsed_authority(text: str, default_port: int | None = None) -> tuple[Host, int]:
    """Read `host:port` as it stands in a request; without a port it is the default one. Raises BadHost."""
    host, colon, port = (text, "", "") if text.endswith("]") else text.rpartition(":")
    if not colon:
        if default_port is None:
            raise BadHost(f"{text[:300]!r} has no port")
        return parsed_host(text), default_port
    return parsed_host(host), parsed_port(port)


def shown(host: Host) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if isinstance(host, ipaddress.IPv6Address) else str(host)
