"""The zygote: forks workers that are already warm.

One thread and no event loop, because fork copies only the calling thread and would leave the locks of the others
held for ever. It holds no key and no environment, because every worker inherits its memory. It takes messages
from the engine only; a worker cannot reach it.
"""

import base64
import contextlib
import gc
import os
import resource
import select
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn

from .. import kernel
from ..contain import environment, pid_namespace, proc_view
from ..contain.apply import Preparer
from ..contain.plan import Descriptors, Mount, Plan
from ..contain.policy import NAMESPACES, WORKSPACE
from ..contain.read_only_view import View
from ..python.loop import Worker
from ..python.setup import reseed
from . import channel, orphans, signals, sockets, warm
from .become import become_command, become_program, become_worker, prepare_command, prepare_worker
from .fork import fork_into, note_handlers


class Boot(NamedTuple):
    """What the engine tells the keeper to start. `own_ids`: first and count of the ids for workers, if root."""

    level: str
    own_ids: "tuple[int, int] | None"
    view: View
    paths: tuple[str, ...]
    prefix: str
    warm: tuple[str, ...]
    variables: dict[str, str]
    without: frozenset[str]
    zygote_filter: bytes
    worker_filter: bytes
    readable: tuple[str, ...]
    network: str

    @classmethod
    def parse(cls, message: dict[str, Any]) -> "Boot":
        view = message["view"]
        own_ids = message["own_ids"]
        return cls(
            level=message["level"],
            own_ids=(own_ids[0], own_ids[1]) if own_ids else None,
            view=View(tuple(view["shown"]), view["links"], view["files"], tuple(view["directories"]), view["staging"]),
            paths=tuple(message["paths"]),
            prefix=message["prefix"],
            warm=tuple(message["warm"]),
            variables=message["variables"],
            without=frozenset(message["without"]),
            zygote_filter=base64.b64decode(message["zygote_filter"]),
            worker_filter=base64.b64decode(message["worker_filter"]),
            readable=tuple(message["readable"]),
            network=message["network"],
        )


