"""The text of cells that live code was compiled from, for tracebacks and inspect.getsource."""

import linecache
from typing import Any

_PREFIX, _END = "<cell ", ">"

Record = tuple[dict[str, Any], list[Any]]


class Sources:
    """Which cells' texts the last checkpoint has."""

    def __init__(self) -> None:
        self._stored: set[int] = set()

    def save(self, files: set[str], number: int, source: str) -> list[Record]:
        """Write what came to be needed, drop what is not any more."""
        needed = {one for file in files if (one := _number(file)) is not None}
        if needed == self._stored:
            return []
        records: list[Record] = []
        for one in sorted(needed - self._stored):
            text = source if one == number else _remembered(one)
            if text is None:
                needed.discard(one)
                continue
            data = text.encode("utf-8", "surrogatepass")
            records.append(({"put": f"cells/{one}", "size": len(data)}, [data]))
        records += [({"drop": f"cells/{one}"}, []) for one in sorted(self._stored - needed)]
        self._stored = needed
        return records

    def restore(self, parts: Any) -> None:
        """Let linecache have them. An entry without a time is never looked for on disk."""
        for key in [key for key in parts if key.startswith("cells/")]:
            number = key.removeprefix("cells/")
            if number.isdecimal():
                text = bytes(parts[key]).decode("utf-8", "replace")
                file = f"{_PREFIX}{number}{_END}"
                linecache.cache[file] = (len(text), None, [line + "\n" for line in text.split("\n")], file)
                self._stored.add(int(number))


def _number(file: str) -> "int | None":
    number = file.removeprefix(_PREFIX).removesuffix(_END)
    return int(number) if file == f"{_PREFIX}{number}{_END}" and number.isdecimal() else None


def _remembered(number: int) -> "str | None":
    file = f"{_PREFIX}{number}{_END}"
    lines = linecache.getlines(file)
    return "".join(lines).removesuffix("\n") if lines else None
