"""Frames of pandas: who shares memory with whom is noted in pandas too, for it to copy before it writes."""

from typing import Any

from ..pickler import SessionPickler
from ..registry import builder, reduces_all


@reduces_all("pandas.core.generic.NDFrame")
def _frame(_: SessionPickler, frame: Any) -> Any:
    """As pandas does it, but for a list that its class has: all frames would share it, and so be one group."""
    made = frame.__reduce_ex__(4)
    state = made[2] if len(made) > 2 else None
    if type(state) is not dict or state.get("_metadata") is not type(frame)._metadata:
        return made
    return *made[:2], {**state, "_metadata": list(state["_metadata"])}, *made[3:]


@reduces_all("pandas._libs.internals.Block")
def _block(_: SessionPickler, block: Any) -> Any:
    make, arguments = block.__reduce__()[:2]
    return make_block, (make, arguments, getattr(block, "refs", None))


@builder
def make_block(make: Any, arguments: tuple[Any, ...], sharing: Any) -> Any:
    block = make(*arguments)
    if sharing is not None:
        sharing.add_reference(block)
        block.refs = sharing
    return block


@reduces_all("pandas.core.internals.managers.SingleBlockManager")
def _single(_: SessionPickler, manager: Any) -> Any:
    """By its block: what pandas does itself makes a new one of the block's values."""
    return make_single, (type(manager), manager.blocks[0], manager.axes[0])


@builder
def make_single(kind: Any, block: Any, axis: Any) -> Any:
    return kind(block, axis)


@reduces_all("pandas._libs.internals.BlockValuesRefs")
def _sharing(_: SessionPickler, sharing: Any) -> Any:
    return type(sharing), ()


@reduces_all("pandas.core.indexes.base.Index")
def _index(_: SessionPickler, index: Any) -> Any:
    made = index.__reduce__()
    sharing = getattr(index, "_references", None)
    if sharing is None or any(part is not None for part in made[2:]):
        return made
    return made[0], made[1], sharing, None, None, set_sharing


@builder
def set_sharing(index: Any, sharing: Any) -> None:
    sharing.add_index_reference(index)
    index._references = sharing
