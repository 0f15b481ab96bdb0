"""Isolated, stateful sandboxes for code that nobody has read. `from sandbox import PythonSandbox` is where to begin."""

from sandbox.errors import (
    SandboxClosedError,
    SandboxCommandError,
    SandboxConnectionError,
    SandboxCrashedError,
    SandboxError,
    SandboxExecutionError,
    SandboxFileError,
    SandboxFileExistsError,
    SandboxFileNotFoundError,
    SandboxInterruptedError,
    SandboxLimitError,
    SandboxStartError,
    SandboxTimeoutError,
    UsageError,
)
from sandbox.options import Environment, Mount, SandboxOptions
from sandbox.results import Artifact, Result
from sandbox.sdk.execution import CommandExecution, Execution
from sandbox.sdk.local import LocalSandbox
from sandbox.sdk.python import PythonSandbox

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "CommandExecution",
    "Environment",
    "Execution",
    "LocalSandbox",
    "Mount",
    "PythonSandbox",
    "Result",
    "SandboxClosedError",
    "SandboxCommandError",
    "SandboxConnectionError",
    "SandboxCrashedError",
    "SandboxError",
    "SandboxExecutionError",
    "SandboxFileError",
    "SandboxFileExistsError",
    "SandboxFileNotFoundError",
    "SandboxInterruptedError",
    "SandboxLimitError",
    "SandboxOptions",
    "SandboxStartError",
    "SandboxTimeoutError",
    "UsageError",
]
