"""From source text to code objects: compiled once for each key, with the last expression apart."""

import __future__

import ast
import linecache
from types import CodeType
from typing import NamedTuple

_FUTURES = sum(getattr(__future__, name).compiler_flag for name in set(__future__.all_feature_names))
# Of the cells' texts, as many characters as this, and of small ones as many cells: what is compiled takes more again.
_MOST_COMPILED, _LEAST_COMPILED = 8_000_000, 16_000
_MOST_SOURCES, _LEAST_SOURCE = 16_000_000, 1_600


class Cell(NamedTuple):
    """Compiled code: the statements, and the last expression if its value is to be shown."""

    body: "CodeType | None"
    value: "CodeType | None"


class Recent:
    """Which keys were noted last, as far as what they weigh together is not more than `most`. One is in any case."""

    def __init__(self, most: int, least: int) -> None:
        self._most, self._least = most, least
        self._weights: dict[str, int] = {}
        self._total = 0

    def note(self, key: str, size: int) -> "list[str]":
        """Note a key as the newest; return those that are too old now."""
        self._total += max(size, self._least) - self._weights.pop(key, 0)
        self._weights[key] = max(size, self._least)
        old = []
        while self._total > self._most and len(self._weights) > 1:
            old.append(next(iter(self._weights)))
            self._total -= self._weights.pop(old[-1])
        return old

    def clear(self) -> None:
        self._weights.clear()
        self._total = 0


class Cells:
    """Compiles cells and remembers them. A `from __future__ import` holds for the cells after it too."""

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[str, Cell]] = {}
        self._recent = Recent(_MOST_COMPILED, _LEAST_COMPILED)
        self._sources = Recent(_MOST_SOURCES, _LEAST_SOURCE)
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def __len__(self) -> int:
        return len(self._compiled)

    def clear(self) -> None:
        self._compiled.clear()
        self._recent.clear()

    def known(self, code: str, key: "str | None") -> "Cell | None":
        """The compiled cell, if it is there."""
        known = self._compiled.get(key or code)
        return known[1] if known is not None and known[0] == code else None

    def get(self, code: str, filename: str, key: "str | None") -> "tuple[Cell, bool]":
        """Return the compiled cell and whether it was there already. Raises SyntaxError and what compile raises.

        The same key with other code replaces what it named; without a key the code itself serves.
        """
        key = key or code
        known = self._compiled.get(key)
        if known is not None and known[0] == code:
            return known[1], True
        self._remember_source(filename, code)
        cell = self._compile(code, filename)
        for old in self._recent.note(key, len(code)):
            del self._compiled[old]
        self._compiled[key] = (code, cell)
        return cell, False

    def _remember_source(self, filename: str, code: str) -> None:
        """Let tracebacks and inspect.getsource find the lines. Entries without a time are never checked on disk."""
        for old in self._sources.note(filename, len(code)):
            linecache.cache.pop(old, None)
        lines = [line + "\n" for line in code.split("\n")]
        linecache.cache[filename] = (len(code), None, lines, filename)

    def _compile(self, code: str, filename: str) -> Cell:
        tree = compile(code, filename, "exec", self._flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body[-1] if tree.body else None
        value = None
        if isinstance(last, ast.Expr) and not code.rstrip().endswith(";"):
            tree.body.pop()
            value = ast.Expression(last.value)
        body = self._code(tree, filename, "exec") if tree.body else None
        return Cell(body, self._code(value, filename, "eval") if value else None)

    def _code(self, tree: "ast.Module | ast.Expression", filename: str, mode: str) -> CodeType:
        code: CodeType = compile(tree, filename, mode, self._flags, dont_inherit=True)
        self._flags |= code.co_flags & _FUTURES
        return code
