"""The code in README.md and docs/: found, run as a reader would run it, compared with what the text says it prints.

A line that ends with `# -> text` says that the code prints this line; `...` in it stands for anything. A comment
before a block, `<!-- key: value -->`, says what a test has to know:

    not run     why it is not run
    level       the level of isolation that it is about
    server      it uses a server, which the environment names
    needs       a module without which it is skipped
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)$")
_NOTE = re.compile(r"^<!-- ([a-z ]+): (.+) -->$")
_PRINTS = re.compile(r"#\s*->\s?(.*)$")
_FIRST_EXAMPLES = ("README.md", "docs/guide.md", "docs/state.md", "docs/limitations.md")


@dataclass(frozen=True)
class Block:
    """A block of code in a document. `line` is that of its first line of code, from 1."""

    file: str
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def prints(self) -> list[str]:
        """The lines that it is said to print."""
        return [found[1] for line in self.text.splitlines() if (found := _PRINTS.search(line))]

    @property
    def wants_sandbox(self) -> bool:
        """Whether it uses the name `sandbox` for what somebody else has started."""
        bound, used = set[str](), set[str]()
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.Name):
                (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        return "sandbox" in used - bound


def documents() -> list[Path]:
    """Every document with code for readers; those of the process come last."""
    first = [ROOT / name for name in _FIRST_EXAMPLES]
    rest = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return first + sorted(set(rest) - set(first))


def blocks(language: str) -> list[Block]:
    """Every block in a language."""
    return [block for path in documents() if path.exists() for block in _blocks(path) if block.language == language]


def _blocks(path: Path) -> list[Block]:
    found: list[Block] = []
    notes: dict[str, str] = {}
    start, language, lines = 0, "", path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if start and fence:
            text = "\n".join(lines[start : number - 1]) + "\n"
            found.append(Block(str(path.relative_to(ROOT)), start + 1, language, text, notes))
            start, notes = 0, {}
        elif fence:
            start, language = number, fence[1]
        elif not start and (note := _NOTE.match(line)):
            notes = {**notes, note[1]: note[2]}
        elif not start and line:
            notes = {}
    assert not start, f"{path}:{start}: the block does not end"
    return found


def differs(printed: str, expected: list[str]) -> str:
    """Say how what was printed differs from the lines that were expected; nothing if it does not."""
    lines = [line.rstrip() for line in printed.splitlines()]
    if _fits(lines, [line.rstrip() for line in expected]):
        return ""
    return "printed:\n" + "\n".join(lines) + "\nbut the text says:\n" + "\n".join(expected)


def _fits(lines: list[str], expected: list[str]) -> bool:
    """Compare line by line; a line `...` stands for any number of lines, and within one for anything."""
    if not expected:
        return not lines
    if expected[0] == "...":
        return any(_fits(lines[skipped:], expected[1:]) for skipped in range(len(lines) + 1))
    pattern = ".*".join(map(re.escape, expected[0].split("...")))
    return bool(lines) and re.fullmatch(pattern, lines[0]) is not None and _fits(lines[1:], expected[1:])
