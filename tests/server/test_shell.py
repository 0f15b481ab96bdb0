"""`sandbox shell --server`: a terminal of this machine in a sandbox of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.serving import Serving
from tests.shell import Seat

from .conftest import Http

Sit = Callable[..., Seat]


@pytest.fixture
def sit(serving: Serving, http: Http) -> Iterator[Sit]:
    """Sits down with the key of `http`."""
    key = http.session.headers["Authorization"].removeprefix("Bearer ")
    seats: list[Seat] = []

    def down(*arguments: str, url: str = serving.url, key: str = key) -> Seat:
        seats.append(Seat({**serving.environment, "SANDBOX_API_KEY": key}, "--server", url, *arguments))
        return seats[-1]

    yield down
    for seat in seats:
        seat.close()


async def test_a_shell_on_a_server_is_as_one_here(serving: Serving, http: Http, sit: Sit) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "desk", "options": {"memory": 300}}))[0] == 201
    seat = sit("desk", "sh")
    seat.enter("stty size; echo term-$TERM")
    seat.sees(r"30 100\r\nterm-xterm\r\n")
    seat.enter("trap 'stty size; echo changed' WINCH; echo set-$((40 + 2))")
    seat.sees("set-42")
    seat.child.setwinsize(20, 70)
    seat.enter("")
    seat.sees(r"20 70\r\nchanged")
    seat.enter("cat")
    seat.child.sendintr()
    seat.enter("echo still-$((40 + 2)); echo 1 > left.txt; exit 5")
    seat.sees("still-42")
    assert seat.left() == 5
    assert (await http("GET", "/v1/sandboxes/desk/files/left.txt"))[1] == b"1\n"


async def test_a_sandbox_that_was_stopped_is_started_with_its_own_options(http: Http, sit: Sit) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "desk", "options": {"memory": 300}}))[0] == 201
    assert (await http("POST", "/v1/sandboxes/desk/stop", {}))[0] == 200
    seat = sit("desk", "sh", "-c", "exit 3")
    assert seat.left() == 3
    assert (await http("GET", "/v1/sandboxes/desk"))[1].items() >= {"memory": 300, "state": "ready"}.items()


async def test_a_server_that_does_not_let_one_in_is_a_message(serving: Serving, http: Http, sit: Sit) -> None:
    for seat, says, code in (
        (sit("other"), "there is no sandbox 'other'", 3),
        (sit("desk", key="sbx_1_2"), "the key is not one of this server's", 3),
        (sit("desk", url="http://127.0.0.1:9"), "http://127.0.0.1:9 cannot be used", 3),
        (sit("../x"), "cannot be a session's id", 2),
    ):
        seat.sees(says)
        assert seat.left() == code
