"""What a process does right after the fork: be confined, then be a worker or a command."""

import fcntl
import json
import os
import signal
import sys
import termios
from typing import Any, NamedTuple, NoReturn

from .. import kernel
from ..contain import apply, descriptors, environment
from ..contain.apply import Preparer, Program
from ..contain.plan import Descriptors, Plan
from ..contain.policy import INSIDE_UID, NAMESPACES
from ..kernel import Call
from ..python.loop import Worker
from ..wire import frames
from . import signals

_CHUNK = 64 * 1024


# Where a worker that is another program has its sockets: low, because Node closes those up to 15 for what it starts.
_CONTROL, _ACK, _STATE = 3, 4, 5


class Birth(NamedTuple):
    """All that a new worker needs, made before the fork: see `kernel`."""

    worker: Worker
    program: Program
    fds: Descriptors
    ready: bytes
    home: str


def prepare_worker(preparer: Preparer, worker: Worker, plan: Plan, fds: Descriptors) -> Birth:
    program = preparer.program(plan, fds)
    program.parts.append(("descriptors", _settle(plan)))
    ready = frames.encode({"event": "ready", "enforced": program.enforced})
    return Birth(worker, program, descriptors.arranged(fds), ready, plan.home)


def _settle(plan: Plan) -> list[Call]:
    """What else a confined worker does before it is ready."""
    calls = [
        kernel.set_process_name("sandbox-worker"),
        signals.unblock(),
        kernel.prepare("chdir", os.fsencode(plan.home)),
    ]
    if plan.level == NAMESPACES and "private_tmp" in plan.without:
        return calls  # another worker may have made the directory
    if plan.level == NAMESPACES:
        # matplotlib remembers from the zygote that this directory is there; its /tmp was another one.
        return [*calls, kernel.prepare("mkdirat", kernel.AT_FDCWD, os.environb[b"MPLCONFIGDIR"], 0o700)]
    # Without a pid namespace: die with the zygote, and keep what daemonises below this process, where it is found.
    return [
        *calls,
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL),
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1),
        kernel.prepare("setsid"),
    ]


def become_worker(birth: Birth) -> None:
    """Confine this process and run cells until the engine closes the control socket."""
    control = birth.fds.control
    try:
        birth.program.run()
    except apply.Refused as refused:
        _report(control, refused)
        return
    if sys.path[0] != birth.home:
        sys.path.insert(0, birth.home)
    os.write(control, birth.ready)
    birth.worker.serve(control, birth.fds.ack, birth.fds.state)


def become_program(argv: "list[str]", birth: Birth) -> None:
    """Confine this process and become another program, which speaks as a worker does and says itself that it is ready.

    Its last arguments are what it has to say then, and the interpreter, for what Python does better.
    """
    fds = birth.fds
    try:
        birth.program.run()
    except apply.Refused as refused:
        _report(fds.control, refused)
        return
    for fd, number in ((fds.control, _CONTROL), (fds.ack, _ACK), (fds.state, _STATE)):
        os.dup2(fd, number)
    try:
        os.execv(argv[0], [*argv, birth.ready[frames.HEADER_SIZE :].decode(), sys.executable])
    except OSError as error:
        _report_not_started(fds.control, error)


class Launch(NamedTuple):
    """All that a command needs, made before the fork. `worker`: the pidfd of the worker whose namespaces it joins."""

    plan: Plan
    worker: int
    program: Program
    control: int


def prepare_command(preparer: Preparer, plan: Plan, fds: Descriptors) -> Launch:
    steps = apply.COMMAND_STEPS if plan.level == NAMESPACES else apply.LANDLOCK_COMMAND_STEPS
    # The pidfd is used before the descriptors are put in order, and then not kept.
    program = preparer.program(plan, fds._replace(worker=-1), steps)
    return Launch(plan, fds.worker, program, descriptors.arranged(fds).control)


def become_command(launch: Launch) -> None:
    """Join a worker's namespaces, confine this process in the same way, and do what the engine says: mostly an exec."""
    try:
        if launch.plan.level == NAMESPACES:
            _join(launch.plan, launch.worker)
        launch.program.run()
        command = _receive_program(launch.control)
        signals.unblock()()
        os.setsid()
        if command.pop("terminal", False):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(command["cwd"])
        if "animate" in command:
            _animate(command, launch.control)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _exec(**command)
    except apply.Refused as refused:
        _report(launch.control, refused)
    except OSError as error:
        # The control socket closes at the exec; what is written before that is why there was none.
        _report_not_started(launch.control, error)
    raise SystemExit(127)


def _animate(command: dict[str, Any], control: int) -> NoReturn:
    """Stay what was forked, with its imports, and render. Nothing of it is loaded anywhere else."""
    from ..animation.render import animate  # noqa: PLC0415

    environment.replace(command["env"])
    animate(command["animate"], control)
    raise SystemExit


def _exec(argv: list[str], env: dict[str, str], cwd: str) -> None:
    """Run the program. Raises OSError that names what was asked for, not the last place that was looked at."""
    try:
        os.execvpe(argv[0], argv, env)
    except FileNotFoundError:
        if "/" in argv[0]:
            raise
        raise FileNotFoundError(f"there is no program {argv[0]!r} in the sandbox's PATH") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, argv[0]) from None


def _receive_program(control: int) -> dict[str, Any]:
    """Receive what to run. Not from the zygote, since all that it ever held is in the memory of later workers."""
    buffer = frames.FrameBuffer()
    while data := os.read(control, _CHUNK):
        for body in buffer.feed(data):
            program: dict[str, Any] = json.loads(body)
            return program
    raise SystemExit(127)  # the engine is gone


def _join(plan: Plan, worker: int) -> None:
    """Enter the namespaces that the worker left the zygote for. The pid namespace was joined at the fork."""
    wanted = {
        "user_namespace": kernel.CLONE_NEWUSER,
        "mount_namespace": kernel.CLONE_NEWNS,
        "ipc_namespace": kernel.CLONE_NEWIPC,
        "uts_namespace": kernel.CLONE_NEWUTS,
        "network_namespace": kernel.CLONE_NEWNET,
    }
    if plan.network == "host":
        del wanted["network_namespace"]
    flags = sum(flag for name, flag in wanted.items() if name not in plan.without)
    try:
        kernel.setns(worker, flags)
    except OSError as error:
        raise apply.Refused("mount_namespace", error) from error
    if plan.uid and "user_namespace" not in plan.without:
        os.setresgid(INSIDE_UID, INSIDE_UID, INSIDE_UID)
        os.setresuid(INSIDE_UID, INSIDE_UID, INSIDE_UID)


def _report_not_started(control: int, error: OSError) -> None:
    message = {"event": "not_started", "errno": error.errno or 0, "message": str(error)}
    os.write(control, frames.encode(message))


def _report(control: int, refused: apply.Refused) -> None:
    error = refused.error
    message = {"event": "refused", "restriction": refused.restriction, "errno": error.errno or 0, "message": str(error)}
    os.write(control, frames.encode(message))
