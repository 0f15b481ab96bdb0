"""What a case of the survival corpus is: cells that make state, and checks that hold if it survived."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import dedent

_SEPARATOR = re.compile(r"^# %%.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One set-up.

    `checks` hold if everything was kept. `lost` names what Python gives no way to keep: losing it is as expected, if
    it is reported, and then `still` has to hold: what stood beside it has lost nothing.
    """

    name: str
    kind: str
    cells: tuple[str, ...]
    checks: tuple[str, ...]
    lost: frozenset[str] = frozenset()
    still: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"

    def missing(self) -> list[str]:
        """Which packages the case needs and this interpreter has not."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


@dataclass(slots=True)
class Kind:
    """Cases of one kind, in the order in which they are written."""

    name: str
    cases: list[Case] = field(default_factory=list)

    def case(
        self,
        name: str,
        cells: str,
        checks: str,
        *,
        lost: Sequence[str] = (),
        still: str = "",
        needs: Sequence[str] = (),
    ) -> None:
        """Add a case. In each text a line `# %%` begins the next cell."""
        if any(name == other.name for other in self.cases):
            raise ValueError(f"two cases of {self.name} are named {name}")
        self.cases.append(
            Case(name, self.name, split(cells), split(checks), frozenset(lost), split(still), tuple(needs))
        )


def split(text: str) -> tuple[str, ...]:
    """The cells of a text, without empty ones."""
    parts = (part.strip("\n") + "\n" for part in _SEPARATOR.split(dedent(text)))
    return tuple(part for part in parts if part.strip())


def raises(cell: str) -> bool:
    """Whether a cell says that it raises; its changes are kept all the same."""
    return cell.startswith("# raises")
