"""One connection from inside to the proxy: requests one after the other, or a tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, NamedTuple

import h11

from sandbox.engine.egress import client_hello, targets
from sandbox.engine.egress.exchange import exchange
from sandbox.engine.egress.gate import Refused, Unreachable, Way
from sandbox.engine.egress.http_end import HttpEnd
from sandbox.engine.egress.journal import NO_ANSWER, Entry
from sandbox.engine.egress.link import Link, Pushed, SocketLink
from sandbox.engine.egress.meter import Counted, OverLimit
from sandbox.engine.egress.targets import BadTarget, Target
from sandbox.engine.egress.tunnel import carry
from sandbox.network.hosts import Address, BadHost, Host, parsed_host, shown
from sandbox.network.rules import HTTP, HTTPS, TCP

if TYPE_CHECKING:
    import ssl

    from sandbox.engine.egress.border import Border

_HEAD_SECONDS = 60.0
_HELLO_SECONDS = 30.0
_REST_SECONDS, _MOST_REST = 10.0, 256 * 1024 * 1024
_ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"  # a fatal alert


class Going(NamedTuple):
    """What a conversation has going on: to be asked about again when the rules change."""

    kinds: tuple[str, ...]
    host: Host
    port: int
    address: Address | None


class Conversation:
    """Serves one connection until it ends. Cancelling it closes both sides."""

    def __init__(self, border: Border, inner: socket.socket) -> None:
        self._border = border
        self._link: Link = SocketLink(inner)
        self._outer: Link | None = None
        self.going: Going | None = None

    async def serve(self) -> None:
        """Until either side ends it."""
        end = HttpEnd(self._link, h11.SERVER)
        try:
            await self._serve(end, None, secure=False)
        finally:
            self._link.close()
            self._let_go()

    async def _serve(self, end: HttpEnd, tunnel: tuple[Host, int] | None, *, secure: bool) -> None:
        """Answer requests, of a `tunnel` or to the proxy itself."""
        with contextlib.suppress(OSError, TimeoutError):
            try:
                while await self._next(end, tunnel, secure=secure):
                    end.state.start_next_cycle()
            except Refused as refused:
                text = f"Refused by the sandbox's network policy: {refused.told}"
                await end.answer(403, f"Refused by the sandbox: {refused.told}", text)
            except (BadTarget, h11.RemoteProtocolError) as error:
                await end.answer(400, f"Refused by the sandbox: {error}", f"Refused by the sandbox's proxy: {error}")
            except (Unreachable, h11.LocalProtocolError) as error:
                await end.answer(502, f"{NO_ANSWER}: {error}", f"The sandbox's proxy: {error}")
            except OverLimit as error:
                await end.answer(403, f"Refused by the sandbox: {error}", f"Refused by the sandbox's proxy: {error}")
            if end.answered_early:
                await self._take_the_rest(end)

    async def _take_the_rest(self, end: HttpEnd) -> None:
        """Of a request that is answered: closing with something unread would take the answer back."""
        await end.link.end()
        left = _MOST_REST
        async with asyncio.timeout(_REST_SECONDS):
            while left > 0 and (data := await self._link.receive()):
                left -= len(data)

    async def _next(self, end: HttpEnd, tunnel: tuple[Host, int] | None, *, secure: bool) -> bool:
        """Answer one request; whether there can be another."""
        request = await end.receive(_HEAD_SECONDS)
        if not isinstance(request, h11.Request):
            return False
        if self._border.meter.used_up:
            raise OverLimit("all that its policy allows to transfer is used up")
        try:
            return await self._carry_out(end, request, tunnel, secure=secure)
        except BadTarget as error:
            host = targets.named(request)
            why = f"{host or 'a request'}: {error}"
            self._border.journal.note(Entry(HTTP, host, 0, False, "", why, method=request.method.decode()))
            raise

    async def _carry_out(
        self, end: HttpEnd, request: h11.Request, tunnel: tuple[Host, int] | None, *, secure: bool
    ) -> bool:
        if tunnel is not None:
            await self._forward(end, request, targets.for_origin(request, *tunnel, secure=secure))
        elif request.method == b"CONNECT":
            await self._connect(end, *targets.for_connect(request))
            return False
        else:
            await self._forward(end, request, targets.for_proxy(request))
        return end.state.our_state is h11.DONE and end.state.their_state is h11.DONE

    # --- requests ---

    async def _forward(self, end: HttpEnd, request: h11.Request, target: Target) -> None:
        kind = HTTPS if target.secure else HTTP
        entry = Entry(kind, shown(target.host), target.port, True, "", method=request.method.decode())
        entry.path = target.path.partition(b"?")[0].decode("ascii", "replace")
        outer = await self._reach((kind,), target.host, target.port, entry)
        self._border.look_for_secrets(request, target, entry)
        try:
            if target.secure:
                outer = await self._border.secured(outer, target.host)
            changes = self._border.changes(target, request.method)
            await exchange(end, HttpEnd(outer, h11.CLIENT), request, target, changes)
        except (h11.RemoteProtocolError, ConnectionError, TimeoutError) as error:
            entry.reason = f"the answer broke off: {error}"
            raise Unreachable(f"{shown(target.host)}: {entry.reason}") from error
        finally:
            self._let_go()

    async def _reach(self, kinds: tuple[str, ...], host: Host, port: int, entry: Entry) -> Link:
        """Connect to what is allowed, and note how that went. Raises Refused, Unreachable."""
        border = self._border
        try:
            way = await border.way(kinds, host, port)
            entry.rule = way.rule
            outer, address = await self._connected(way, host, port)
        except Refused as refused:
            entry.allowed, entry.reason, entry.rule = False, refused.reason, refused.rule
            raise
        except Unreachable as error:
            entry.reason = str(error)
            raise
        finally:
            border.journal.note(entry)
        self.going = Going(kinds, host, port, address)
        self._outer = Counted(SocketLink(outer), border.meter, entry)
        if not border.gate.still_allows(kinds, host, port, address):
            self._let_go()  # the rules have changed meanwhile
            raise Refused(f"{shown(host)}:{port} is not allowed any more")
        return self._outer

    async def _connected(self, way: Way, host: Host, port: int) -> tuple[socket.socket, Address]:
        error: Exception | None = None
        for address in way.addresses:
            try:
                return await self._border.gate.outside.connect(address, port), address
            except (OSError, TimeoutError) as failed:
                error = failed
        raise Unreachable(f"{shown(host)}:{port} cannot be connected to: {error or 'it does not answer'}")

    def _let_go(self) -> None:
        self.going = None
        if self._outer is not None:
            self._outer.close()
            self._outer = None

    # --- tunnels ---

    async def _connect(self, end: HttpEnd, host: Host, port: int) -> None:
        """Answer a CONNECT, look at what comes, and carry it."""
        raw = self._border.gate.rules.verdict(TCP, host, port).allowed
        kinds = (TCP,) if raw else (HTTPS, HTTP)
        entry = Entry(TCP if raw else HTTPS, shown(host), port, True, "", method="CONNECT")
        identity = None if raw else self._border.intercepts(host)
        outer = None if identity else await self._reach(kinds, host, port, entry)
        if identity:
            await self._check(kinds, host, port, entry)
        await end.send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
        inner: Link = Pushed(self._link, end.state.trailing_data[0])
        if not raw:
            said = await self._first_bytes(inner)
            inner = Pushed(inner, said)
            if said[:1] != bytes([client_hello.HANDSHAKE]):
                self._let_go()
                await self._serve(HttpEnd(inner, h11.SERVER), (host, port), secure=False)
                return
            if not await self._is_meant(said, host, port):
                return
            if self.going is not None:
                self.going = self.going._replace(kinds=(HTTPS,))
        if outer is not None:
            await carry(inner, outer)
        elif identity is not None:
            await self._stand_for(inner, identity, entry)

    async def _check(self, kinds: tuple[str, ...], host: Host, port: int, entry: Entry) -> None:
        """See if a host can be reached, and note only if it cannot: each request to it will be looked at."""
        try:
            await self._border.way(kinds, host, port)
        except Refused as refused:
            entry.allowed, entry.reason, entry.rule = False, refused.reason, refused.rule
            self._border.journal.note(entry)
            raise
        except Unreachable as error:
            entry.reason = str(error)
            self._border.journal.note(entry)
            raise

    async def _stand_for(self, inner: Link, identity: ssl.SSLContext, entry: Entry) -> None:
        """Be the other end of TLS for a host that gets secrets, and answer the requests within."""
        from sandbox.engine.egress.tls_link import TlsLink  # noqa: PLC0415 - ssl, for who has secrets

        link = TlsLink(inner, identity)
        try:
            await link.handshake(_HELLO_SECONDS)
        except (OSError, TimeoutError) as error:
            entry.reason = f"the program does not believe the sandbox's certificates, or ended: {error}"
            self._border.journal.note(entry)
            return
        host = parsed_host(entry.host)
        await self._serve(HttpEnd(link, h11.SERVER), (host, entry.port), secure=True)
        with contextlib.suppress(OSError):
            await link.end()

    async def _first_bytes(self, inner: Link) -> bytes:
        """A whole ClientHello, or what cannot be one."""
        said = b""
        async with asyncio.timeout(_HELLO_SECONDS):
            while data := await inner.receive():
                said += data
                with contextlib.suppress(client_hello.BadHello):
                    if said[0] == client_hello.HANDSHAKE and client_hello.parse(said) is None:
                        continue
                return said
        raise ConnectionResetError("it ended before it has said anything")

    async def _is_meant(self, said: bytes, host: Host, port: int) -> bool:
        """Whether a ClientHello is for the host of its tunnel; else answer with an alert, and note that."""
        reason = self._wrong_hello(said, host, port)
        if reason:
            refused = Entry(HTTPS, shown(host), port, False, "", reason, "CONNECT")
            self._border.journal.note(refused)
            await self._link.send(_ACCESS_DENIED)
        return not reason

    def _wrong_hello(self, said: bytes, host: Host, port: int) -> str:
        try:
            hello = client_hello.parse(said)
            self._border.gate.verdict((HTTPS,), host, port)
            if hello is None:
                return f"in a tunnel to {shown(host)}:{port} TLS did not begin"
            if isinstance(host, str):
                if hello.server_name and targets.same_name(hello.server_name, host):
                    return ""
                named = f"for {hello.server_name[:100]!r}" if hello.server_name else "without a server's name"
                return f"TLS {named} in a tunnel to {shown(host)}:{port}"
            if hello.server_name:
                self._border.gate.verdict((HTTPS,), parsed_host(hello.server_name), port)
        except client_hello.BadHello as error:
            return f"TLS to {shown(host)}:{port}: {error}"
        except (BadHost, Refused) as error:
            return f"TLS in a tunnel to {shown(host)}:{port}: {error}"
        return ""
