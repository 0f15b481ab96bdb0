"""`sandbox run`: one program in a sandbox of its own, which is gone when it ends; or an execution of a session."""

from __future__ import annotations

import gc
import signal
import time
from itertools import takewhile
from typing import TYPE_CHECKING

from sandbox.cli import arguments, program, session, terminal
from sandbox.cli.report import INTERRUPTED, Report, failure_as_json, names_of
from sandbox.errors import SandboxError, UsageError

if TYPE_CHECKING:
    from threading import Timer
    from types import FrameType

    from sandbox.cli.keep import Keeper
    from sandbox.protocol.messages import ExecutionFinished


def main(argv: list[str]) -> int:
    """Run a program; return its exit code. Raises SandboxError, OSError."""
    args = arguments.without_flags(argv)
    if args is None:
        from sandbox.cli.flags import run_parser  # noqa: PLC0415 - 5 ms that a run without flags does without

        parser = run_parser()
        parser.raises = "--json" in takewhile(lambda text: text != "--", argv)
        try:
            args = parser.parse_args(argv, arguments.Arguments())
        except UsageError as error:
            return _not_run(error)
    if not args.json:
        return _run(args)
    try:
        return _run(args)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - who reads JSON gets JSON, whatever went wrong
        return _not_run(error)


def _not_run(error: Exception) -> int:
    """Print the object of --json for a failure; return the exit code."""
    from sandbox.cli.main import failure  # noqa: PLC0415

    code, message = failure(error)
    terminal.write_bytes(terminal.OUT, failure_as_json(code, type(error).__name__, message))
    return code


def _run(args: arguments.Arguments) -> int:
    begin = time.perf_counter()
    gc.disable()  # there is no garbage yet, only imports, and looking for it takes 4 ms
    arguments.with_language(args)
    what = program.read_program(args.code, args.rest)._replace(node=args.language not in {None, "python"})
    keep = None
    if args.artifacts is not None:
        from sandbox.cli.keep import Keeper  # noqa: PLC0415 - most runs keep nothing

        keep = Keeper(args.artifacts, replace=args.replace)
    keeper = session.start_ahead(args.environment or args.packages or None)
    options = arguments.sandbox_options(args)
    if args.packages and args.verbose:
        terminal.note(f"an environment with {', '.join(args.packages)}: built by uv, unless it is kept already")
    files = arguments.files_to_bring(args.file)
    if options.isolation == "none":
        terminal.note("isolation none: the code can do whatever you may do")
    box = session.Session(options, keeper, args.session)
    gc.freeze()  # all that is there now stays, and looking through it takes as long
    gc.enable()
    try:
        report = Report(what.name, collect=args.json, session=args.session)
        run = Run(box, what, report, options.timeout)
        if args.verbose:
            run.show_isolation(time.perf_counter() - begin)
        run.bring(files)
        run.run()
        run.finish(args, keep)
    finally:
        box.close()
    if args.json:
        terminal.write_bytes(terminal.OUT, run.report.as_json())
    return run.report.exit_code


class Run:
    """One program in a session: what comes before its code, its code, and what the interpreter does at its end."""

    def __init__(self, box: session.Session, what: program.Program, report: Report, timeout: float | None) -> None:
        self.report = report
        self._box = box
        self._program = what
        self._left = timeout
        self._interrupts = 0
        self._hint: Timer | None = None

    def bring(self, files: list[tuple[str, str]]) -> None:
        """Copy files into the workspace, the script among them, and set sys.argv."""
        if self.report.session is not None and not files and self._program.is_bare:
            return  # in a session this would be an execution like others, and is spared where it does nothing
        for local, inside in files:
            self._box.upload(local, inside)
        if self._program.file is not None:
            self._box.write(self._program.file, self._program.script)
        # Apart from the report: what it finds new in the workspace is what was brought.
        for event in self._box.run(self._program.prelude):
            if event.last and getattr(event, "error", None) is not None:
                raise SandboxError("the sandbox did not take the program's arguments")

    def run(self) -> None:
        """Run the code, then wait for its threads and call its exit handlers, within the same time."""
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            end = self._execute(self._program.code, decides=True)
            if self.report.session is None and end.status in {"ok", "error", "interrupted"}:
                self._execute(self._program.epilogue)
        finally:
            signal.signal(signal.SIGINT, before)
            if self._hint is not None:
                self._hint.cancel()

    def _execute(self, code: str, *, decides: bool = False) -> ExecutionFinished:
        from sandbox.protocol import messages as m  # noqa: PLC0415 - imported by the session already

        for event in self._box.run(code, self._left):
            if isinstance(event, m.Output):
                self.report.printed(event.stream, event.text)
            elif isinstance(event, m.ResultShown):
                self.report.showed(event)
            elif isinstance(event, m.ExecutionFinished):
                end = event
        self.report.ended(end, decides=decides)
        if not self.report.collects:
            self.report.explain(end)
        if self._left is not None:
            self._left = max(self._left - end.execution_time, 0.001)
        return end

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            # The keeper ends the code and cleans up.
            terminal.leave(INTERRUPTED)
        self._hint = terminal.hint("it is interrupted, and runs on; Ctrl-C ends it at once")
        self._box.interrupt()

    # --- after the end ---

    def finish(self, args: arguments.Arguments, keep: Keeper | None) -> None:
        """Keep the artifacts, and say what was asked for."""
        artifacts = [artifact for end in self.report.ends for artifact in end.artifacts]
        if keep is not None:
            self.report.kept = keep.keep(artifacts, say=not args.json)
        elif artifacts and args.session is None and not args.json:
            terminal.note(f"dropped with the sandbox: {names_of(artifacts)}. Keep such files with --artifacts DIR")
        if args.list_files and not args.json:
            self._list_files()
        if args.network == "learn" and not args.json:
            self._show_network()
        if args.verbose:
            self._show_usage()

    def _show_network(self) -> None:
        import shlex  # noqa: PLC0415 - most runs need it not

        flags = " ".join(f"--allow-host {shlex.quote(rule)}" for rule in self._box.asked_for())
        terminal.note(f"to allow what it has asked for: {flags}" if flags else "it has not asked for the network")

    def _list_files(self) -> None:
        for kind in ("created", "modified", "deleted"):
            for path in sorted({path for end in self.report.ends for path in getattr(end.files, kind)}):
                terminal.note(f"{kind} {terminal.plain(path)}")

    def show_isolation(self, seconds: float) -> None:
        """Say what confines the code, and how long it took to get there."""
        opened = self._box.opened
        terminal.note(
            f"isolation {opened.isolation}, network {opened.network}, started in {seconds * 1000:.0f} ms; "
            f"in force: {', '.join(opened.enforced)}"
        )

    def _show_usage(self) -> None:
        seconds = sum(end.execution_time for end in self.report.ends)
        cpu = sum(end.usage.cpu_seconds for end in self.report.ends)
        peak = max(end.usage.peak_memory for end in self.report.ends)
        measured = f", {cpu:.3f} s of cpu time, at most {peak / 1e6:.0f} MB" if peak else ""
        terminal.note(f"it took {seconds:.3f} s{measured}")
