"""OpenTelemetry: where it is configured, each request is a span; nothing of it is imported otherwise."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.serving import Serving

from sandbox import RemoteSandbox

_NAME = b"sandbox.run"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Takes what exporters send: the URL, and the bodies."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


async def test_each_request_is_a_span_where_it_is_configured(own: Serving, collector: tuple[str, list[bytes]]) -> None:
    url, bodies = collector
    own.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    own.start()
    async with RemoteSandbox(own.url, own.first_key) as box:
        await box.run("1")
        session = box.session_id
    own.terminate()  # which sends what is left
    sent = b"".join(bodies)
    assert _NAME in sent
    assert session.encode() in sent


def test_nothing_of_it_is_imported_otherwise() -> None:
    code = (
        "import sys\nfrom sandbox.server.tracing import Tracer\nimport sandbox.server.serve\n"
        "print(Tracer.configured(), [name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None []"
