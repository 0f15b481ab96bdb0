"""Addresses that are not the public internet: not connected to, whatever a name resolves to, unless a rule names them.

From IANA's registries of special purpose addresses. A list of our own, since `is_global` of the standard library has
changed between releases.
"""

from __future__ import annotations

import ipaddress

from sandbox.network.hosts import Address, plain

_V4 = {
    "0.0.0.0/8": "this host",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "a carrier's own",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local, with cloud metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "for documentation",
    "192.88.99.0/24": "a relay to IPv6",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "168.63.129.16/32": "a cloud's metadata",
}
# Of IPv6 only what is handed out as global unicast is public, and of that not these.
_V6 = {
    "2001::/23": "reserved, with Teredo",
    "2001:db8::/32": "for documentation",
    "2002::/16": "6to4, which leads to IPv4",
    "3fff::/20": "for documentation",
}
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V4 = [(ipaddress.IPv4Network(text), why) for text, why in _V4.items()]
_REFUSED_V6 = [(ipaddress.IPv6Network(text), why) for text, why in _V6.items()]
_LOCAL_V6 = [
    (ipaddress.IPv6Network("::1/128"), "loopback"),
    (ipaddress.IPv6Network("fc00::/7"), "private"),
    (ipaddress.IPv6Network("fe80::/10"), "link-local"),
    (ipaddress.IPv6Network("ff00::/8"), "multicast"),
]


def not_public(address: Address) -> str:
    """What an address is if it is none of the public internet, else nothing."""
    address = plain(address)
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for network, why in _REFUSED_V4 if address in network), "")
    for network, why in (*_LOCAL_V6, *_REFUSED_V6):
        if address in network:
            return why
    return "" if address in _GLOBAL_V6 else "reserved"


def is_never_public(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether a network has no public address at all."""
    if isinstance(network, ipaddress.IPv4Network):
        return any(network.subnet_of(refused) for refused, _ in _REFUSED_V4)
    inside = any(network.subnet_of(refused) for refused, _ in _REFUSED_V6)
    return inside or not (network.overlaps(_GLOBAL_V6))
