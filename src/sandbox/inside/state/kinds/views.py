"""Memory views: of the very object whose memory they show."""

from typing import Any

from ..lost import Refused
from ..pages import address_of
from ..pickler import SessionPickler
from ..registry import builder, reduces

# Those of memoryview.cast: a view in another format can only be the one that its object gives.
_FORMATS = frozenset("cbBhHiIlLqQnNfd?P")


@reduces("builtins.memoryview")
def _view(_: SessionPickler, view: memoryview) -> Any:
    try:
        base = view.obj
    except ValueError:
        raise Refused("a memory view that was released shows nothing") from None
    if base is None or not view.c_contiguous:
        raise Refused("a memory view with gaps cannot be made again")
    if view.format.removeprefix("@") not in _FORMATS and not _is_whole(view, memoryview(base)):
        raise Refused(f"a part of memory in the format {view.format!r} cannot be looked at again")
    offset = address_of(view) - address_of(base) if view.nbytes else 0
    return make_memoryview, (base, offset, view.nbytes, view.format, view.shape, view.readonly)


@builder
def make_memoryview(base: Any, offset: int, size: int, kind: str, shape: Any, readonly: bool) -> memoryview:
    view = memoryview(base)
    if (view.format, view.shape) != (kind, shape):
        if view.nbytes:
            view = view.cast("B")
        view = view[offset : offset + size]
        if size and (kind != "B" or len(shape) != 1):
            view = view.cast(kind, shape) if len(shape) != 1 else view.cast(kind)  # type: ignore[call-overload]
    return view.toreadonly() if readonly and not view.readonly else view


def _is_whole(view: memoryview, whole: memoryview) -> bool:
    return (view.format, view.shape) == (whole.format, whole.shape)
