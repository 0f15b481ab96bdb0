"""A session of an engine that is this process's own: gone at its end, or stored under an id."""

from __future__ import annotations

import sys
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from sandbox.errors import SandboxStartError, from_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.cli.seat import Opener
    from sandbox.engine.keeper import KeeperProcess
    from sandbox.engine.thread import EngineThread
    from sandbox.options import SandboxOptions
    from sandbox.protocol import messages as m

    Last = TypeVar("Last", bound=m.LastEvent)


_LOOK_UP_SECONDS = 0.1


def start_ahead(environment: object) -> KeeperProcess | None:
    """Start the process that will confine the code, while this one imports what it takes to talk to it.

    Only for this interpreter: finding another one may take longer. Raises SandboxStartError off Linux.
    """
    if sys.platform != "linux":
        raise SandboxStartError(
            f"a local sandbox needs Linux, and this is {sys.platform}: use a server on a Linux machine"
        )
    if environment is not None:
        return None
    from sandbox.engine.keeper import KeeperProcess  # noqa: PLC0415 - nothing of this module is imported off Linux

    return KeeperProcess(sys.executable)


def _next(arrived: SimpleQueue[tuple[bytes, bool]]) -> tuple[bytes, bool]:
    """Wait for the next event. Looks up now and then: a signal that comes just before the wait does not end it."""
    while True:
        try:
            return arrived.get(timeout=_LOOK_UP_SECONDS)
        except Empty:
            continue


def _import_engine() -> type[EngineThread]:
    """Import the engine without TLS: asyncio takes 8 ms to import it if it can, and does without it if it cannot."""
    missing = "ssl" not in sys.modules
    if missing:
        sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        from sandbox.engine.thread import EngineThread  # noqa: PLC0415
    finally:
        if missing:
            del sys.modules["ssl"]
    return EngineThread


class Session:
    """Open from its making to `close`. Calls block; `interrupt` and `signal` may be used in a signal handler.

    `stored` is the id of one that goes on or begins, and is kept; without it the session ends with this object.
    """

    def __init__(self, options: SandboxOptions, keeper: KeeperProcess | None, stored: str | None = None) -> None:
        # The bulk of the imports: while they run, the keeper is starting.
        from msgspec import structs  # noqa: PLC0415

        from sandbox.protocol import messages  # noqa: PLC0415
        from sandbox.sdk.convert import session_options  # noqa: PLC0415

        engine_thread = _import_engine()
        self._m = messages
        wanted = session_options(options)
        # Nothing is parked and nothing warmed: there is one worker, and it would be in its way.
        wanted = structs.replace(wanted, environment=structs.replace(wanted.environment, warm=()))
        self._stored, self._touched = stored is not None, False
        self.engine = engine_thread(parked=0, keeper=keeper)
        try:
            self.opened = self._ask(messages.OpenSession(wanted, stored), messages.SessionOpened)
        except BaseException:
            self.engine.close()
            raise

    @property
    def id(self) -> str:
        """The session's id."""
        return self.opened.session

    def stream(self, request: m.Request) -> Iterator[m.AnyEvent]:
        """Yield the events of an answer. Raises SandboxError. Ending the iteration early cancels the request."""
        # Executions are stored with the files that they find changed; what else may have changed some is not.
        self._touched |= isinstance(request, (self._m.StartCommand, self._m.WriteFile))
        arrived: SimpleQueue[tuple[bytes, bool]] = SimpleQueue()
        call = self.engine.submit(self._m.encode(request), lambda data, last: arrived.put((data, last)))
        last = False
        try:
            while not last:
                data, last = _next(arrived)
                event = self._m.decode_event(data)
                if isinstance(event, self._m.Failed):
                    raise from_wire(event.code, event.message, event.details)
                yield event
        finally:
            if not last:
                call.cancel()

    def _ask(self, request: m.Request, answer: type[Last]) -> Last:
        (*_, last) = self.stream(request)
        assert isinstance(last, answer)
        return last

    def run(self, code: str, timeout: float | None = None) -> Iterator[m.AnyEvent]:
        """Run code; yield its events."""
        return self.stream(self._m.Run(self.id, code, timeout))

    def interrupt(self) -> None:
        """Interrupt what runs, without waiting."""
        self._tell(self._m.Interrupt(self.id))

    def signal(self, command: int, number: int) -> None:
        """Send a signal to a command, without waiting."""
        self._tell(self._m.SignalCommand(self.id, command, number))

    def _tell(self, request: m.Request) -> None:
        self.engine.submit(self._m.encode(request), lambda _data, _last: None)

    def complete(self, code: str, cursor: int) -> m.Completions:
        """What could stand at `cursor`, from the live session."""
        return self._ask(self._m.Complete(self.id, code, cursor), self._m.Completions)

    def upload(self, local: str, inside: str) -> None:
        """Copy a file into the workspace. Raises OSError for the local one, SandboxFileError, UsageError."""
        from sandbox.sdk.blocking import BlockingTransport  # noqa: PLC0415
        from sandbox.sync.connection import Connection  # noqa: PLC0415 - most runs bring no file
        from sandbox.sync.files import Files  # noqa: PLC0415

        connection = Connection(BlockingTransport(self.engine))
        connection.session = self.id
        self._touched = True
        Files(connection).upload(local, inside)

    def opener(self, program: list[str] | None, env: dict[str, str]) -> Opener:
        """Opens terminals with a program, a shell if it is None. Raises UsageError."""
        from sandbox.sdk.connection import Connection  # noqa: PLC0415 - few sessions have terminals
        from sandbox.sdk.terminal import Terminal  # noqa: PLC0415
        from sandbox.sdk.transport import Carried  # noqa: PLC0415

        connection = Connection(Carried(self.engine))
        connection.session = self.id
        self._touched = True
        return lambda cols, rows: Terminal.of(connection, program, (), cols, rows, None, env)

    def write(self, path: str, data: bytes) -> None:
        """Write a small file into the workspace. Raises SandboxFileError, UsageError."""
        self._ask(self._m.WriteFile(self.id, path, data), self._m.Done)

    def asked_for(self) -> tuple[str, ...]:
        """The rules that would allow what the code has asked the network for."""
        return self._ask(self._m.GetNetwork(self.id), self._m.NetworkShown).wanted

    def files(self) -> list[m.FileEntry]:
        """Everything in the workspace."""
        answer = self._ask(self._m.ListFiles(self.id, ".", recursive=True), self._m.FilesListed)
        return list(answer.entries)

    @property
    def executions(self) -> int:
        """How many executions the session has had, in other processes too."""
        return self._ask(self._m.GetStats(self.id), self._m.StatsCounted).total_executions

    def close(self) -> None:
        """Store the session, or delete it, and end the engine; waits until nothing is left. Raises SandboxError."""
        try:
            if self._stored and self._touched:
                self._ask(self._m.MakeCheckpoint(self.id), self._m.CheckpointsListed)
            end = self._m.CloseSession if self._stored else self._m.DeleteSession
            self._ask(end(self.id), self._m.Done)
        finally:
            self.engine.close()
