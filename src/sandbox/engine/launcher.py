"""Gets workers: resolves the interpreter, starts zygotes, makes workspaces and control groups, forks, parks a few."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from sandbox.engine import cgroups, ends, interpreters, isolation, node, view
from sandbox.engine.forker import Forked
from sandbox.engine.headroom import Headroom
from sandbox.engine.ids import Ids, own_ids
from sandbox.engine.keeper import KeeperProcess
from sandbox.engine.languages import is_node
from sandbox.engine.metrics import last_cpu_seconds
from sandbox.engine.mounts import Resolved, resolve_mounts
from sandbox.engine.paths import RunDirectory, data_dir, passable
from sandbox.engine.worker import Worker
from sandbox.engine.worker_events import Gone, Ready, Refused
from sandbox.engine.workspaces import Workspace
from sandbox.engine.zygote import IsolationUnavailable, Zygote, ZygoteSpec
from sandbox.errors import SandboxStartError
from sandbox.inside import tidy
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES, NONE
from sandbox.protocol.messages import HOST_NETWORK, PROXIED, EnvironmentSpec, Output, SessionOptions

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Begins work that nobody waits for, and keeps it until it is done."""

_READY_SECONDS = 20.0
_HOSTNAME = "sandbox"
_TMP_SHARE = 2
_MARGIN_BYTES = 6 << 20
_UNLIMITED = 1 << 60
_REMOVE_SECONDS = 10.0


class Cell(msgspec.Struct, eq=False):
    """A worker with everything that is its own: what a session holds while it has one.

    `lacks`: packages that it was parked too early for, until something has run in it. `cpu_seconds`: as far as was
    looked, what all of it has used; `cpu_ended`, those of its processes that were its zygote's children and have ended;
    `cpu_charged`, what somebody was charged for.
    """

    worker: Worker
    zygote: Zygote
    workspace: Workspace
    group: cgroups.Group | None
    options: SessionOptions
    plan: dict[str, Any]
    counted: cgroups.Counters | None = None
    seen: cgroups.Counters = cgroups.Counters()  # of a worker without a group
    started_at: float = msgspec.field(default_factory=time.monotonic)
    headroom: Headroom = msgspec.field(default_factory=Headroom)
    commands: set[int] = msgspec.field(default_factory=set)  # the pidfds of those that run
    lacks: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    cpu_ended: float = 0.0
    cpu_charged: float = 0.0

    def has(self, process: Forked) -> None:
        """It is one of its own. Add up what it has used once it has ended."""

        def add(_ended: object) -> None:
            self.cpu_ended += process.cpu_seconds

        process.ended.add_done_callback(add)


