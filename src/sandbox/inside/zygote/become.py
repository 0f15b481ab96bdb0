"""What a process does right after the fork: take its descriptors, be confined, then be a worker or a command."""

import os
import signal
import sys
from typing import Any

from .. import kernel
from ..contain import apply, descriptors
from ..contain.plan import Descriptors, Plan
from ..contain.policy import INSIDE_UID, NAMESPACES, WORKSPACE
from ..python.loop import Worker
from ..wire import frames


def become_worker(worker: Worker, plan: Plan, fds: Descriptors) -> None:
    """Confine this process and run cells until the engine closes the control socket."""
    fds = descriptors.arrange(fds)
    kernel.set_process_name("sandbox-worker")
    try:
        if plan.level != NAMESPACES:
            _stay_findable()
        enforced = apply.confine(plan, fds)
    except apply.Refused as refused:
        _report(fds.control, refused)
        return
    if plan.level != NAMESPACES:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # the change of ids cleared it
    _go_to_workspace(plan)
    worker.serve(fds.control, fds.ack, ["descriptors", "environment", *_from_the_zygote(plan), *enforced])


def become_command(plan: Plan, fds: Descriptors, command: dict[str, Any]) -> None:
    """Join a worker's namespaces, confine this process in the same way, and run the program."""
    fds = descriptors.arrange(fds)
    os.setsid()
    steps = apply.LANDLOCK_COMMAND_STEPS
    try:
        if plan.level == NAMESPACES:
            steps = apply.COMMAND_STEPS
            _join(plan, fds.worker)
        apply.confine(plan, fds, steps)
        os.chdir(command["cwd"])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execvpe(command["argv"][0], command["argv"], command["env"])
    except apply.Refused as refused:
        _report(fds.control, refused)
    except OSError as error:
        # The control socket closes at the exec; what is written before that is why there was none.
        message = {"event": "not_started", "errno": error.errno or 0, "message": str(error)}
        os.write(fds.control, frames.encode(message))
    raise SystemExit(127)


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


def _from_the_zygote(plan: Plan) -> "list[str]":
    if plan.level != NAMESPACES:
        return []
    return [name for name in ("pid_namespace", "read_only_view") if name not in plan.without]


def _stay_findable() -> None:
    """Without a pid namespace: keep what daemonises below this process, where it is found and ended."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    os.setsid()


def _go_to_workspace(plan: Plan) -> None:
    here = WORKSPACE if plan.level == NAMESPACES and "mount_namespace" not in plan.without else plan.workspace
    os.chdir(here)
    sys.path.insert(0, here)


def _report(control: int, refused: apply.Refused) -> None:
    error = refused.error
    message = {"event": "refused", "restriction": refused.restriction, "errno": error.errno or 0, "message": str(error)}
    os.write(control, frames.encode(message))
