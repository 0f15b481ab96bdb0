"""Completions from the live namespace, for `sandbox repl`."""

from typing import Any

_MOST = 200


def complete(namespace: dict[str, Any], code: str, cursor: int) -> dict[str, Any]:
    """Return what could stand at `cursor` in `code`: the matches, and where the text they replace begins."""
    import rlcompleter  # noqa: PLC0415 - it imports readline, which only a session in a terminal needs

    text = code[:cursor]
    start = len(text)
    while start and (text[start - 1].isalnum() or text[start - 1] in "._"):
        start -= 1
    completer = rlcompleter.Completer(namespace)
    found: list[str] = []
    try:
        while len(found) < _MOST and (match := completer.complete(text[start:], len(found))) is not None:
            found.append(match)
    except Exception:  # noqa: BLE001 - a property of the user's object raised: there is nothing to complete then
        found = []
    return {"matches": found, "start": start}
