"""Who ran what and when: one line of JSON for each thing that somebody has done, in a file that is only added to."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path

import msgspec

from sandbox.protocol import messages as m
from sandbox.server.keys import Key

_log = logging.getLogger("sandbox.server")
_DONE = (
    m.OpenSession, m.CloseSession, m.DeleteSession, m.Run, m.StartCommand, m.WriteFile, m.RemoveFile, m.RenameFile,
    m.MakeCheckpoint, m.Rollback, m.Fork, m.Export, m.StartWebApp, m.RestartWebApp, m.StopWebApp, m.SetNetwork,
    m.ScreenshotWebApp, m.RemoveArtifacts, m.CreateAnimation, m.StartTerminal,
)  # fmt: skip
_LOOK_SECONDS = 1.0


class Caller(msgspec.Struct, frozen=True):
    """Who asks: with what key, from where, under what id of its request."""

    key: Key
    request_id: str
    address: str


class Audit:
    """Appends to a file, and begins another one when that was moved away, as logrotate does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = self._open()
        self._looked = time.monotonic()

    def _open(self) -> int:
        return os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, caller: Caller, request: m.Request, last: m.LastEvent, seconds: float) -> None:
        """Write down what was asked, and what came of it. Code and arguments only by their digest."""
        if not isinstance(request, _DONE):
            return
        line = {
            "at": time.time(), "request": caller.request_id, "key": caller.key.id, "owner": caller.key.owner,
            "address": caller.address, "do": request.__struct_config__.tag, "session": request.session,
            "seconds": round(seconds, 6), **_what(request), **_outcome(last),
        }  # fmt: skip
        self._reopen_if_moved()
        data = msgspec.json.encode(line)
        try:
            os.write(self._fd, data + b"\n")
        except OSError as error:  # a full disk: the caller still gets its answer, and the server's log has the line
            _log.error("the audit log could not be written (%s): %s", error, data.decode())

    def _reopen_if_moved(self) -> None:
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            try:
                moved = os.stat(self._path).st_ino != os.fstat(self._fd).st_ino
            except FileNotFoundError:
                moved = True
            if moved:
                os.close(self._fd)
                self._fd = self._open()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _what(request: m.Request) -> dict[str, object]:
    match request:
        case m.Run() | m.CreateAnimation():
            return {"code_sha256": _digest(request.code)}
        case m.StartCommand() | m.StartTerminal():
            return {"program": request.argv[0][:200] if request.argv else "", "argv_sha256": _digest(*request.argv)}
        case m.StartWebApp() | m.RestartWebApp() | m.StopWebApp():
            return {"app": (request.name or "")[:200], **_served(request)}
        case m.WriteFile() | m.RemoveFile() | m.RenameFile():
            return {"path": request.path[:200]}
        case m.SetNetwork():
            return {"network": request.network, "allow": request.policy.allow}
    return {"forks": request.ids} if isinstance(request, m.Fork) else {}


def _served(request: m.StartWebApp | m.RestartWebApp | m.StopWebApp) -> dict[str, object]:
    if isinstance(request, m.StopWebApp):
        return {}
    if request.command:
        return {"program": request.command[0][:200], "argv_sha256": _digest(*request.command)}
    return {"path": request.path[:200]} if request.path else {"code_sha256": _digest(request.code or "")}


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()


def _outcome(last: m.LastEvent) -> dict[str, object]:
    match last:
        case m.ExecutionFinished():
            cause = last.cause.kind if last.cause else None
            return {"outcome": last.status, "execution": last.number, "cause": cause}
        case m.CommandFinished():
            return {"outcome": last.exit_code, "cause": last.cause.kind if last.cause else None}
        case m.Failed():
            return {"outcome": "failed", "error": last.code}
    return {"outcome": "ok"}
