"""E2B's `get_host`: ports of a sandbox, at a name for each below the domain of web apps."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from e2b_code_interpreter import Sandbox
from tests.server.compat.conftest import until
from tests.serving import Serving

_SERVER = """
import http.server, json
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps({name.lower(): value for name, value in self.headers.items()}).encode())
http.server.HTTPServer(("127.0.0.1", 3000), Answers).serve_forever()
"""
Visit = Callable[..., httpx.Response]


@pytest.fixture
def visit(serving: Serving) -> Iterator[Visit]:
    """Asks the server for the page of a host. Not every machine takes names below `localhost` for its own."""
    with httpx.Client(base_url=serving.url, trust_env=False) as client:
        yield lambda host, **headers: client.get("/", headers={"Host": host, **headers})


def served(box: Any) -> Any:
    box.files.write("server.py", _SERVER)
    return box.commands.run("python3 server.py", background=True, timeout=0)


@pytest.mark.needs_namespaces
def test_a_port_inside_has_a_host_name(box: Any, visit: Visit, serving: Serving) -> None:
    host = box.get_host(3000)
    assert host == f"3000-{box.sandbox_id}.localhost:{urlsplit(serving.url).port}"
    assert visit(host).status_code == 502, "nobody listens yet"
    handle = served(box)
    answer = until(lambda: (found := visit(host)).status_code == 200 and found)
    assert answer.json()["host"] == host
    assert Sandbox.connect(box.sandbox_id).get_host(3000) == host
    assert handle.kill()
    assert until(lambda: visit(host).status_code == 502)


@pytest.mark.needs_namespaces
def test_a_port_that_is_not_public_needs_the_token_which_no_program_sees(key: str, visit: Visit) -> None:
    box = Sandbox.create(network={"allow_public_traffic": False})
    other = Sandbox.create()
    served(box)
    name, host = "e2b-traffic-access-token", box.get_host(3000)
    token = box.traffic_access_token
    answer = until(lambda: (found := visit(host, **{name: token})).status_code == 200 and found)
    assert name not in answer.json()
    for wrong in ({}, {name: other.traffic_access_token}, {name: key}, {name: f"{token}x"}):
        assert visit(host, **wrong).status_code == 404
    for one in (box, other):
        assert one.kill()
    assert visit(host, **{name: token}).status_code == 404


def test_names_of_what_there_is_not_lead_nowhere(box: Any, visit: Visit) -> None:
    domain = box.get_host(1).partition(".")[2]
    sandbox = box.sandbox_id
    for label in (f"0-{sandbox}", f"65536-{sandbox}", f"03000-{sandbox}", f"49983-{sandbox}", f"49999-{sandbox}",
                  f"3000-{sandbox}0", f"3000-{sandbox[:-1]}", f"3000-i{'0' * 20}", sandbox, f"-{sandbox}"):  # fmt: skip
        assert visit(f"{label}.{domain}").status_code == 404, label


def test_a_port_of_a_paused_sandbox_leads_nowhere(box: Any, visit: Visit) -> None:
    host = box.get_host(3000)
    box.pause()
    assert visit(host).status_code == 404


def test_a_port_of_the_server_itself_is_not_reached(box: Any, visit: Visit, serving: Serving) -> None:
    """Also where a sandbox has no network of its own: then a port of it would be one of the machine's."""

    class Own(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Own) as own:
        Thread(target=own.serve_forever, daemon=True).start()
        with socket.create_connection(own.server_address[:2]):  # type: ignore[arg-type]
            for port in (own.server_address[1], urlsplit(serving.url).port):
                assert visit(box.get_host(port)).status_code == 502
        own.shutdown()
