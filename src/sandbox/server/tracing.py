"""OpenTelemetry, where it is configured: a span for each request. Nothing of it is imported otherwise."""

from __future__ import annotations

import os
from typing import Any, Self

from sandbox.errors import SandboxStartError
from sandbox.protocol import messages as m
from sandbox.server.audit import Caller

_CONFIGURED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


class Tracer:
    """Begins and ends spans, with a provider of OpenTelemetry's."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("sandbox.server")

    @classmethod
    def configured(cls) -> Self | None:
        """The tracer that OpenTelemetry's own variables ask for, if they do. Raises SandboxStartError."""
        if not any(os.environ.get(name) for name in _CONFIGURED) or os.environ.get("OTEL_SDK_DISABLED") == "true":
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            raise SandboxStartError(
                f"{error.name} is missing, and OTEL_* asks for traces: pip install 'enhanced-sandbox[otel]'"
            ) from error
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def begin(self, caller: Caller, request: Any) -> Any:
        """Begin a request's span."""
        return self._tracer.start_span(
            f"sandbox.{request.__struct_config__.tag}",
            attributes={
                "sandbox.request": caller.request_id, "sandbox.session": request.session,
                "sandbox.owner": caller.key.owner, "sandbox.key": caller.key.id,
            },
        )  # fmt: skip

    def end(self, span: Any, last: m.LastEvent) -> None:
        """End it, with what came of the request."""
        if isinstance(last, m.ExecutionFinished):
            span.set_attribute("sandbox.execution", last.number)
            span.set_attribute("sandbox.status", last.status)
        if isinstance(last, m.Failed):
            span.set_attribute("error.type", last.code)
        span.end()

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()