class Zygote:
    """Serves fork requests until the engine's socket closes."""

    def __init__(self, boot: Boot, engine: socket.socket) -> None:
        self._boot = boot
        self._engine = engine
        self._to_warm = list(boot.warm)
        self._preparer = Preparer()
        self._running: dict[int, int] = {}  # pid -> the engine's number for it
        self._masked = _existing(proc_view.MASKED) if boot.level == NAMESPACES else ()
        self._own_pid_namespace = pid_namespace.own() if boot.level == NAMESPACES else -1
        self._own_network = -1  # until somebody asks for a socket in a worker's

    def serve(self) -> NoReturn:
        """Until the engine is gone."""
        self._until_the_end(self._settle_in, self._serve)

    def _until_the_end(self, *steps: "Callable[[], None]") -> NoReturn:
        """What the workers started must not outlast this process, whose own mistakes end it too."""
        try:
            for step in steps:
                step()
        except ConnectionError:
            self._end()
        except BaseException:  # noqa: BLE001 - whatever it is, what was started must be ended
            traceback.print_exc()
        self._end(1)

    def _serve(self) -> NoReturn:
        signals.take_all()
        ended = signals.child_ends()
        poll = select.poll()
        poll.register(self._engine, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while True:
            # Warm one module at a time, and only while nobody waits for a worker.
            ready = {fd for fd, _ in poll.poll(0 if self._to_warm else None)}
            if ended in ready:
                signals.drain(ended)
                self._reap()
            if self._engine.fileno() in ready:
                self._handle()
            elif self._to_warm:
                self._warm_next()

    def _settle_in(self) -> None:
        boot = self._boot
        environment.replace(boot.variables)
        # The site module did not run (-S): it would run code of the environment's .pth files here.
        sys.path[:] = [path for path in sys.path if os.path.isabs(path)] + list(boot.paths)
        if boot.level == NAMESPACES:
            sys.path.insert(0, WORKSPACE)  # empty here, and never written to; a worker's is its own
        sys.prefix = sys.exec_prefix = boot.prefix
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        note_handlers()
        self._worker = Worker()
        if boot.zygote_filter:
            if boot.level != NAMESPACES:
                kernel.do(kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")
            kernel.do(kernel.seccomp_load(boot.zygote_filter), "seccomp")
        self._freeze()

    def _handle(self) -> None:
        received = channel.receive(self._engine)
        if received is None:
            self._end()
        message, fds = received
        match message["do"]:
            case "fork_worker":
                self._fork_worker(message, fds)
            case "fork_command":
                self._fork_command(message, fds)
            case "fork_zygote":
                self._fork_zygote(message, fds)
            case "signal_group":
                self._signal_group(message["id"], message["signal"])
            case "make_socket":
                self._make_socket(message["id"], fds)

    def _fork_worker(self, message: dict[str, Any], fds: list[int]) -> None:
        birth = prepare_worker(self._preparer, self._worker, *self._plan(message, fds))
        self._next_pid_namespace()
        become = partial(become_program, message["program"]) if message["program"] else become_worker
        self._fork(message["id"], fds, partial(become, birth))
        reseed()

    def _fork_command(self, message: dict[str, Any], fds: list[int]) -> None:
        launch = prepare_command(self._preparer, *self._plan(message, fds))
        if self._own_pid_namespace >= 0:
            try:
                pid_namespace.join_fork(launch.worker)
            except OSError as error:
                self._answer_failed(message["id"], fds, error)
                return
        self._fork(message["id"], fds, partial(become_command, launch))

    def _fork(self, number: int, fds: list[int], run: Callable[[], object]) -> None:
        try:
            pid = fork_into(run)
        except OSError as error:
            self._answer_failed(number, fds, error)
            return
        self._running[pid] = number
        _close(fds)
        pidfd = os.pidfd_open(pid)
        channel.send(self._engine, {"forked": number}, (pidfd,))
        os.close(pidfd)

    def _fork_zygote(self, message: dict[str, Any], fds: list[int]) -> None:
        if self._own_pid_namespace >= 0:
            pid_namespace.same_fork(self._own_pid_namespace)  # and not the one of the latest worker
        self._fork(message["id"], fds, partial(self._go_on, fds[0], message["warm"]))

    def _go_on(self, engine: int, modules: "list[str]") -> NoReturn:
        """In a new process: be a zygote too, which serves another socket and has these modules besides."""
        kernel.do(kernel.set_process_name("sandbox-zygote"), "prctl")
        self._engine.close()
        self._engine = socket.socket(fileno=engine)
        self._running = {}
        self._to_warm = modules
        if self._own_pid_namespace < 0:
            kernel.do(kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER")
        self._until_the_end(self._serve)

    def _answer_failed(self, number: int, fds: "list[int]", error: OSError) -> None:
        _close(fds)
        channel.send(self._engine, {"fork_failed": number, "errno": error.errno, "message": str(error)})

    def _next_pid_namespace(self) -> None:
        if self._own_pid_namespace < 0:
            return
        if "pid_namespace" in self._boot.without:
            pid_namespace.same_fork(self._own_pid_namespace)
        else:
            pid_namespace.next_fork(self._own_pid_namespace)

    def _signal_group(self, number: int, signal_number: int) -> None:
        """Signal the process group that a command leads. Its pid cannot be another's: it was not reaped yet."""
        for pid, known in self._running.items():
            if known == number:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal_number)

    def _make_socket(self, number: int, fds: "list[int]") -> None:
        if self._own_network < 0:
            self._own_network = sockets.own_network()
        try:
            made = sockets.make(self._own_network, fds[0])
        except OSError as error:
            self._answer_failed(number, fds, error)
            return
        _close(fds)
        with made:
            channel.send(self._engine, {"made": number}, (made.fileno(),))

    def _reap(self) -> None:
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._running.pop(pid, None)
            if number is not None:
                code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
                channel.send(self._engine, {"ended": number, "code": code, "cpu": cpu})
            if self._own_pid_namespace < 0:
                # Without a pid namespace: what a worker leaves behind comes here, to its subreaper.
                orphans.end_all(set(self._running))

    def _end(self, code: int = 0) -> NoReturn:
        """The engine is gone. Process 1 takes its namespace along; without one the workers are killed by hand."""
        if self._own_pid_namespace < 0:
            orphans.end_all(set())
        os._exit(code)

    def _warm_next(self) -> None:
        report = warm.warm(self._to_warm.pop(0))
        self._freeze()
        channel.send(self._engine, {**report, "left": len(self._to_warm)})

    def _freeze(self) -> None:
        """Keep the garbage collector of every worker away from what is shared, so that its pages stay shared."""
        self._worker.note()
        gc.collect()
        gc.freeze()
        self._worker.measure()

    def _plan(self, message: dict[str, Any], fds: "list[int]") -> "tuple[Plan, Descriptors]":
        wanted = message["plan"]
        plan = Plan(
            level=self._boot.level,
            without=self._boot.without,
            workspace=wanted["workspace"],
            uid=wanted["uid"],
            network=wanted["network"],
            mounts=tuple(Mount(m["target"], m["writable"], m["directory"]) for m in wanted["mounts"]),
            tmp_bytes=wanted["tmp_bytes"],
            # What is shared with the zygote does not count: the kernel does not charge it to the worker either.
            data_bytes=wanted["data_bytes"] + self._worker.data_bytes,
            file_bytes=wanted["file_bytes"],
            processes=wanted["processes"],
            hostname=wanted["hostname"],
            seccomp=self._boot.worker_filter,
            masked=self._masked,
            readable=self._boot.readable,
            pin_cpus=wanted["pin_cpus"],
            below_tmp=tuple(path for path in self._boot.view.shown if path.startswith("/tmp/")),
        )
        return plan, _named(message["fds"], fds)


def _named(names: dict[str, Any], fds: "list[int]") -> Descriptors:
    """Give each received descriptor its name: `names` maps it to a position, or to a list of positions."""

    def one(name: str) -> int:
        return fds[names[name]] if name in names else -1

    def many(name: str) -> tuple[int, ...]:
        return tuple(fds[position] for position in names.get(name, []))

    return Descriptors(
        control=one("control"),
        stdin=one("stdin"),
        stdout=one("stdout"),
        stderr=one("stderr"),
        ack=one("ack"),
        cgroups=many("cgroups"),
        mounts=many("mounts"),
        worker=one("worker"),
        state=one("state"),
    )


def _close(fds: "list[int]") -> None:
    for fd in fds:
        os.close(fd)


def _existing(names: "tuple[str, ...]") -> "tuple[str, ...]":
    """The names that this kernel's /proc has; those of directories end in a slash."""
    return tuple(f"{n}/" if os.path.isdir(f"/proc/{n}") else n for n in names if os.path.lexists(f"/proc/{n}"))
