"""Isolated, stateful sandboxes for code that nobody has read. `from sandbox import PythonSandbox` is where to begin.

Each name is imported when it is first asked for: the command line starts the process that will confine the code
before it imports anything else, and code that wants only an exception does not wait for the rest.
"""

TYPE_CHECKING = False  # typing's own, without the 6 ms that importing typing takes
if TYPE_CHECKING:
    from sandbox.errors import (
        CheckpointNotFound,
        SandboxAccessError,
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
        SandboxQuotaError,
        SandboxStartError,
        SandboxTimeoutError,
        SandboxWebAppError,
        SessionBusy,
        SessionExists,
        SessionNotFound,
        SessionTaken,
        StoreDamaged,
        StoreError,
        StoreFull,
        UsageError,
    )
    from sandbox.network.policy import NetworkPolicy, Secret
    from sandbox.options import Environment, Mount, SandboxOptions
    from sandbox.results import (
        Animation,
        AnimationProgress,
        Artifact,
        Checkpoint,
        Difference,
        NetworkEntry,
        Result,
        Variable,
    )
    from sandbox.sdk.execution import CommandExecution, Execution
    from sandbox.sdk.local import LocalSandbox
    from sandbox.sdk.node import NodeSandbox
    from sandbox.sdk.python import PythonSandbox
    from sandbox.sdk.remote import RemoteSandbox

__version__ = "0.1.0"

__all__ = [
    "Animation",
    "AnimationProgress",
    "Artifact",
    "Checkpoint",
    "CheckpointNotFound",
    "CommandExecution",
    "Difference",
    "Environment",
    "Execution",
    "LocalSandbox",
    "Mount",
    "NetworkEntry",
    "NetworkPolicy",
    "NodeSandbox",
    "PythonSandbox",
    "RemoteSandbox",
    "Result",
    "SandboxAccessError",
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
    "SandboxQuotaError",
    "SandboxStartError",
    "SandboxTimeoutError",
    "SandboxWebAppError",
    "Secret",
    "SessionBusy",
    "SessionExists",
    "SessionNotFound",
    "SessionTaken",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "UsageError",
    "Variable",
]

_HOMES = {
    **dict.fromkeys(("Environment", "Mount", "SandboxOptions"), "sandbox.options"),
    **dict.fromkeys(("Animation", "AnimationProgress", "Artifact", "Checkpoint"), "sandbox.results"),
    **dict.fromkeys(("Difference", "NetworkEntry", "Result", "Variable"), "sandbox.results"),
    **dict.fromkeys(("NetworkPolicy", "Secret"), "sandbox.network.policy"),
    **dict.fromkeys(("CommandExecution", "Execution"), "sandbox.sdk.execution"),
    "LocalSandbox": "sandbox.sdk.local",
    "NodeSandbox": "sandbox.sdk.node",
    "PythonSandbox": "sandbox.sdk.python",
    "RemoteSandbox": "sandbox.sdk.remote",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(_HOMES.get(name, "sandbox.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
