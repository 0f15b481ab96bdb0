"""The worker's life: receive a request, run it, send its events, until the engine closes the socket."""

import builtins
import os
import resource
import signal
import sys
import types
from typing import Any

from .channel import Channel
from .checkpoints import Checkpoints
from .complete import complete
from .display import Display
from .orphans import take_exits
from .past import Past
from .reserve import Reserve
from .run import Runner
from .setup import attach, place, prepare, reseed
from .streams import Streams, streams_on_pipes

# The part of the zygote's memory that a worker changes by using it (its objects count references): then it is its own.
_CHANGED = 5


class Worker:
    """One session's process. Holds the namespace, which is the dict of a module named __main__.

    Everything is made in the zygote, before the fork: what a new process makes, it makes slowly, because each page
    of memory that it touches first is copied.
    """

    def __init__(self) -> None:
        self.data_bytes = 0
        self._channel = Channel()
        with streams_on_pipes():
            self._streams = Streams(self._channel)
        display = Display(self._channel, self._streams)
        main = types.ModuleType("__main__")
        main.__builtins__ = builtins  # type: ignore[attr-defined]
        self._reserve = Reserve()
        self._past = Past(display)
        self._runner = Runner(main, display, self._streams, self._reserve, self._past)
        self._checkpoints = Checkpoints(main)
        sys.modules["__main__"] = main
        sys.stdout, sys.stderr = self._streams.out, self._streams.err
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
        prepare(display)
        signal.signal(signal.SIGINT, self._runner.on_interrupt)

    def note(self) -> None:
        """In the zygote, after each import: what every worker will have."""
        self._checkpoints.prepare()

    def measure(self) -> None:
        """In the zygote: note how much writable memory every worker begins with, and will not have to pay for."""
        with open("/proc/self/statm", encoding="ascii") as file:
            _, resident, of_files, _, _, data, _ = map(int, file.read().split())
        self.data_bytes = (data - (resident - of_files) // _CHANGED) * resource.getpagesize()

    def serve(self, control: int, ack: int, state: int) -> None:
        """In the new process: answer requests, one at a time."""
        self._channel.open(control, ack)
        self._checkpoints.open(state)
        self._past.open()
        try:
            while (request := self._next()) is not None:
                self._handle(request)
        except MemoryError:  # ours, and beyond help: what user code raises is its cell's result
            self._channel.send_out_of_memory()

    def _next(self) -> "dict[str, Any] | None":
        """Wait for a request; meanwhile let the tasks that a cell left behind run on."""
        while True:
            try:
                if not self._channel.has_request:
                    self._runner.run_tasks_until(self._channel.fileno())
                    self._past.give_back(self._channel.fileno())
                return self._channel.receive()
            except KeyboardInterrupt:
                continue  # an interrupt that came too late for its execution

    def _handle(self, request: dict[str, Any]) -> None:
        match request["do"]:
            case "place":
                place(request)
            case "attach":
                attach(request, self.data_bytes)
                self._reserve.open()
            case "run":
                self._run(request)
            case "complete":
                found = complete(self._runner.main.__dict__, request["code"], request["cursor"])
                self._channel.send({"event": "completions", **found})
            case "clear_cache":
                self._runner.cells.clear()
                self._channel.send({"event": "done"})
            case "restore" | "check" | "tried":
                self._checkpoints.answer(request, self._channel.send)
            case "reseed":
                reseed()
                self._channel.send({"event": "done"})
            case "warm_up":
                self._runner.warm_up()
                self._channel.send({"event": "done"})

    def _run(self, request: dict[str, Any]) -> None:
        if request["save"]:
            self._checkpoints.begin()
        try:
            end = self._runner.run(request["code"], request["number"], request["key"])
        except KeyboardInterrupt as late:
            # It struck in the few steps between the cell's end and the interrupt's being refused.
            end = self._runner.end_interrupted(late)
        if not self._channel.mine:
            # User code forked and this is the copy: it must not go on as a second worker.
            self._streams.settle()
            os._exit(end["error"]["exit_code"] if end["error"] else 0)
        self._channel.send({**end, "number": request["number"]})
        if request["save"]:
            self._save(request)
        take_exits()

    def _save(self, request: dict[str, Any]) -> None:
        cell = self._runner.cells.known(request["code"], request["key"])
        codes = [code for code in cell or () if code is not None]
        saved = self._checkpoints.save(request["number"], codes, request["code"], whole=request["save"] == "whole")
        self._channel.send(saved.event)
        saved.send_rest()
