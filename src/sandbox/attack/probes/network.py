"""Ways out: the host's loopback, its sockets, the local network, the internet. Only routes are asked for."""

from __future__ import annotations

import os
import socket

from sandbox.attack.probe import LANDLOCK, NAMESPACES, NO_ISOLATION, Of, Probe, by, off

_INET6, _UNIX = int(socket.AF_INET6), int(socket.AF_UNIX)
_NO_SOCKETS = by("seccomp.all_sockets", "EACCES")
_NO_ROUTE = by("network_namespace", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL")
_SOCKETS = off("seccomp.all_sockets")
_UNIX_SOCKETS = off("seccomp.all_sockets", "seccomp.unix_sockets")
SERVICES = (
    "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
    "/run/dbus/system_bus_socket", f"/run/user/{os.getuid()}/bus", "/run/systemd/private", "/run/systemd/notify",
    "/run/systemd/resolve/io.systemd.Resolve", "/var/run/nscd/socket", "/run/snapd.socket", "/run/libvirt/libvirt-sock",
    f"/run/user/{os.getuid()}/wayland-0", f"/run/user/{os.getuid()}/gnupg/S.gpg-agent",
)  # fmt: skip


def _route(name: str, goal: str, address: str, port: int, family: int = int(socket.AF_INET)) -> Probe:
    return Probe(
        name, goal, "address_towards", ((address, port), family),
        stops={NAMESPACES: _NO_ROUTE, LANDLOCK: _NO_SOCKETS},
        controls={NAMESPACES: (off("network_namespace"),), LANDLOCK: (_SOCKETS,)},
        needs="IPv6" if family == _INET6 else "",
    )  # fmt: skip


PROBES: tuple[Probe, ...] = (
    Probe(
        "host-loopback", "reach a server on the host's loopback", "can_connect", (Of("loopback"),),
        stops={NAMESPACES: by("network_namespace", "ECONNREFUSED"), LANDLOCK: _NO_SOCKETS},
        controls={
            NAMESPACES: (off("network_namespace"),), LANDLOCK: (_SOCKETS, off("seccomp.all_sockets", "landlock")),
        },
    ),
    Probe(
        "abstract-socket", "reach an abstract socket of the host", "can_connect", (Of("abstract"), _UNIX),
        stops={
            NAMESPACES: {**by("network_namespace", "ECONNREFUSED"), **by("landlock", "EPERM")}, LANDLOCK: _NO_SOCKETS,
        },
        controls={
            NAMESPACES: (off("network_namespace"), off("network_namespace", "landlock")),
            LANDLOCK: (_UNIX_SOCKETS, off("seccomp.all_sockets", "seccomp.unix_sockets", "landlock")),
        },
    ),
    Probe(
        "socket-file", "reach a socket file, like docker.sock", "can_connect", (Of("stream"), _UNIX),
        stops={NAMESPACES: by("read_only_view", "ENOENT"), LANDLOCK: _NO_SOCKETS},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (_UNIX_SOCKETS,)},
    ),
    Probe(
        "datagram-pair", "send to a socket file without a socket", "datagram_by_pair", (Of("datagram"),),
        stops={NAMESPACES: by("read_only_view", "ENOENT"), LANDLOCK: by("seccomp.datagram_pairs", "EACCES")},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (off("seccomp.datagram_pairs"),)},
    ),
    Probe(
        "services", "reach Docker, D-Bus, systemd, keys", "services", ([*SERVICES, Of("stream")],),
        stops={NAMESPACES: by("read_only_view", "nothing"), LANDLOCK: _NO_SOCKETS},
        controls={NAMESPACES: (NO_ISOLATION,), LANDLOCK: (_UNIX_SOCKETS,)},
    ),
    Probe(
        "other-loopback", "reach a server in another sandbox", "is_listening", (Of("neighbour port"),),
        stops={NAMESPACES: by("network_namespace", "ECONNREFUSED")},
        controls={NAMESPACES: (off("network_namespace"),)},
    ),
    _route("internet", "reach the internet", "192.0.2.1", 443),
    _route("local-network", "reach the local network", "10.0.0.1", 80),
    _route("metadata", "reach the cloud's metadata", "169.254.169.254", 80),
    _route("name-server", "send data out by asking for names", "8.8.8.8", 53),
    _route("internet-6", "reach the internet by IPv6", "2001:db8::1", 443, _INET6),
    _route("metadata-6", "reach the cloud's metadata by IPv6", "fd00:ec2::254", 80, _INET6),
    Probe(
        "interfaces", "see the host's network interfaces", "other_interfaces",
        stops={NAMESPACES: by("network_namespace", "nothing")}, controls={NAMESPACES: (off("network_namespace"),)},
    ),
)  # fmt: skip
