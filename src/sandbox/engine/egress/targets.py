"""What a request is for, read so that nobody after the proxy can read it in another way."""

from __future__ import annotations

from typing import NamedTuple

import h11

from sandbox.network.hosts import BadHost, Host, parsed_authority, parsed_host, shown

_ENDS_AUTHORITY = b"/?#"
_HTTP_PORT, _HTTPS_PORT = 80, 443
# Of one connection, and not of what is asked for. `expect` is answered by the proxy itself.
_HOP_BY_HOP = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"expect",
     b"proxy-authorization", b"proxy-authenticate", b"proxy-authentication-info")
)  # fmt: skip
_NEVER_DROPPED = frozenset((b"host", b"content-length", b"transfer-encoding"))
_MOST_NAMED = 100

Headers = list[tuple[bytes, bytes]]


class BadTarget(Exception):
    """A request that the proxy does not carry out, whatever the policy says."""


class Target(NamedTuple):
    """`path` begins with a slash and has the query. `secure`: within TLS, of which the proxy is one end."""

    host: Host
    port: int
    path: bytes
    secure: bool = False

    @property
    def authority(self) -> bytes:
        """What the Host header has to say."""
        default = _HTTPS_PORT if self.secure else _HTTP_PORT
        port = "" if self.port == default else f":{self.port}"
        return f"{shown(self.host)}{port}".encode()


def for_connect(request: h11.Request) -> tuple[Host, int]:
    """The host and port of a CONNECT. Raises BadTarget."""
    try:
        return parsed_authority(request.target.decode("ascii", "replace"))
    except BadHost as error:
        raise BadTarget(f"CONNECT: {error}") from error


def for_proxy(request: h11.Request) -> Target:
    """The target of a request to the proxy, with a whole URL. Raises BadTarget."""
    scheme, separator, rest = request.target.partition(b"://")
    if not separator:
        raise BadTarget("this is a proxy: it takes whole URLs, and CONNECT for https")
    if scheme.lower() != b"http":
        raise BadTarget(f"{scheme[:20].decode('ascii', 'replace')}:// is not for a proxy: use CONNECT")
    authority = _authority(rest)
    try:
        host, port = parsed_authority(authority.decode("ascii", "replace"), _HTTP_PORT)
    except BadHost as error:
        raise BadTarget(str(error)) from error
    path = rest[len(authority) :].partition(b"#")[0]
    return _checked(request, Target(host, port, path if path.startswith(b"/") else b"/" + path))


def named(request: h11.Request) -> str:
    """For people: what a request names as its host, without the user before it; nothing if that is no text."""
    authority = _authority(request.target.partition(b"://")[2] or request.target)
    text = authority.rpartition(b"@")[2][:_MOST_NAMED].decode("ascii", "replace")
    return text if text.isprintable() else ""


def _authority(rest: bytes) -> bytes:
    """What of a URL without its scheme comes before the path."""
    end = min((at for at in map(rest.find, map(bytes, zip(_ENDS_AUTHORITY))) if at >= 0), default=len(rest))
    return rest[:end]


def for_origin(request: h11.Request, host: Host, port: int, *, secure: bool) -> Target:
    """The target of a request inside of a tunnel to this host. Raises BadTarget."""
    if not request.target.startswith(b"/"):
        raise BadTarget("in a tunnel a request is for a path of the host that the tunnel is for")
    return _checked(request, Target(host, port, request.target, secure))


def _checked(request: h11.Request, target: Target) -> Target:
    names = [name for name, _ in request.headers]
    if b"content-length" in names and b"transfer-encoding" in names:
        raise BadTarget("it has both Content-Length and Transfer-Encoding")
    if request.method in {b"TRACE", b"CONNECT"}:
        raise BadTarget(f"{request.method.decode()} is not possible here")
    named = next((value for name, value in request.headers if name == b"host"), None)
    if named is not None and not _same(named, target):
        raise BadTarget(
            f"the Host header says {named[:200].decode('ascii', 'replace')!r} and the request is for "
            f"{target.authority.decode()!r}"
        )
    return target


def _same(named: bytes, target: Target) -> bool:
    try:
        found = parsed_authority(named.decode("ascii", "replace"), _HTTPS_PORT if target.secure else _HTTP_PORT)
    except BadHost:
        return False
    return found == (target.host, target.port)


def passed_on(message: h11.Request | h11.Response) -> Headers:
    """The headers that are for the other end, and not for the proxy. Their names are spelled as they came."""
    values = [value for name, value in message.headers if name == b"connection"]
    named = {token.strip().lower() for value in values for token in value.split(b",")}
    drop = _HOP_BY_HOP | (named - _NEVER_DROPPED)
    found = ((bytes(name), bytes(value)) for name, value in message.headers.raw_items())
    return [(name, value) for name, value in found if name.lower() not in drop]


def same_name(sent: str, host: str) -> bool:
    """Whether a name from a TLS hello is that of a host."""
    try:
        return parsed_host(sent) == host
    except BadHost:
        return False
