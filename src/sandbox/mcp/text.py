"""Texts as a model gets them: cut in the middle where they are long, with what to do about it."""

from __future__ import annotations

MOST_TEXT = 20_000
"""Characters of a program's output in one answer, about 5000 tokens."""
_HEAD = 0.6


def cut(text: str, most: int = MOST_TEXT, where: str = "") -> str:
    """The beginning and the end of a text that is too long, whole lines where it has some."""
    if len(text) <= most:
        return text
    head, tail = text[: int(most * _HEAD)], text[len(text) - int(most * (1 - _HEAD)) :]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :] or tail
    left_out = len(text) - len(head) - len(tail)
    break_ = "" if head.endswith("\n") else "\n"
    return f"{head}{break_}[... {left_out} characters are left out here{where} ...]\n{tail}"


def listed(names: tuple[str, ...] | list[str], most: int = 10) -> str:
    """Some of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000 or unit == "MB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
