"""What hostile code can make of web apps: nothing that reaches the host or another sandbox."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable, Iterator

import pytest
from tests.web.conftest import SERVER, get

from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread
from sandbox.engine.web.inner_socket import NotInside, the_socket

Make = Callable[..., LocalSandbox]
_REACHES = """
import socket
def reach(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as one:
            one.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            return one.makefile("rb").readline().decode().strip()
    except OSError as error:
        return type(error).__name__
"""


@pytest.fixture
def host_server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.needs_namespaces
async def test_an_app_is_reached_by_its_own_sandbox_and_the_host_and_by_no_other(make: Make, box: LocalSandbox) -> None:
    """The control is the app's own sandbox, which reaches it by the inner port."""
    other = make()
    await other.start()
    app = await box.web.start(SERVER, "http", 0)
    for one in (box, other):
        await one.run(_REACHES)
    assert (await box.run(f"reach({app.inner_port})")).text == "'HTTP/1.1 200 OK'"
    assert (await other.run(f"reach({app.inner_port})")).text == "'ConnectionRefusedError'"
    twin = await other.web.start(SERVER.replace("hello", "theirs"), "http", 0)
    assert ((await get(app)).body, (await get(twin)).body) == (b"hello from /", b"theirs from /")


@pytest.mark.needs_namespaces
async def test_an_app_reaches_neither_the_host_nor_the_port_by_which_it_is_reached(
    box: LocalSandbox, host_server: socket.socket
) -> None:
    port = host_server.getsockname()[1]
    tells = f"repr([reach({port}), reach(int(open('outer').read()))]).encode()"
    code = _REACHES + SERVER.replace('b"hello from " + self.path.encode()', tells)
    with socket.socket() as keeps_inner_apart:
        keeps_inner_apart.bind(("127.0.0.1", 0))
        wanted = keeps_inner_apart.getsockname()[1]
        keeps_inner_apart.listen()
        app = await box.web.start("open('outer', 'w').write('1')\n" + code, "http", wanted)
    assert app.port != app.inner_port
    await box.files.write("outer", str(app.port))
    assert (await get(app)).body == b"['ConnectionRefusedError', 'ConnectionRefusedError']"
    with pytest.raises(BlockingIOError):
        host_server.accept()
    with socket.create_connection(("127.0.0.1", port)):  # the control: from here it is reached
        host_server.setblocking(True)
        host_server.accept()[0].close()


@pytest.mark.needs_namespaces
async def test_nothing_of_the_relay_is_inside(box: LocalSandbox) -> None:
    """No process and no descriptor in the sandbox belongs to it, so there is nothing there to be taken over."""
    app = await box.web.start(SERVER, "http", 0)
    await get(app)
    processes = await box.run("import os; sorted(int(p) for p in os.listdir('/proc') if p.isdigit())")
    assert processes.text == f"[1, {app.pid}]"


@pytest.mark.needs_namespaces
async def test_a_flood_of_connections_inside_costs_the_sandbox_alone(box: LocalSandbox, make: Make) -> None:
    other = make()
    await other.start()
    app = await box.web.start(SERVER, "http", 0)
    flood = f"import socket\nheld = [socket.create_connection(('127.0.0.1', {app.inner_port}), 1) for _ in range(300)]"
    await box.run(flood, check=False)
    theirs = await other.web.start(SERVER, "http", 0)
    assert (await get(theirs)).status == 200


# --- a zygote that lies about a socket ------------------------------------------------------------------------------


def _file() -> list[int]:
    fd, path = tempfile.mkstemp()
    os.unlink(path)
    return [fd]


def _listening() -> list[int]:
    return [socket.create_server(("127.0.0.1", 0)).detach()]


def _bound() -> list[int]:
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    return [one.detach()]


def _connected() -> list[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return [socket.create_connection(server.getsockname()).detach()]


_LIES: dict[str, Callable[[], list[int]]] = {
    "nothing": list,
    "a file": _file,
    "memory": lambda: [os.memfd_create("lie")],
    "two sockets": lambda: [socket.socket().detach(), socket.socket().detach()],
    "a listening socket": _listening,
    "a bound socket": _bound,
    "a socket to elsewhere": _connected,
    "a unix socket": lambda: [socket.socket(socket.AF_UNIX).detach()],
    "a socket of version 6": lambda: [socket.socket(socket.AF_INET6).detach()],
    "a datagram socket": lambda: [socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()],
    "one in the host's network": lambda: [socket.socket().detach()],
}


@pytest.mark.parametrize("lie", _LIES)
def test_what_is_not_a_socket_inside_is_refused_and_closed(lie: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotInside):
        the_socket(_LIES[lie]())
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.needs_namespaces
async def test_a_zygote_hands_out_sockets_in_the_network_of_that_worker(
    make: Make, engine: EngineThread, box: LocalSandbox
) -> None:
    """The control of what is refused above: one in a worker's network is taken, and is not in another's."""
    other = make()
    await other.start()
    app = await box.web.start(SERVER, "http", 0)
    loop = engine._loop

    async def reaches(one: LocalSandbox) -> bool:
        cell = engine._engine.sessions.known(one.session_id).cell
        assert cell is not None
        with await cell.zygote.make_socket(cell.worker.pidfd) as made:
            try:
                await loop.sock_connect(made, ("127.0.0.1", app.inner_port))
            except ConnectionRefusedError:
                return False
            return True

    found = [asyncio.run_coroutine_threadsafe(reaches(one), loop) for one in (box, other)]
    assert [await asyncio.wrap_future(one) for one in found] == [True, False]
