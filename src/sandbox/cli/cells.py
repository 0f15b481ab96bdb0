"""Where a cell of the interactive session ends. Source is only compiled here: it runs inside."""

from __future__ import annotations

import ast
import codeop
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

# What compiling can raise for the text that a user types or pastes.
_NOT_COMPILED = (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError)
_CLAUSE = re.compile(r"(elif|else|except|finally)\b")
_LEAVE = re.compile(r"(sys\.)?(exit|quit)(\(\s*(0|None)?\s*\))?\s*\Z")


class Rules(Protocol):
    """What there is for each language: this module for Python, `cells_node` for others."""

    def leaves(self, text: str) -> bool:
        """Whether it asks to leave."""

    def is_complete(self, text: str) -> bool:
        """Whether what was typed so far is a whole cell."""

    def split(self, text: str) -> Iterator[str]:
        """Yield the cells of a whole text."""


def is_command(text: str) -> bool:
    """Whether it is for the shell (`!`) or for the session itself (`%`)."""
    return text.lstrip()[:1] in {"!", "%"}


def leaves(text: str) -> bool:
    """Whether it is `exit()` or the like, which a worker cannot tell from the end of a cell."""
    return bool(_LEAVE.match(text.strip()))


def is_complete(text: str) -> bool:
    """Whether what was typed so far is a whole cell: a block ends with an empty line. What is wrong is complete."""
    if not text.strip() or is_command(text):
        return True
    lines = text.split("\n")
    if not lines[-1].strip():
        lines[-1] = ""
    source = "\n".join(lines)
    try:
        return _compiles(source, "single")
    except _NOT_COMPILED:
        pass
    try:
        return _compiles(source, "exec")  # several statements at once, as after pasting
    except _NOT_COMPILED:
        return True


def _compiles(source: str, symbol: str) -> bool:
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the worker reports them
        return compiler(source, symbol=symbol) is not None


def split(text: str) -> Iterator[str]:
    """Yield the cells of a whole text: each command line, and each statement between them.

    What does not compile comes as one cell with all that follows, for the worker to report.
    """
    block: list[str] = []
    for line in text.split("\n"):
        if line[:1] in {"!", "%"} and _is_whole("\n".join(block)):
            yield from _statements("\n".join(block))
            block.clear()
            yield line
        else:
            block.append(line)
    yield from _statements("\n".join(block))


def _is_whole(block: str) -> bool:
    """False in the middle of a bracket or a string, where a line may begin with any character."""
    try:
        return _compiles(block, "exec")
    except _NOT_COMPILED:
        return True


def _statements(block: str) -> Iterator[str]:
    lines = block.split("\n")
    whole, statements = _parsed(lines)
    bounds = [*(_first_line(statement) for statement in statements), whole + 1]
    for begin, end in pairwise(bounds):
        if end > begin:  # else they share a line, and the last of them takes it
            yield "\n".join(lines[begin - 1 : end - 1]).rstrip("\n")
    if whole < len(lines):
        yield "\n".join(lines[whole:])


def _parsed(lines: list[str]) -> tuple[int, list[ast.stmt]]:
    """How many lines are whole statements, and these."""
    whole = len(lines)
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                statements = ast.parse("\n".join(lines[:whole])).body
        except SyntaxError as error:
            whole = max(0, min(whole, error.lineno or 0) - 1)
            continue
        except _NOT_COMPILED:
            return 0, []
        if not statements or not _goes_on(lines[whole:]):
            return whole, statements
        # The mistake is in the middle of the last statement.
        whole = _first_line(statements[-1]) - 1


def _goes_on(rest: list[str]) -> bool:
    """Whether these lines belong to the statement above them."""
    first = next((line for line in rest if line.strip() and not line.lstrip().startswith("#")), "")
    return first[:1] in {" ", "\t"} or bool(_CLAUSE.match(first))


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    first: int = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return first
