"""Which limit or event an execution failed from, and what to do about it."""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence

from sandbox.engine.egress.journal import NO_ANSWER
from sandbox.engine.languages import is_node
from sandbox.engine.worker_events import Gone, Raised
from sandbox.protocol.messages import PROXIED, CauseInfo, SessionOptions

TIMEOUT, MEMORY, PROCESSES, DISK = "timeout", "memory", "processes", "disk"
OUTPUT, CRASHED, DENIED = "output", "crashed", "denied"

_DENIED_ERRNOS = {errno.EPERM, errno.EACCES, errno.EROFS}
_NO_BUFFER = {("RangeError", "Array buffer allocation failed")}
_NETWORK_ERRNOS = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EAFNOSUPPORT}
# What libraries raise for any failed connection: what failed is in the text. A refused one is no lack of a network.
_NETWORK_TYPES = {
    "URLError", "ConnectionError", "ConnectError", "MaxRetryError", "NewConnectionError", "NameResolutionError",
    "ClientConnectorError", "ClientConnectorDNSError",
}  # fmt: skip
# What they raise for what a proxy refuses.
_PROXY_TYPES = _NETWORK_TYPES | {"HTTPError", "HTTPStatusError", "ProxyError", "ClientHttpProxyError", "OSError"}
_NO_NETWORK = (
    "Network is unreachable", "No route to host", "in name resolution", "Name or service not known",
    "No address associated with hostname", "Name does not resolve",
)  # fmt: skip


def timeout(seconds: float) -> CauseInfo:
    return CauseInfo(
        TIMEOUT,
        f"it did not end in {seconds:g} s",
        limit=seconds,
        remedy="raise timeout=, or split the work into several executions",
    )


def memory(options: SessionOptions, seen: int | None = None) -> CauseInfo:
    return CauseInfo(
        MEMORY,
        f"it needed more than {options.memory} MB of memory",
        limit=options.memory,
        seen=None if seen is None else round(seen / (1 << 20), 1),
        remedy="raise memory=, or work on smaller pieces",
    )


def processes(options: SessionOptions) -> CauseInfo:
    return CauseInfo(
        PROCESSES,
        f"it tried to have more than {options.processes} processes and threads at once",
        limit=options.processes,
        remedy="raise processes=, or start fewer",
    )


def disk(options: SessionOptions, seen: int | None = None) -> CauseInfo:
    return CauseInfo(
        DISK,
        f"its files need more than {options.disk} MB",
        limit=options.disk,
        seen=None if seen is None else round(seen / (1 << 20), 1),
        remedy="raise disk=, or remove files from the workspace",
    )


def output(options: SessionOptions, streams: tuple[str, ...]) -> CauseInfo:
    return CauseInfo(
        OUTPUT,
        f"it printed more than {options.output:g} MB to {' and '.join(streams)}; what came after that is dropped",
        limit=options.output,
        remedy="print less, write to a file, or raise output=",
    )


def crashed(gone: Gone, what: str = "worker") -> CauseInfo:
    if gone.why:
        text = f"the {what} was ended: {gone.why}"
    elif gone.code < 0:
        text = f"the {what} died from {_signal_name(-gone.code)}"
    else:
        text = f"the {what} ended by itself with exit code {gone.code}{_as_from(gone.code)}"
    return CauseInfo(
        CRASHED, text, remedy="look for native code that crashes, os._exit, or closing of foreign descriptors"
    )


def _as_from(code: int) -> str:
    """An exit code above 128 is how programs, and a worker that signals itself, tell of a signal."""
    return f", as from {_signal_name(code - 128)}" if 128 < code <= 128 + signal.SIGRTMAX else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def is_heap_full(said: str, options: SessionOptions) -> bool:
    """Whether a Node that has died said that its heap was full. Its word for it, as that of what code raises."""
    return is_node(options.language) and "FATAL ERROR" in said and "out of memory" in said


def of_exception(raised: Raised, options: SessionOptions, refused: Sequence[str] = ()) -> CauseInfo | None:
    """Classify what user code raised. The worker's word for it, so it explains and never decides anything."""
    if raised.type.endswith("MemoryError") or (raised.type, raised.message) in _NO_BUFFER:
        return memory(options)
    if raised.errno == errno.EAGAIN and raised.type in {"BlockingIOError", "OSError", "Error"}:
        return processes(options)
    if raised.type == "RuntimeError" and "can't start new thread" in raised.message:
        return processes(options)
    if raised.errno in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}:
        return disk(options)
    return _denied(raised, options, refused)


def _denied(raised: Raised, options: SessionOptions, refused: Sequence[str]) -> CauseInfo | None:
    if NO_ANSWER in raised.message:
        return None  # it was allowed, and its name is not known or nobody answered
    if refused and (raised.type in _PROXY_TYPES or _missed_a_network(raised)):
        return CauseInfo(
            DENIED,
            f"the sandbox's network policy does not permit it: {'; '.join(refused)}"[:1000],
            remedy="allow it with sandbox.network.set(...) or network=NetworkPolicy(allow=[...])",
        )
    if options.network in PROXIED and _missed_a_network(raised):
        return CauseInfo(
            DENIED,
            "it tried to reach a network without the proxy, which is the only way out of this sandbox",
            remedy="let it use $HTTPS_PROXY; names are resolved by the proxy alone",
        )
    if options.network == "none" and _missed_a_network(raised):
        return CauseInfo(
            DENIED,
            "it tried to reach a network, and this sandbox has none",
            remedy='network=NetworkPolicy(allow=["api.example.com"]) lets it reach hosts, network="host" everything',
        )
    if raised.errno in _DENIED_ERRNOS and raised.type in {"PermissionError", "OSError", "Error"}:
        return CauseInfo(
            DENIED,
            f"the sandbox does not permit it: {raised.message[:200]}",
            remedy="write below the working directory or $TMPDIR; show other files with files=",
        )
    return None


def _missed_a_network(raised: Raised) -> bool:
    if raised.errno in _NETWORK_ERRNOS or raised.type == "gaierror":
        return True
    return raised.type in _NETWORK_TYPES and any(text in raised.message for text in _NO_NETWORK)