class Launcher:
    """One for each engine. `keeper` was started ahead, for the first zygote of its interpreter."""

    def __init__(self, spawn_task: Spawn, keeper: KeeperProcess | None = None) -> None:
        self._ahead = keeper
        self.run = RunDirectory(data_dir())
        self.ids = Ids(own_ids())
        self.groups = cgroups.find(self.run.name)
        self.landlock_abi = isolation.landlock_abi()
        self._spawn_task = spawn_task
        self._zygotes: dict[ZygoteSpec, asyncio.Task[Zygote]] = {}
        self._interpreters: dict[tuple[EnvironmentSpec, bool], asyncio.Task[interpreters.Interpreter]] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._places: dict[ZygoteSpec, int] = {}
        self._names = itertools.count(1)
        # More at once only wait for the same locks in the kernel: 800 were made at 215 a second, against 127 unbounded.
        self._turn = asyncio.Semaphore((os.cpu_count() or 1) + 1)
        if self.groups is not None:
            for path in self.groups.paths():
                self.run.note_cgroup(path)

    # --- zygotes ---

    @property
    def warming(self) -> bool:
        """Whether a zygote has imports left to do, or is being cleaned up after."""
        return bool(self._ends) or any(
            _usable(task) and not (task.done() and task.result().warm_left == 0) for task in self._zygotes.values()
        )

    async def interpreter(self, spec: EnvironmentSpec, language: str | None = None) -> interpreters.Interpreter:
        """Resolve an environment once. A failed attempt is not remembered."""
        of_node = is_node(language)
        task = self._interpreters.get((spec, of_node))
        if task is None or (task.done() and task.exception() is not None):
            resolve = interpreters.resolve_node if of_node else interpreters.resolve
            task = self._interpreters[spec, of_node] = asyncio.create_task(asyncio.to_thread(resolve, spec))
        return await asyncio.shield(task)

    async def zygote(self, options: SessionOptions) -> Zygote:
        """Return the zygote for these options, at the strongest level that works. Raises SandboxStartError."""
        interpreter = await self.interpreter(options.environment, options.language)
        if interpreter.node is not None:
            node.check(options)
        refused = []
        for level in isolation.levels(options.isolation):
            if _has_no_proxy(options, level):
                refused.append(_no_proxy(level))
                continue
            without = frozenset((*options.without, *_not_with_a_network(options)))
            own = _not_as_root(interpreter) if level == LANDLOCK and isolation.is_root() else interpreter
            spec = ZygoteSpec(own, level, without, self.landlock_abi, self.counts(options), _own_network(options))
            try:
                return await self._zygote(spec)
            except IsolationUnavailable as error:
                refused.append(error)
        raise isolation.unavailable(refused)

    async def _zygote(self, spec: ZygoteSpec) -> Zygote:
        task = self._zygotes.get(spec)
        if task is None or not _usable(task):
            task = self._zygotes[spec] = asyncio.create_task(self._start(spec))
        return await asyncio.shield(task)

    async def _start(self, spec: ZygoteSpec) -> Zygote:
        least = isolation.LEAST_LANDLOCK.get(spec.level, 0)
        if self.landlock_abi < least and "landlock" not in spec.without:
            details = {"restriction": "landlock", "level": spec.level}
            found = f"version {self.landlock_abi} of Landlock" if self.landlock_abi else "no Landlock"
            raise IsolationUnavailable(f"the kernel has {found}, and this level needs {least} or later", details)
        zygote = Zygote(spec, self.run, self._place(spec), self.ids)
        remove = {"cgroups": self.groups.paths() if self.groups else [], "trees": [str(self.run.path)]}
        zygote.spawn(remove, self._keeper(spec.interpreter.executable))
        await zygote.started()
        assert zygote.lost is not None
        zygote.lost.add_done_callback(lambda _why: self._end_lost(zygote))
        return zygote

    def _end_lost(self, zygote: Zygote) -> None:
        """Its keeper has still to clean up."""
        self._finish(zygote.close())

    def _finish(self, end: Coroutine[Any, Any, None]) -> None:
        """The engine waits for it, also when it is about to close, and does not cancel it."""
        task = asyncio.get_running_loop().create_task(end)
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    def _place(self, spec: ZygoteSpec) -> Path:
        """Where the workspaces of this zygote's sessions are, and those of the ones that take its place."""
        number = self._places.setdefault(spec, len(self._places) + 1)
        return passable(self.run.workspaces / f"z{number}")

    def _keeper(self, executable: str) -> KeeperProcess:
        ahead = self._ahead
        if ahead is None or ahead.executable != executable:
            return KeeperProcess(executable)
        self._ahead = None
        return ahead

    # --- workers ---

    async def launch(self, options: SessionOptions, zygote: Zygote, workspace: Workspace) -> Cell:
        """Fork a worker for `workspace` and wait until it is confined. Raises SandboxStartError."""
        level = zygote.spec.level
        mounts = resolve_mounts(options, level)
        group = self._group(options)
        if not zygote.shows(workspace.path):
            workspace.move_to(zygote.place)
        if level != NAMESPACES:
            workspace.make_tmp()
        plan = self._plan(options, zygote, workspace, mounts)
        try:
            trees = await self._clone(mounts, zygote, workspace)
            try:
                async with self._turn:
                    worker = await self._born(zygote, plan, workspace, group, trees, _program(zygote, options))
            finally:
                for tree in trees:
                    os.close(tree)
        except BaseException:
            if group is not None:
                self._spawn_task(remove_group(group))
            raise
        cell = Cell(worker, zygote, workspace, group, msgspec.structs.replace(options, env={}, seed=None), plan)
        cell.has(worker.process)
        try:
            await self.attach(cell, options)
        except BaseException:
            await self.end(cell)
            raise
        return cell

    async def _born(
        self,
        zygote: Zygote,
        plan: dict[str, Any],
        workspace: Workspace,
        group: cgroups.Group | None,
        trees: list[int],
        program: list[str] | None,
    ) -> Worker:
        """Fork a worker and wait until it is confined."""
        worker = await self._fork(zygote, plan, workspace, group, trees, program)
        try:
            await self._ready(worker, zygote.spec.level)
        except BaseException:
            await worker.close()
            raise
        return worker

    async def _clone(self, mounts: tuple[Resolved, ...], zygote: Zygote, workspace: Workspace) -> list[int]:
        if not mounts or zygote.spec.level != NAMESPACES:
            return []
        own_uid = self.ids.on_host(workspace.uid)
        return await zygote.clone([mount.wanted(own_uid) for mount in mounts])

    def counts(self, options: SessionOptions) -> bool:
        """Whether a control group counts what these sessions use."""
        return self.groups is not None and "cgroup" not in options.without

    def _group(self, options: SessionOptions) -> cgroups.Group | None:
        if self.groups is None or not self.counts(options):
            return None
        group = self.groups.make(f"w{next(self._names)}")
        group.limit(options.memory << 20, options.cpus, options.processes)
        return group

    def _plan(
        self, options: SessionOptions, zygote: Zygote, workspace: Workspace, mounts: tuple[Resolved, ...]
    ) -> dict[str, Any]:
        level = zygote.spec.level
        namespaces = level == NAMESPACES
        on_host = self.ids.on_host(workspace.uid)
        return {
            "workspace": zygote.staged(workspace.path),
            "uid": workspace.uid if namespaces else on_host or 0,
            "network": _own_network(options),
            "mounts": [mount.inside for mount in mounts],
            "tmp_bytes": (options.memory << 20) // _TMP_SHARE,
            "data_bytes": _data_bytes(options) + _own_data_bytes(zygote),
            "file_bytes": options.disk << 20,
            "processes": self._own_processes(options, level),
            "hostname": _HOSTNAME,
            "pin_cpus": 0 if level == NONE or self.counts(options) else math.ceil(options.cpus),
        }

    async def _fork(
        self,
        zygote: Zygote,
        plan: dict[str, Any],
        workspace: Workspace,
        group: cgroups.Group | None,
        trees: list[int],
        program: list[str] | None,
    ) -> Worker:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            control, control_end = ends.sockets(ours, theirs)
            state, state_end = ends.sockets(ours, theirs)
            out, out_end = ends.pipe(ours, theirs)
            err, err_end = ends.pipe(ours, theirs)
            # A pipe, not an eventfd: whoever shares an eventfd can fill it, and so keep the engine in its next write.
            ack_end, ack = ends.pipe(theirs, ours, os.O_NONBLOCK)
            os.set_blocking(ack_end, True)
            self.ids.give((out_end, err_end), workspace.uid)
            joins = ends.given(theirs, group.open() if group is not None else [])
            named: dict[str, int | list[int]] = {
                "control": control_end.fileno(), "stdin": ends.null(theirs), "stdout": out_end, "stderr": err_end,
                "ack": ack_end, "state": state_end.fileno(), "cgroups": joins, "mounts": trees,
            }  # fmt: skip
            forked = await zygote.fork_worker(plan, named, program)
            ours.pop_all()
        return Worker(forked, control, out, err, ack, state)

    async def _ready(self, worker: Worker, level: str) -> None:
        """Wait for the first event. Raises SandboxStartError for any other than Ready."""
        event: object = None
        printed = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_SECONDS):
                while isinstance(event := await worker.next(), Output):
                    printed += event.text
        if isinstance(event, Ready):
            worker.enforced = event.enforced
            return
        if isinstance(event, Refused):
            details = {"restriction": event.restriction, "errno": event.errno, "level": level}
            remedy = isolation.remedy(event.restriction, event.errno)
            text = f"{event.restriction} could not be put in force: {event.message}; {remedy}"
            raise IsolationUnavailable(text, details)
        why = f"it ended with {event.code}" if isinstance(event, Gone) else "it did not answer"
        text = f"a worker could not be started: {why}; it printed:\n{printed}\nthe log says:\n{self.run.log_tail()}"
        raise SandboxStartError(text)

    async def attach(self, cell: Cell, options: SessionOptions) -> None:
        """Give a worker to a session with these options: what it was launched with stays, the rest is changed.

        Environment variables always come this way and not with the fork: they may be secret, and what the zygote
        has once held is in the memory of every later worker.
        """
        before, cell.options = cell.options, options
        if cell.group is not None and _limits(before) != _limits(options):
            cell.group.limit(options.memory << 20, options.cpus, options.processes)
        env = dict(options.env) if cell.zygote.spec.level == NAMESPACES else self.variables(cell)
        if env or _inside(before) != _inside(options):
            limits = self.own_limits(options, cell)
            await cell.worker.tell({"do": "attach", "env": env, "seed": options.seed, **limits})

    def own_limits(self, options: SessionOptions, cell: Cell) -> dict[str, int]:
        """What a worker is to limit itself to, unless that was switched off."""
        if "rlimits" in options.without:
            return dict.fromkeys(("data_bytes", "file_bytes", "processes"), _UNLIMITED)
        return {
            "data_bytes": _data_bytes(options),
            "file_bytes": options.disk << 20,
            "processes": self._own_processes(options, cell.zygote.spec.level),
        }

    def _own_processes(self, options: SessionOptions, level: str) -> int:
        """The kernel counts the processes of a user in a user namespace.

        Where a sandbox has neither of its own, those of all others count too: one would use up what another may
        have, and a busy desktop everybody's. There the engine's watch counts.
        """
        return options.processes if level == NAMESPACES or self.ids.range is not None else _UNLIMITED

    def variables(self, cell: Cell) -> dict[str, str]:
        """The environment of everything that runs in a sandbox."""
        spec, workspace = cell.zygote.spec, cell.workspace
        base = view.variables(spec.interpreter, workspace.inside(spec.level), workspace.tmp_inside(spec.level))
        return {**base, **cell.options.env}

    async def end(self, cell: Cell) -> None:
        """End a worker and remove its control group. The workspace stays."""
        await cell.worker.close()
        last_cpu_seconds(cell)
        if cell.group is not None:
            await remove_group(cell.group)

    def discard(self, cell: Cell) -> None:
        """End a worker that no session wants, and remove its workspace, while others go on."""

        async def discard() -> None:
            await self.end(cell)
            await asyncio.to_thread(cell.workspace.remove)

        self._finish(discard())

    def forget(self) -> None:
        """In a process that was forked from the engine's: let go of what would keep the engine's traces alive."""
        self.run.forget()
        for task in self._zygotes.values():
            if _usable(task) and task.done():
                task.result().forget()

    async def close(self) -> None:
        """End every zygote, then remove the engine's directories."""
        if self._ahead is not None:
            self._ahead.close()
        for task in self._zygotes.values():
            if _usable(task):
                await (await task).close()
        await asyncio.gather(*self._ends)
        if self.groups is not None:
            await _remove_paths(self.groups.paths())
        self.run.close()


