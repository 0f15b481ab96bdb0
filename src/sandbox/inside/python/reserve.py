"""Memory that the code does not get: the worker needs some to tell how an execution ended, to save it, to go on.

The variables of an execution that has used up its memory stay, and so does what they take. The process's limit has
a soft and a hard part: the soft one holds while code runs, the hard one for the rest of the time.
"""

import resource

_LIMIT = resource.RLIMIT_DATA


class Reserve:
    """Made before the fork. `open` comes first, and then the two by turns."""

    def __init__(self) -> None:
        self._soft: int | None = None
        self._hard = (-1, -1)

    def shut(self) -> None:
        """Before user code: it gets no more than the soft limit."""
        hard = resource.getrlimit(_LIMIT)[1]
        self._hard = (hard, hard)
        if self._soft is not None:
            resource.setrlimit(_LIMIT, (_lower(self._soft, hard), hard))

    def open(self) -> None:
        """After new limits, or user code, which may have lowered them: what is found is what code gets again."""
        try:
            self._soft, hard = resource.getrlimit(_LIMIT)
        except MemoryError:
            resource.setrlimit(_LIMIT, self._hard)  # there was none left for two numbers
            return
        if self._soft != hard:
            resource.setrlimit(_LIMIT, (hard, hard))


def _lower(one: int, other: int) -> int:
    """The lower of two limits; that there is none is -1."""
    if resource.RLIM_INFINITY in {one, other}:
        return max(one, other)
    return min(one, other)
