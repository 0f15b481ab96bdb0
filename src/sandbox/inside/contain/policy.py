"""The policy as plain data. The host reads this file too: it compiles the refusals into seccomp filters.

A refusal names system calls, why they are refused, what a program notices, and the test that attacks it. A filter
is compiled from them in two parts, because seccomp is inherited and the first part then costs a worker nothing:

* `ZYGOTE`: loaded once by the zygote, before it imports a single package. What nobody in a sandbox ever needs.
  A call that the compiler's table does not know gets ENOSYS, so a newer kernel does not open anything by itself.
* `WORKER`: loaded by each worker as its last step. What the zygote itself still needed (namespaces and mounts),
  and the rules that look at arguments.
"""

from .refusals import EVERYWHERE
from .refusals_alone import SIGNAL_OWNERS, SIGNALS, WITHOUT_CGROUPS, WITHOUT_NAMESPACES
from .restriction import (
    INSIDE_UID,
    LANDLOCK,
    LEVELS,
    NAMESPACES,
    NONE,
    WORKER,
    WORKSPACE,
    ZYGOTE,
    Refusal,
    Restriction,
    When,
)

__all__ = [
    "INSIDE_UID",
    "LANDLOCK",
    "LEVELS",
    "NAMESPACES",
    "NONE",
    "REFUSALS",
    "SIGNALS",
    "SIGNAL_OWNERS",
    "WORKER",
    "WORKSPACE",
    "ZYGOTE",
    "Refusal",
    "Restriction",
    "When",
    "refusals",
]

REFUSALS: tuple[Refusal, ...] = (*EVERYWHERE, *WITHOUT_NAMESPACES, *WITHOUT_CGROUPS)
_SCOPED_SIGNALS = 6  # the version of Landlock, Linux 6.12


def refusals(
    level: str, stage: str, without: "frozenset[str]", landlock_abi: int = 99, *, cgroups: bool = True
) -> "list[Refusal]":
    """Return what a filter of `stage` is made of at `level`, leaving out the restrictions named in `without`."""
    unscoped = level == LANDLOCK and landlock_abi < _SCOPED_SIGNALS
    rows = (*REFUSALS, SIGNALS, SIGNAL_OWNERS) if unscoped else REFUSALS
    return [
        row
        for row in rows
        if row.stage == stage
        and level in row.levels
        and not (row.without_cgroups and cgroups)
        and f"seccomp.{row.name}" not in without
    ]
