"""How an execution came to its end: causes, errors, what became of the variables, what it took."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.protocol import messages as m


class Cause(str):
    """Why an execution failed or was cut: timeout, memory, processes, disk, output, crashed or denied.

    Compares as that text. `message` says what happened, `limit` and `seen` the figures, `remedy` what to change.
    """

    __slots__ = ("limit", "message", "remedy", "seen")
    message: str
    limit: float | None
    seen: float | None
    remedy: str

    @classmethod
    def of(cls, info: m.CauseInfo | None) -> Cause | None:
        """Build one from the wire's form."""
        if info is None:
            return None
        cause = cls(info.kind)
        cause.message, cause.limit, cause.seen, cause.remedy = info.message, info.limit, info.seen, info.remedy
        return cause


class State(str):
    """What became of the session's variables: kept, restored or lost. Compares as that text.

    `lost_names` names variables that are not there any more; `restored_to` the execution that was gone back to.
    """

    __slots__ = ("lost_names", "restored_to")
    lost_names: tuple[str, ...]
    restored_to: int | None

    @classmethod
    def of(cls, info: m.StateInfo) -> State:
        """Build one from the wire's form."""
        state = cls(info.kind)
        state.lost_names, state.restored_to = info.lost_names, info.restored_to
        return state


@dataclass(frozen=True)
class CodeException:
    """What the code raised, as text: the class itself never leaves the sandbox."""

    error_type: str
    message: str
    traceback: str
    exit_code: int = 1

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}" if self.message else self.error_type


@dataclass(frozen=True)
class Usage:
    """What an execution took: seconds of cpu time, and the most memory in bytes at any moment so far.

    Where a control group counts, the memory is that of the whole sandbox. Elsewhere it is that of its largest process
    with the packages that it shares with other sandboxes, and of a worker that was ended what was seen of it last.
    """

    cpu_seconds: float = 0.0
    peak_memory: int = 0
