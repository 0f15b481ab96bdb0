"""Where a cell of JavaScript or TypeScript ends, by its brackets: source is only looked at here, and parsed inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sandbox.cli.cells import is_command

_LEAVE = re.compile(r"(\.exit|(process\.)?(exit|quit)(\(\s*0?\s*\))?\s*;?)\s*\Z")
_TOKEN = re.compile(
    r"""(?P<blank> \s+ | //.* )
      | (?P<value> "(?:\\.|[^"\\])*"? | '(?:\\.|[^'\\])*'? | \d[\w.]* )
      | (?P<word> [\w$]+ )
      | (?P<sign> /\* | => | \+\+ | -- | . )""",
    re.VERBOSE,
)
_PATTERN = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[])+/\w*")
_TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^\\`$])*")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_BEFORE_A_VALUE = {
    "await", "case", "catch", "class", "const", "delete", "do", "else", "export", "extends", "finally", "function",
    "import", "in", "instanceof", "new", "return", "throw", "try", "typeof", "var", "void",
}  # fmt: skip
_GOES_ON_AFTER = {*"=+-*/%&|^?:,.<", "=>", *_BEFORE_A_VALUE} - {"return"}
_HEADS = {"if", "for", "while", "with", "switch", "catch"}
_NEXT_LINE_GOES_ON = re.compile(
    r"\s*(\.(?!\.|\d|exit\b)|\?\.|[?:&|*,)\]}]|\+(?!\+)|-(?!-)|(else|catch|finally|instanceof)\b)"
)


class _Opened(NamedTuple):
    """A bracket, or the beginning of a template or comment; the word before it; whether it is the head of something."""

    sign: str
    word: str = ""
    head: bool = False


class _Scanner:
    """Reads source line by line."""

    def __init__(self) -> None:
        self._open: list[_Opened] = []
        self._last = self._before = self._closed = ""
        self._closed_head = self._broken = False

    @property
    def begun(self) -> bool:
        """Whether there was anything but blanks and comments."""
        return bool(self._last)

    @property
    def complete(self) -> bool:
        """Whether what was read can be a whole. What is wrong is."""
        if self._broken:
            return True
        if self._last == ")" and self._closed_head:
            return False
        if self._last == "}" and self._closed in {"do", "try"}:
            return False
        return not self._open and self._last not in _GOES_ON_AFTER

    def feed(self, line: str) -> None:
        """Read the next line, given without its end."""
        at = 0
        while at < len(line) and not self._broken:
            inside = self._open[-1].sign if self._open else ""
            if inside == "/*":
                at = self._comment(line, at)
            elif inside == "`":
                at = self._template(line, at)
            else:
                at = self._token(line, at)

    def _comment(self, line: str, at: int) -> int:
        end = line.find("*/", at)
        if end < 0:
            return len(line)
        self._open.pop()
        return end + 2

    def _template(self, line: str, at: int) -> int:
        match = _TEMPLATE.match(line, at)
        assert match is not None
        at = match.end()
        if line.startswith("`", at):
            self._open.pop()
            self._took("``")
            return at + 1
        if line.startswith("${", at):
            self._open.append(_Opened("${"))
            self._took("{")
            return at + 2
        return len(line)  # a backslash at its end

    def _token(self, line: str, at: int) -> int:
        match = _TOKEN.match(line, at)
        assert match is not None
        text = match.group()
        if match["sign"] == "/" and not self._after_value():
            pattern = _PATTERN.match(line, at)
            if pattern is not None:
                self._took("``")
                return pattern.end()
        if match["sign"] is not None:
            self._sign(text)
        elif match["blank"] is None:
            self._took(text if match["word"] else "``")
        return match.end()

    def _after_value(self) -> bool:
        """Whether a slash divides here, and does not begin a pattern."""
        word = bool(re.match(r"[\w$]", self._last)) and self._last not in _BEFORE_A_VALUE
        return word or self._last in {"``", ")", "]", "}", "++", "--"}

    def _sign(self, sign: str) -> None:
        if sign in {"(", "[", "{", "`"}:
            word = self._last
            ends_do = word == "while" and self._before == "}" and self._closed == "do"
            head = (word in _HEADS and not ends_do) or "function" in {word, self._before}
            self._open.append(_Opened(sign, word, head and sign == "("))
        elif sign == "/*":
            self._open.append(_Opened(sign))
            return
        elif sign in _CLOSES:
            self._close(sign)
        self._took(sign)

    def _close(self, sign: str) -> None:
        opened = self._open.pop() if self._open else _Opened("")
        self._broken = opened.sign != _CLOSES[sign] and (sign, opened.sign) != ("}", "${")
        self._closed, self._closed_head = opened.word, opened.head

    def _took(self, token: str) -> None:
        self._before, self._last = self._last, token


def is_complete(text: str) -> bool:
    """Whether what was typed so far is a whole cell: its brackets are closed, and nothing has to follow."""
    if is_command(text):
        return True
    scanner = _Scanner()
    for line in text.split("\n"):
        scanner.feed(line)
    return scanner.complete


def leaves(text: str) -> bool:
    """Whether it is `.exit`, `process.exit()` or the like."""
    return bool(_LEAVE.match(text.strip()))


def split(text: str) -> Iterator[str]:
    """Yield the cells of a whole text: each command line, and between them what is whole and does not go on."""
    cell: list[str] = []
    scanner = _Scanner()
    for line in text.split("\n"):
        if scanner.begun and scanner.complete and line.strip() and not _NEXT_LINE_GOES_ON.match(line):
            yield "\n".join(cell).rstrip("\n")
            cell, scanner = [], _Scanner()
        if not cell and not line.strip():
            continue
        if not cell and is_command(line):
            yield line
            continue
        cell.append(line)
        scanner.feed(line)
    if scanner.begun or any(cell):
        yield "\n".join(cell).rstrip("\n")
