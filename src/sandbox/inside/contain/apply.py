"""The order of confinement, one line for each step.

A worker's confinement is a list of system calls: prepared by the zygote, made by the worker before anything else.
A call that is refused ends the worker before it runs anything. What comes before these steps and is part of the
same policy: the zygote's read-only view, and the pid namespace (made at the fork).
"""

import os
from types import ModuleType
from typing import NamedTuple

from .. import kernel
from ..kernel import Call
from . import (
    capabilities,
    cgroup,
    descriptors,
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
    user_limits,
    user_namespace,
    uts_namespace,
)
from .plan import Descriptors, Plan
from .policy import LANDLOCK, NAMESPACES

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
    user_limits,  # takes a right that ends next
    capabilities,  # here the rights inside end
    rlimits,
    no_new_privs,  # both of the next need it
    landlock,
    seccomp,  # last: it refuses what the steps above have used
)
# What these consist of is the same for every worker with the same options, and prepared once.
_SHARED = frozenset(
    {
        ipc_namespace, uts_namespace, network_namespace, private_tmp, private_dev, proc_view, capabilities,
        no_new_privs, landlock, seccomp, user_limits,
    }
)  # fmt: skip
_MOST_KEPT = 64
# A command joins the namespaces of the worker that holds them, and takes the remaining steps itself.
COMMAND_STEPS: "tuple[ModuleType, ...]" = (cgroup, capabilities, rlimits, no_new_privs, landlock, seccomp)
LANDLOCK_COMMAND_STEPS: "tuple[ModuleType, ...]" = (cgroup, identity, *COMMAND_STEPS[1:])


class Refused(Exception):
    """A step failed: `restriction` could not be put in force, because of `error`."""

    def __init__(self, restriction: str, error: OSError) -> None:
        super().__init__(f"{restriction}: {error}")
        self.restriction = restriction
        self.error = error


class Program(NamedTuple):
    """Parts in order, each the calls that put one restriction in force; and what is in force once all are made."""

    parts: "list[tuple[str, list[Call]]]"
    enforced: "list[str]"

    def run(self) -> None:
        """Make every call. Raises Refused at the first that fails."""
        for restriction, calls in self.parts:
            for call in calls:
                if call() < 0:
                    number = kernel.errno()
                    raise Refused(restriction, OSError(number, os.strerror(number)))


class Preparer:
    """Prepares programs, and keeps what is the same from one to the next.

    What the zygote changes between two forks is memory that the workers no longer share with it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[ModuleType, Plan], list[Call]] = {}

    def program(self, plan: Plan, fds: Descriptors, steps: "tuple[ModuleType, ...]" = STEPS) -> Program:
        """Return what confines one worker. `fds` are the numbers before the descriptors are put in order."""
        moved = descriptors.arranged(fds)
        anybody = plan._replace(workspace="", uid=0)
        parts = [("descriptors", descriptors.calls(fds))]
        for step in steps:
            restriction = step.RESTRICTION
            if plan.level in restriction.levels and restriction.name not in plan.without:
                shared = step in _SHARED and not (step is landlock and plan.level == LANDLOCK)
                calls = self._shared(step, anybody, moved) if shared else step.calls(plan, moved)
                if calls:
                    parts.append((restriction.name, calls))
        return Program(parts, [*_from_the_zygote(plan), *(name for name, _ in parts)])

    def _shared(self, step: ModuleType, plan: Plan, fds: Descriptors) -> "list[Call]":
        calls = self._kept.get((step, plan))
        if calls is None:
            if len(self._kept) >= _MOST_KEPT * len(_SHARED):
                self._kept.clear()
            calls = self._kept[step, plan] = step.calls(plan, fds)
        return calls


def _from_the_zygote(plan: Plan) -> "list[str]":
    namespaces = ["pid_namespace", "read_only_view"] if plan.level == NAMESPACES else []
    return [name for name in ("environment", *namespaces) if name not in plan.without]
