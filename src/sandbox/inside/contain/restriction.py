"""What a restriction is, as plain data, and the words for levels and stages. See `policy`."""

import errno
from typing import NamedTuple

NAMESPACES = "namespaces"
LANDLOCK = "landlock"
NONE = "none"
LEVELS = (NAMESPACES, LANDLOCK)

INSIDE_UID = 1000
WORKSPACE = "/workspace"
HOSTNAME = "sandbox"

ZYGOTE, WORKER = "zygote", "worker"

ALL_BITS = 0xFFFFFFFF


class Restriction(NamedTuple):
    """One thing that is taken from a worker. `proof` names the test, or the attack of the doctor, with a control."""

    name: str
    because: str
    breaks: str
    proof: str
    levels: tuple[str, ...] = LEVELS


class When(NamedTuple):
    """A condition on one argument of a call: `argument & mask == value`.

    The kernel takes most arguments as 32 bits and drops the rest, so a mask of more would let a caller hide the
    same value behind a higher bit. `is_set` instead asks for any value but 0, in all 64 bits: for pointers.
    """

    argument: int
    mask: int = ALL_BITS
    value: int = 0
    is_set: bool = False


Condition = tuple[When, ...]


def any_of(*conditions: When) -> "tuple[Condition, ...]":
    """One of them must hold."""
    return tuple((condition,) for condition in conditions)


def any_bit(argument: int, bits: int = ALL_BITS) -> "tuple[Condition, ...]":
    """One of these bits must be set."""
    return any_of(*(When(argument, 1 << bit, 1 << bit) for bit in range(32) if 1 << bit & bits))


class Refusal(NamedTuple):
    """A group of system calls that get `error`.

    With `when`, only calls for which one of its alternatives holds, each a tuple of conditions that must all hold.
    `without_cgroups`: only where no control group counts what the sandbox uses.
    """

    name: str
    calls: tuple[str, ...]
    because: str
    breaks: str
    proof: str
    error: int = errno.EPERM
    stage: str = ZYGOTE
    when: "tuple[Condition, ...]" = ()
    levels: tuple[str, ...] = LEVELS
    without_cgroups: bool = False

    @property
    def restriction(self) -> Restriction:
        """What the documentation and `doctor` show."""
        return Restriction(f"seccomp.{self.name}", self.because, self.breaks, self.proof, self.levels)


def attack(name: str) -> str:
    """The proof by an attack of `sandbox doctor --attack`."""
    return f"attack:{name}"


def proof(test: str) -> str:
    """The proof of a refusal by a test of its own."""
    return f"tests/security/test_seccomp.py::{test}"
