"""`sandbox repl`: an interactive session. What is typed is looked at here, to know where it ends, and runs inside."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from sandbox.cli import arguments, cells, cells_node, terminal
from sandbox.cli.flags import REPL_COMMANDS, repl_parser
from sandbox.cli.report import Report, asks_to_leave, in_plain_words, state_in_words
from sandbox.cli.session import Session, start_ahead
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Timer
    from types import FrameType

    from sandbox.cli.cells import Rules
    from sandbox.cli.keep import Keeper
    from sandbox.protocol.messages import ArtifactInfo, CommandFinished, ExecutionFinished, ResultShown


_TITLES = {"python": "Python", "javascript": "JavaScript", "typescript": "TypeScript"}


def main(argv: list[str]) -> int:
    """Run the session to its end; return the exit code. Raises SandboxError, OSError."""
    args = repl_parser().parse_args(argv, arguments.Arguments())
    keeper = start_ahead(args.environment or args.packages or None)
    options = arguments.sandbox_options(args)
    files = arguments.files_to_bring(args.file)
    if options.isolation == "none":
        terminal.note("isolation none: what you type can do whatever you may do")
    keep = None
    if args.artifacts is not None:
        from sandbox.cli.keep import Keeper  # noqa: PLC0415 - most sessions keep nothing

        keep = Keeper(args.artifacts, replace=args.replace)
    session = Session(options, keeper, args.session)
    try:
        for local, inside in files:
            session.upload(local, inside)
        rules = cells if session.opened.language == "python" else cells_node
        repl = Repl(session, options.timeout, keep, rules)
        if not os.isatty(0):
            return repl.read(rules.split(_standard_input()))
        from sandbox.cli.prompt import Prompt  # noqa: PLC0415 - 150 ms that only a terminal needs

        terminal.write(terminal.OUT, _greeting(session, options.memory, stored=args.session is not None))
        return repl.read(Prompt(session, rules), interactive=True)
    finally:
        session.close()


def _greeting(session: Session, memory: int, *, stored: bool) -> str:
    opened = session.opened
    where = f"isolation {opened.isolation}, network {opened.network}, {memory} MB of memory"
    lines = [f"{_TITLES[opened.language]} in a sandbox: {where}."]
    if stored:
        before = session.executions
        so_far = f"goes on after {before} execution{'s' * (before != 1)}" if before else "begins"
        lines.append(f"The session {terminal.plain(session.id)} {so_far}; it is stored.")
    lines.append("!command runs a shell, %help lists the rest, Ctrl-D leaves.\n")
    return "\n".join(lines)


def _standard_input() -> str:
    with open(0, "rb", closefd=False) as file:
        return file.read().decode("utf-8", "replace").replace("\r\n", "\n")


class Repl:
    """Runs cells and commands, and shows what comes of them."""

    def __init__(self, session: Session, timeout: float | None, keep: Keeper | None, rules: Rules) -> None:
        self._session = session
        self._rules = rules
        self._timeout = timeout
        self._keeper = keep
        self._artifacts: list[str] = []
        self._interrupts = 0
        self._hint: Timer | None = None
        self._command: int | None = None
        self._failed = False
        self._lost: tuple[str, ...] = ()
        self._line_open = False

    def read(self, source: Iterable[str], *, interactive: bool = False) -> int:
        """Run each cell of `source` until it ends or a cell calls exit; return the exit code."""
        failed = False
        for text in source:
            if self._rules.leaves(text):
                return 0
            code = self._run(text)
            if code is not None:
                return code
            failed = failed or self._failed
            if interactive and self._line_open:
                self._write("stdout", "\n")
        return int(failed and not interactive)

    def _run(self, text: str) -> int | None:
        """Run one cell or command. Returns an exit code if it asked to leave."""
        self._failed = False
        self._interrupts = 0
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            return self._run_any(text.strip("\n"))
        except KeyboardInterrupt:
            terminal.note("it is being ended: what does not stop within 2 s is killed, and its variables with it")
            self._failed = True
        except SandboxError as error:
            terminal.note(error.message)
            self._failed = True
        finally:
            signal.signal(signal.SIGINT, before)
            if self._hint is not None:
                self._hint.cancel()
        return None

    def _run_any(self, text: str) -> int | None:
        if not text.strip():
            return None
        if not cells.is_command(text):
            return self._run_cell(text)
        name = text.strip()
        if name[0] == "!":
            self._run_shell(name[1:])
        elif name in {"%files", "%artifacts", "%help"}:
            getattr(self, f"_show_{name[1:]}")()
        else:
            terminal.note(f"there is no {name.split()[0]}; %help lists what there is")
            self._failed = True
        return None

    # --- cells ---

    def _run_cell(self, code: str) -> int | None:
        from sandbox.protocol import messages as m  # noqa: PLC0415 - imported by the session already

        for event in self._session.run(code, self._timeout):
            match event:
                case m.Output():
                    self._write(event.stream, event.text)
                case m.ResultShown():
                    self._show(event)
                case m.ExecutionFinished():
                    return self._finish(event)
        raise SandboxError("the answer ended without the end of the execution")

    def _show(self, result: ResultShown) -> None:
        text = result.data.get("text/plain")
        if isinstance(text, str):
            self._write("stdout", f"{text}\n")

    def _finish(self, end: ExecutionFinished) -> int | None:
        report = Report(f"<cell {end.number}>", collect=False)
        report.ended(end, decides=True)
        if end.error is not None and asks_to_leave(end.error):
            report.explain(end)
            return report.exit_code
        self._failed = end.error is not None
        if end.error is not None and self._line_open:
            self._write("stdout", "\n")
        report.explain(end)
        for text in state_in_words(end.state, self._lost):
            terminal.note(text)
        self._lost = end.state.lost_names
        if end.state.kind == "lost":
            terminal.note(f"the variables are {end.state.kind}: the next line begins in a fresh worker")
        self._keep(end.artifacts)
        return None

    def _keep(self, artifacts: tuple[ArtifactInfo, ...]) -> None:
        if self._keeper is not None:
            self._artifacts += self._keeper.keep(artifacts).values()
            return
        for artifact in artifacts:
            self._artifacts.append(artifact.path)
            terminal.note(f"artifact {terminal.plain(artifact.path)}")

    # --- commands ---

    def _run_shell(self, script: str) -> None:
        from sandbox.protocol import messages as m  # noqa: PLC0415

        request = m.StartCommand(self._session.id, ("/bin/sh", "-c", script), timeout=self._timeout)
        try:
            for event in self._session.stream(request):
                match event:
                    case m.CommandStarted():
                        self._command = event.command
                    case m.Output():
                        self._write(event.stream, event.text)
                    case m.CommandFinished():
                        self._finish_shell(event)
        finally:
            self._command = None

    def _finish_shell(self, end: CommandFinished) -> None:
        self._failed = end.exit_code != 0
        if end.cause is not None:
            terminal.note(in_plain_words(end.cause))
        elif end.exit_code:
            terminal.note(f"exit code {end.exit_code}")

    def _show_files(self) -> None:
        for entry in self._session.files():
            mark = {"directory": "/", "link": "@"}.get(entry.kind, "")
            self._write("stdout", f"{entry.size:>12,}  {terminal.plain(entry.path)}{mark}\n")

    def _show_artifacts(self) -> None:
        for path in self._artifacts:
            self._write("stdout", f"{terminal.plain(path)}\n")

    def _show_help(self) -> None:
        self._write("stdout", REPL_COMMANDS)

    # --- the terminal ---

    def _write(self, stream: str, text: str) -> None:
        terminal.write(terminal.OUT if stream == "stdout" else terminal.ERR, text)
        self._line_open = not text.endswith("\n")

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt inside; the second time, stop waiting, which ends what does not stop."""
        self._interrupts += 1
        if self._interrupts > 1:
            raise KeyboardInterrupt
        self._hint = terminal.hint("it is interrupted, and runs on; Ctrl-C again ends it, and its variables with it")
        if self._command is not None:
            self._session.signal(self._command, signal.SIGINT)
        else:
            self._session.interrupt()
