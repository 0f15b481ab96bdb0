"""Why an execution failed, from what its code raised: no more is said than there is evidence for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox import LocalSandbox
from sandbox.engine import causes
from sandbox.engine.worker_events import Raised
from sandbox.protocol.messages import SessionOptions

Make = Callable[..., LocalSandbox]

OPEN = "import urllib.request\nurllib.request.urlopen('http://{}/', timeout=5)"


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("host", ["192.0.2.1", "name.invalid"])
async def test_a_network_that_is_not_there_is_denied(box: LocalSandbox, host: str) -> None:
    execution = await box.run(OPEN.format(host), check=False)
    assert execution.cause is not None
    assert execution.cause == "denied"
    assert 'network="host"' in execution.cause.remedy


@pytest.mark.needs_namespaces
async def test_a_refused_connection_within_the_sandbox_is_an_error_like_others(box: LocalSandbox) -> None:
    execution = await box.run(OPEN.format("127.0.0.1:9"), check=False)
    assert (execution.status, execution.cause) == ("error", None)


REQUESTS = "HTTPConnectionPool(host='x', port=80): Max retries exceeded with url: / (Caused by {})"


@pytest.mark.parametrize(
    ("kind", "message", "denied"),
    [
        ("ConnectionError", REQUESTS.format("NameResolutionError(\"Failed to resolve 'x' ([Errno -3] Temporary failure "
                                            "in name resolution)\")"), True),
        ("ConnectionError", REQUESTS.format("NewConnectionError('[Errno 101] Network is unreachable')"), True),
        ("ConnectionError", REQUESTS.format("NewConnectionError('[Errno 111] Connection refused')"), False),
        ("ConnectError", "[Errno -2] Name or service not known", True),
        ("ConnectError", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", False),
        ("ClientConnectorError", "Cannot connect to host x:80 ssl:default [Network is unreachable]", True),
        ("ConnectTimeout", "timed out", False),
        ("ValueError", "Network is unreachable", False),
    ],
)  # fmt: skip
def test_the_text_of_a_failed_connection_tells_what_failed(kind: str, message: str, denied: bool) -> None:
    raised = Raised(kind, message, "", None, 1)
    cause = causes.of_exception(raised, SessionOptions(network="none"))
    assert (cause is not None and cause.kind == "denied") == denied
    assert causes.of_exception(raised, SessionOptions(network="host")) is None
