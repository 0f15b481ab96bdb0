"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Counts:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter(
            "sandbox_requests", "Requests to sandboxes, by kind and outcome.", ["do", "outcome"], registry=own
        )
        self.seconds = Histogram(
            "sandbox_request_seconds", "How long requests took.", ["do"], buckets=_SECONDS, registry=own
        )
        self.executions = Counter(
            "sandbox_executions",
            "Executions, by status and the limit that they met.",
            ["status", "cause"],
            registry=own,
        )
        self.cpu_seconds = Counter("sandbox_cpu_seconds", "Cpu time of executions and commands.", registry=own)
        self.refused = Counter("sandbox_refused", "Calls that were refused, by code.", ["code"], registry=own)
        self.wakes = Histogram(
            "sandbox_wake_seconds",
            "Bringing a sandbox back that the engine did not know.",
            buckets=_SECONDS,
            registry=own,
        )
        self.sandboxes = Gauge("sandbox_sandboxes", "Sandboxes, by state.", ["state"], registry=own)
        self.answers = Gauge("sandbox_answers_running", "Requests that are not answered yet.", registry=own)

    def text(self) -> bytes:
        """All of them, in Prometheus' own form."""
        return generate_latest(self.registry)
