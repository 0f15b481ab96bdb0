"""Memory views: of the very object whose memory they show."""

from typing import Any

from ..lost import Refused
from ..pages import address_of
from ..pickler import SessionPickler
from ..registry import builder, reduces


@reduces("builtins.memoryview")
def _view(_: SessionPickler, view: memoryview) -> Any:
    try:
        base = view.obj
    except ValueError:
        raise Refused("a memory view that was released shows nothing") from None
    if base is None or not view.c_contiguous:
        raise Refused("a memory view with gaps cannot be made again")
    offset = address_of(view) - address_of(base) if view.nbytes else 0
    return make_memoryview, (base, offset, view.nbytes, view.format, view.shape, view.readonly)


@builder
def make_memoryview(base: Any, offset: int, size: int, kind: str, shape: Any, readonly: bool) -> memoryview:
    whole = memoryview(base)
    if whole.nbytes:
        whole = whole.cast("B")
    view = whole[offset : offset + size]
    if size and (kind != "B" or len(shape) != 1):
        view = view.cast(kind, shape) if len(shape) != 1 else view.cast(kind)  # type: ignore[call-overload]
    return view.toreadonly() if readonly and not view.readonly else view