def _own_network(options: SessionOptions) -> str:
    """A sandbox with a proxy has no more of a network than one without: its loopback."""
    return HOST_NETWORK if options.network == HOST_NETWORK else "none"


def _has_no_proxy(options: SessionOptions, level: str) -> bool:
    """Whether a policy was asked for and could be got round: only a network namespace keeps all traffic in."""
    own = level == NAMESPACES and "network_namespace" not in options.without
    return options.network in PROXIED and not own


def _no_proxy(level: str) -> IsolationUnavailable:
    text = (
        "a network policy needs a network namespace, from which the proxy is the only way out. Landlock can restrict "
        "the ports of connections, and not their addresses, nor UDP"
    )
    return IsolationUnavailable(text, {"restriction": "network_namespace", "level": level})


def _program(zygote: Zygote, options: SessionOptions) -> list[str] | None:
    """What a worker becomes once it is confined, where it is no fork of the zygote that stays one."""
    node_found = zygote.spec.interpreter.node
    return None if node_found is None else node_found.command(options)


def _own_data_bytes(zygote: Zygote) -> int:
    """What a program takes of its limit before it runs any code. A zygote knows that of its forks itself."""
    node_found = zygote.spec.interpreter.node
    return 0 if node_found is None else node_found.data_bytes


def _not_with_a_network(options: SessionOptions) -> tuple[str, ...]:
    """What would leave nothing of the network that was asked for (a refusal of level landlock only)."""
    return ("seccomp.all_sockets",) if options.network == "host" else ()


