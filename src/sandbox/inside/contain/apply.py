"""The order of confinement, one line for each step.

A step that cannot be taken ends the worker before it runs anything.

What comes before these steps and is part of the same policy: the zygote's read-only view, the pid namespace (made
at the fork), the descriptors and the environment.
"""

from types import ModuleType

from . import (
    capabilities,
    cgroup,
    identity,
    ipc_namespace,
    landlock,
    mount_namespace,
    network_namespace,
    no_new_privs,
    private_dev,
    private_tmp,
    proc_view,
    rlimits,
    seccomp,
    user_namespace,
    uts_namespace,
)
from .plan import Descriptors, Plan

STEPS: "tuple[ModuleType, ...]" = (
    cgroup,  # first, so that what follows is counted already
    mount_namespace,
    ipc_namespace,
    uts_namespace,
    network_namespace,
    private_tmp,
    private_dev,
    proc_view,  # before the last user namespace, which does not own the pid namespace
    identity,  # here root's rights on the host end
    user_namespace,
    capabilities,  # here the rights inside end
    rlimits,
    no_new_privs,  # both of the next need it
    landlock,
    seccomp,  # last: it refuses what the steps above have used
)
# A command joins the namespaces of the worker that holds them, and takes the remaining steps itself.
COMMAND_STEPS: "tuple[ModuleType, ...]" = (cgroup, capabilities, rlimits, no_new_privs, landlock, seccomp)
LANDLOCK_COMMAND_STEPS: "tuple[ModuleType, ...]" = (cgroup, identity, *COMMAND_STEPS[1:])


class Refused(Exception):
    """A step failed: `restriction` could not be put in force, because of `error`."""

    def __init__(self, restriction: str, error: OSError) -> None:
        super().__init__(f"{restriction}: {error}")
        self.restriction = restriction
        self.error = error


def confine(plan: Plan, fds: Descriptors, steps: "tuple[ModuleType, ...]" = STEPS) -> "list[str]":
    """Take every step that belongs to the plan's level; return the names of what is now in force. Raises `Refused`."""
    enforced = []
    for step in steps:
        restriction = step.RESTRICTION
        if plan.level not in restriction.levels or restriction.name in plan.without:
            continue
        try:
            if step.apply(plan, fds):
                enforced.append(restriction.name)
        except OSError as error:
            raise Refused(restriction.name, error) from error
    return enforced
