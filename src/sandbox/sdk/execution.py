"""Executions and commands as a user gets them."""

from __future__ import annotations

from typing import Any

from sandbox.errors import (
    SandboxCrashedError,
    SandboxExecutionError,
    SandboxInterruptedError,
    SandboxLimitError,
    SandboxTimeoutError,
)
from sandbox.results import CommandData, ExecutionData

_BY_STATUS: dict[str, type[SandboxExecutionError]] = {
    "interrupted": SandboxInterruptedError,
    "limit": SandboxLimitError,
    "killed": SandboxLimitError,
    "crashed": SandboxCrashedError,
}


class Execution(ExecutionData):
    """One run of code: what it printed, showed, raised, wrote and took.

    Attributes:
        number: Its number in the session, from 1.
        status: ok, error, interrupted, timeout, limit, killed or crashed.
        stdout, stderr: What it printed; `await output()` has both in order.
        results: Displayed values, each a MIME bundle. `text` is the last expression's.
        artifacts: Figures, and files below `artifacts/`, by reference.
        animations: What it has rendered, of `sandbox.animations` alone.
        exception: What the code raised, or None.
        execution_time: Seconds from sending the code to its end.
        cache_hit: Whether the code was compiled before.
        cause: Which limit it met, or None.
        state: What became of the variables: kept, restored or lost.
        files: Files of the workspace that it created, modified or deleted.
        changes: What a dry run would have done to variables and files; None of any other run.
        truncated: Streams of which the end was dropped.
        usage: Cpu seconds and peak memory.
        isolation, network, enforced: What confined it.
        warnings: What could not be collected, and similar.
        request_id: What the request is called in a server's logs; None of a local one.
    """

    async def output(self) -> str:
        """Return what was printed to both streams, in order."""
        return self.combined


class CommandExecution(CommandData):
    """One run of a program. `exit_code` is negative for a signal, as in Python's subprocess; None while it runs."""

    async def output(self) -> str:
        """Return what was printed to both streams, in order."""
        return self.combined


def failure(execution: Execution) -> SandboxExecutionError | SandboxTimeoutError:
    """The error that stands for how an execution has failed."""
    raised = execution.exception
    assert raised is not None
    details: dict[str, Any] = {"error_type": raised.error_type, "traceback": raised.traceback}
    text = f"the code was interrupted: {raised}" if execution.status == "interrupted" else str(raised)
    if execution.cause is not None:
        text = f"{text} [{execution.cause}: {execution.cause.message}; {execution.cause.remedy}]"
    error: SandboxExecutionError | SandboxTimeoutError
    if execution.status == "timeout":
        limit = execution.cause.limit if execution.cause is not None else 0.0
        error = SandboxTimeoutError(
            f"the code did not end in {limit:g} s; its variables are {execution.state}", details
        )
        error.details["timeout"] = limit
    else:
        error = _BY_STATUS.get(execution.status, SandboxExecutionError)(text, details)
    error.execution = execution
    return error
