"""What a probe is: an attack with what has to stop it, as plain data; and what came of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.engine import filters
from sandbox.inside.contain.policy import LANDLOCK, LEVELS, NAMESPACES, NONE

if TYPE_CHECKING:
    from sandbox.attack.scene import Scene

STOPPED, THROUGH, OPEN, UNTRIED = "stopped", "through", "open", "untried"
NOTHING = "nothing"
"""The answer of an attack that raised nothing and learned nothing."""

Stops = Mapping[str, str]
"""By answer, the layer that gives it: a restriction's name, or a part of the engine."""
Control = Mapping[str, Any]
"""Options of a sandbox in which the attack gets through."""


@dataclass(frozen=True)
class Finding:
    """What came of a probe.

    `outcome`: "stopped", by `layer`; "through", which must not be; "open", it gets through and this level is not said
    to stop it; "untried", `answer` says why.
    """

    family: str
    name: str
    goal: str
    outcome: str
    answer: str
    layer: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Of:
    """An argument that is known only when the bait is laid: a process to signal, a file to read, ..."""

    name: str
    format: str = ""

    def resolved(self, bait: Mapping[str, Any]) -> Any:
        """The argument, as it is or within a text."""
        value = bait[self.name]  # what is costly to lay is laid when it is asked for
        return self.format.format(value) if self.format else value


@dataclass(frozen=True)
class Calls:
    """An argument that is system calls, each a label, its name and its arguments. Numbers are this machine's."""

    calls: tuple[tuple[Any, ...], ...]

    def resolved(self, _: Mapping[str, Any]) -> list[list[Any]]:
        """The calls that there are on this machine."""
        numbered = [(label, filters.number_of(name), *arguments) for label, name, *arguments in self.calls]
        return [list(call) for call in numbered if call[1] is not None]


@dataclass(frozen=True)
class Probe:
    """Code inside that tries to get at something.

    `stops` has for each level that covers it what has to stop it. `controls` are, for each of these levels, sandboxes
    in which it gets through, the one with the least switched off first; `root_control` is one that does where the host
    is root. `needs` names something that the machine or the sandbox must have, else there is nothing to try.
    """

    name: str
    goal: str
    attack: str
    arguments: tuple[Any, ...] = ()
    stops: Mapping[str, Stops] = field(default_factory=dict)
    controls: Mapping[str, tuple[Control, ...]] = field(default_factory=dict)
    root_control: Control | None = None
    needs: str = ""


@dataclass(frozen=True)
class Flood:
    """Code inside that uses something up. The engine has to name the limit, and to answer others and it again.

    `causes` has the limit that must have stopped it, by the cause that the execution is given. With `roomy` options it
    gets what it wants; `roomy_code` is what it then runs, where `code` would never end.
    """

    name: str
    goal: str
    code: str
    tight: Mapping[str, Any]
    roomy: Mapping[str, Any]
    causes: Stops
    roomy_code: str = ""


@dataclass(frozen=True)
class Trick:
    """What code inside does to the host, by what it sends or leaves behind.

    `attempt` returns how the host was harmed, or nothing; `guard` is the part of the engine that withstands it.
    """

    name: str
    goal: str
    guard: str
    attempt: Callable[[Scene], str]


AnyProbe = Probe | Flood | Trick


def at(answers: Stops, *levels: str) -> dict[str, Stops]:
    """The same stops at each of these levels, or at all."""
    return dict.fromkeys(levels or LEVELS, answers)


def anywhere(*controls: Control) -> dict[str, tuple[Control, ...]]:
    """The same controls at every level."""
    return dict.fromkeys(LEVELS, controls)


def by(layer: str, *answers: str) -> Stops:
    """One layer, with all that it may answer."""
    return dict.fromkeys(answers, layer)


def off(*names: str) -> Control:
    """A sandbox without these restrictions."""
    return {"without": names}


NO_ISOLATION: Control = {"isolation": NONE}
PLAIN: Control = {"plain": True}
"""An ordinary process, started from this one as any program is."""
BARE: Control = off("landlock", "own_uid", "capabilities")
"""At level `landlock`: a worker that is the engine's own user, with all that it may do to files."""

__all__ = [
    "BARE", "LANDLOCK", "LEVELS", "NAMESPACES", "NOTHING", "NO_ISOLATION", "OPEN", "PLAIN", "STOPPED", "THROUGH",
    "UNTRIED", "AnyProbe", "Calls", "Control", "Finding", "Flood", "Of", "Probe", "Stops", "Trick", "anywhere",
    "at", "by", "off",
]  # fmt: skip
