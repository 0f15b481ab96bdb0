"""What is said about executions when they are over: exit code, cause in plain words, and the object of --json."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sandbox.protocol.messages import CauseInfo, CodeError, ExecutionFinished, ResultShown, StateInfo

_FEW = 5
TIMED_OUT, INTERRUPTED, SIGNALLED = 124, 130, 128

# What to do about a limit, for somebody who sees flags and not keyword arguments.
_REMEDIES = {
    "timeout": "Give it longer with --timeout SECONDS, or split the work.",
    "memory": "Give it more with --memory MB, or work on smaller pieces.",
    "processes": "Allow more with --processes N, or start fewer.",
    "disk": "Allow more with --disk MB, or remove files while it runs.",
    "output": "Print less, write to a file below artifacts/, or allow more with --output MB.",
    "crashed": "Look for native code that crashes.",
}
_NETWORK = "Let it reach hosts with --allow-host HOST, or everything with --network host."
_PROXY = "Let it use $HTTPS_PROXY: names are resolved by the proxy alone."
_DENIED = {"network=": _NETWORK, "$HTTPS_PROXY": _PROXY}  # by what the remedy names
_FILES = "It may write below its working directory and /tmp; show it other files with --mount."
# Every key of --json, with its value when nothing ran.
_NOTHING: dict[str, Any] = {
    "exit_code": 0, "status": "", "stdout": "", "stderr": "", "results": (), "error": None, "cause": None,
    "state": "lost", "artifacts": (), "files": {"created": (), "modified": (), "deleted": ()}, "truncated": (),
    "warnings": (), "usage": {"cpu_seconds": 0.0, "peak_memory": 0}, "execution_time": 0.0, "isolation": "",
    "network": "", "enforced": (), "session": None, "restored_to": None, "lost_names": (),
}  # fmt: skip
_EXIT, _OF_NODE = re.compile(r"process\.exit\((-?[0-9]{1,15})\)"), "Exit"
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")


class Report:
    """The executions of one program, taken together."""

    def __init__(self, name: str, *, collect: bool, session: str | None = None) -> None:
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self.results: list[ResultShown] = []
        self.ends: list[ExecutionFinished] = []
        self.decisive: ExecutionFinished | None = None
        self.kept: dict[str, str] = {}
        self._name = name
        self.collects = collect
        self.session = session

    def printed(self, stream: str, text: str) -> None:
        """Pass output on, or keep it for --json."""
        if self.collects:
            (self.stdout if stream == "stdout" else self.stderr).append(text)
        else:
            terminal.write(terminal.OUT if stream == "stdout" else terminal.ERR, text)

    def showed(self, result: ResultShown) -> None:
        """Take a displayed value. What `display` was given is printed; the value at the end is not, as in Python.

        Nor are figures, which are artifacts.
        """
        self.results.append(result)
        text = result.data.get("text/plain")
        figure = result.chart is not None or any(mime.startswith("image/") for mime in result.data)
        if isinstance(text, str) and not (result.main or figure or self.collects):
            terminal.write(terminal.OUT, f"{text}\n")

    def ended(self, end: ExecutionFinished, *, decides: bool) -> None:
        """Take the end of an execution. The one that `decides` gives the exit code, unless a later one was stopped."""
        self.ends.append(end)
        if decides or end.status not in {"ok", "error"}:
            self.decisive = end

    @property
    def exit_code(self) -> int:
        """Python's own where there is one, and those of timeout(1) and of a shell for the rest."""
        end = self.decisive
        if end is None:
            return 0
        if end.status == "timeout":
            return TIMED_OUT
        if end.status == "interrupted" or (end.error is not None and end.error.type == "KeyboardInterrupt"):
            return INTERRUPTED if end.status in {"interrupted", "error"} else 1
        return end.error.exit_code if end.error is not None else 0

    # --- for people ---

    def explain(self, end: ExecutionFinished) -> None:
        """Print what Python would have printed about the end, then what the sandbox has to say."""
        if end.error is not None:
            terminal.write(terminal.ERR, self.traceback(end.error, end.number))
        if end.cause is not None and not _ended_itself(end):
            terminal.note(in_plain_words(end.cause))
        for warning in end.warnings:
            terminal.note(terminal.plain(warning))
        if self.session is not None:
            for text in state_in_words(end.state):
                terminal.note(text)

    def traceback(self, error: CodeError, number: int) -> str:
        """The traceback, with the name that the code has on this side. `sys.exit("text")` prints the text alone."""
        if asks_to_leave(error):
            return "" if _is_code(error) else f"{error.message}\n"
        return error.traceback.replace(f'File "<cell {number}>"', f'File "{self._name}"')

    # --- for programs ---

    def as_json(self) -> bytes:
        """The object of --json, one line. Its keys are described in `sandbox run --help` and stay."""
        end = self.decisive
        assert end is not None
        return _encoded(
            exit_code=self.exit_code,
            status=end.status,
            stdout="".join(self.stdout),
            stderr="".join(self.stderr),
            results=[{"data": r.data, "main": r.main, "chart": r.chart} for r in self.results],
            error=None if end.error is None else self._error(end.error, end.number),
            cause=end.cause,
            state=end.state.kind,
            artifacts=[self._artifact(artifact) for e in self.ends for artifact in e.artifacts],
            files={
                kind: sorted({path for e in self.ends for path in getattr(e.files, kind)})
                for kind in ("created", "modified", "deleted")
            },
            truncated=sorted({stream for e in self.ends for stream in e.truncated}),
            warnings=[warning for e in self.ends for warning in e.warnings],
            usage={
                "cpu_seconds": sum(e.usage.cpu_seconds for e in self.ends),
                "peak_memory": max(e.usage.peak_memory for e in self.ends),
            },
            execution_time=sum(e.execution_time for e in self.ends),
            isolation=end.isolation,
            network=end.network,
            enforced=end.enforced,
            session=self.session,
            restored_to=end.state.restored_to,
            lost_names=end.state.lost_names,
        )

    def _error(self, error: CodeError, number: int) -> dict[str, str]:
        return {"type": error.type, "message": error.message, "traceback": self.traceback(error, number)}

    def _artifact(self, artifact: Any) -> dict[str, Any]:
        return {
            "name": artifact.name,
            "path": self.kept.get(artifact.id),
            "mime": artifact.mime,
            "size": artifact.size,
            "sha256": artifact.sha256,
        }