def _not_as_root(interpreter: interpreters.Interpreter) -> interpreters.Interpreter:
    """Without a user namespace the zygote stays root: then no package's code may run in it, only in its workers."""
    return msgspec.structs.replace(interpreter, warm=())


def _limits(options: SessionOptions) -> tuple[float, ...]:
    """What the control group holds."""
    return options.memory, options.cpus, options.processes


def _inside(options: SessionOptions) -> tuple[object, ...]:
    """What a worker is told."""
    return options.memory, options.disk, options.processes, options.seed


def _data_bytes(options: SessionOptions) -> int:
    """RLIMIT_DATA of a worker: less than the group's limit, so that code meets this one first: a MemoryError.

    The group also counts what a worker has changed of the zygote's memory, and what it takes to save its variables.
    """
    memory = options.memory << 20
    return memory - max(memory // 16, _MARGIN_BYTES)


def _usable(task: asyncio.Task[Zygote]) -> bool:
    """A zygote that is starting or alive. Failures are tried again: the operator may have mended them."""
    if not task.done():
        return True
    if task.cancelled() or task.exception() is not None:
        return False
    lost = task.result().lost
    return lost is not None and not lost.done()


async def remove_group(group: cgroups.Group) -> None:
    """Remove a control group, once what was in it is gone."""
    group.close()
    await _remove_paths(group.paths())


async def _remove_paths(paths: list[str]) -> None:
    """Remove control groups. A killed process leaves its group a moment after it is gone from its parent."""
    pause = 0.001
    while tidy.remove_cgroups(paths) and pause < _REMOVE_SECONDS:
        await asyncio.sleep(pause)
        pause *= 2
