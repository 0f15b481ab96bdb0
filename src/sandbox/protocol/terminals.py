"""Programs on a terminal of their own."""

from __future__ import annotations

from msgspec import field

from sandbox.protocol.base import LastEvent, Request


class StartTerminal(Request, frozen=True, tag="start_terminal"):
    """Run a program on a pseudo-terminal of so many columns and rows. Answered by `TerminalStarted`.

    `WriteStdin` types, `SignalCommand` signals. Its output waits until somebody asks for it; where nobody does for
    `unread` seconds it is hung up.
    """

    session: str
    argv: tuple[str, ...]
    cols: int = 80
    rows: int = 24
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    unread: float | None = None


class ReadTerminal(Request, frozen=True, tag="read_terminal"):
    """Wait for what a terminal's program has printed, or its end. Answered by `TerminalRead`."""

    session: str
    command: int


class ResizeTerminal(Request, frozen=True, tag="resize_terminal"):
    """Give a terminal another size. Its program hears of it."""

    session: str
    command: int
    cols: int
    rows: int


class CloseTerminal(Request, frozen=True, tag="close_terminal"):
    """Hang up: end the terminal, its program and what that has in the foreground. Answered by `TerminalRead`."""

    session: str
    command: int


class TerminalStarted(LastEvent, frozen=True, tag="terminal_started"):
    """The program runs; `command` is what the terminal is called."""

    command: int


class TerminalRead(LastEvent, frozen=True, tag="terminal_read"):
    """The next bytes, at most 64 KB, or none and how the program has ended: its exit code, or minus a signal."""

    data: bytes
    exit_code: int | None = None