def failure_as_json(exit_code: int, code: str, message: str) -> bytes:
    """The same object when nothing ran."""
    error = {"type": code, "message": message, "traceback": ""}
    return _encoded(exit_code=exit_code, status="not_run", error=error)


def _encoded(**fields: Any) -> bytes:
    import msgspec  # noqa: PLC0415 - the engine has it by now

    return msgspec.json.encode({**_NOTHING, **fields}) + b"\n"


def _ended_itself(end: ExecutionFinished) -> bool:
    """os._exit: Python says nothing about it either."""
    crashed = end.cause is not None and end.cause.kind == "crashed"
    return crashed and end.error is not None and end.error.exit_code < SIGNALLED


def asks_to_leave(error: CodeError) -> bool:
    """Whether it is what sys.exit and process.exit raise, and not something else of that name."""
    if error.type == _OF_NODE:
        code = _EXIT.fullmatch(error.message)
        return code is not None and int(code[1]) & 0xFF == error.exit_code
    return error.type == "SystemExit"


def _is_code(error: CodeError) -> bool:
    """Whether sys.exit was given a number (or True), and not a text to print."""
    if error.message == "True" or error.type == _OF_NODE:
        return True
    return bool(_WHOLE_NUMBER.match(error.message)) and int(error.message) & 0xFF == error.exit_code


def in_plain_words(cause: CauseInfo) -> str:
    """What happened, and what to do about it on a command line."""
    if cause.kind == "denied":
        remedy = next((text for word, text in _DENIED.items() if word in cause.remedy), _FILES)
    else:
        remedy = _REMEDIES.get(cause.kind, cause.remedy)
    return f"{cause.kind}: {terminal.plain(cause.message)}. {remedy}"


def state_in_words(state: StateInfo, known: Collection[str] = ()) -> Iterator[str]:
    """What became of the variables of a stored session; `known` are those of which it was said already."""
    if state.kind == "restored":
        yield f"the variables are as they were after execution {state.restored_to}"
    names = [terminal.plain(name) for name in state.lost_names if name not in known]
    if names:
        shown = ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")
        yield f"not stored: {shown}. `sandbox sessions show` says why"


def names_of(artifacts: Iterable[Any]) -> str:
    """Some names, fit for one line."""
    names = [terminal.plain(artifact.name) for artifact in artifacts]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
