"""`sandbox.metrics`: what a sandbox uses right now."""

from __future__ import annotations

from sandbox.errors import UsageError
from sandbox.protocol import messages as m
from sandbox.sdk.connection import Connection


class Metrics:
    """Figures by name.

    cpu_usage (percent of one cpu since the last look), cpu_seconds, memory_usage and memory_limit (MB), disk_usage
    and disk_limit (MB), processes and processes_limit, uptime (seconds), executions.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> dict[str, float]:
        """Return every figure."""
        answer = await self._connection.ask(m.GetMetrics(self._connection.session), m.MetricsMeasured)
        return answer.values

    async def get(self, name: str) -> float:
        """Return one figure. Raises UsageError, with the names there are, for an unknown one."""
        values = await self.all()
        if name not in values:
            raise UsageError(f"there is no metric {name!r}; there are: {', '.join(sorted(values))}")
        return values[name]
