"""Arrays of numpy: views stay views, memory is shared as it was, and large memory goes beside the pickle."""

import sys
from importlib import import_module
from pickle import PickleBuffer
from typing import Any

from ..memory import KeptBytes, KeptMapping
from ..pages import address_of
from ..parts import MAPPED
from ..pickler import LARGE, Context, SessionPickler
from ..places import path_at, place_of
from ..registry import builder, reduces, reduces_all
from ..safe import full_name

_OURS = (KeptBytes, KeptMapping)
_COPY_BELOW = 4


def _numpy() -> Any:
    """The session's, which a fresh worker may not have imported yet."""
    return import_module("numpy")


@reduces_all("numpy.ndarray")
def _array(pickler: SessionPickler, array: Any) -> Any:
    numpy = sys.modules["numpy"]
    kind = type(array)
    if kind is not numpy.ndarray and kind.__reduce__ is not numpy.ndarray.__reduce__:
        return NotImplemented
    owner = _owner(array, numpy.ndarray)
    if _is_masked(owner):
        owner = _plain(pickler, owner, numpy)
    if owner is array:
        return _owned(pickler, array, numpy)
    if _is_private(array, owner):
        copy = array.copy(order="K")
        pickler.kept.append(copy)
        return _owned(pickler, copy, numpy)
    return _view(array, owner, numpy)


@reduces_all("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray")
def _masked(pickler: SessionPickler, array: Any) -> Any:
    """As data and mask, each in the memory that it is in; numpy's own way copies both, and forgets a hard mask."""
    plain = _plain(pickler, array, sys.modules["numpy"])
    return make_masked, (type(array), plain), dict(vars(array)), None, None, set_attributes


def _is_masked(array: Any) -> bool:
    masked = sys.modules.get("numpy.ma")
    return masked is not None and issubclass(type(array), masked.MaskedArray)


def _plain(pickler: SessionPickler, array: Any, numpy: Any) -> Any:
    """The data of a masked array, the same object each time: if its memory is its own, that stands for its owner."""
    found = pickler.plains.get(id(array))
    if found is None:
        found = pickler.plains[id(array)] = numpy.ndarray.view(array, numpy.ndarray)
        pickler.kept.append(array)
    return found


@builder
def make_masked(kind: Any, plain: Any) -> Any:
    numpy = _numpy()
    return numpy.ndarray.view(plain, kind)


@reduces("numpy.memmap")
def _mapped_file(pickler: SessionPickler, array: Any) -> Any:
    numpy = sys.modules["numpy"]
    owner = array
    while isinstance(owner.base, numpy.ndarray):
        owner = owner.base
    if owner is not array:
        return _view(array, owner, numpy)
    from .files import kept_path_of  # noqa: PLC0415

    path = kept_path_of(str(array.filename))
    if array.flags.writeable and array.mode != "c":
        array.flush()
    mode = "r+" if array.mode == "w+" else array.mode
    order = "C" if array.flags.c_contiguous else "F"
    return open_memmap, (place_of(path), array.dtype, mode, array.offset, array.shape, order)


@builder
def open_memmap(place: Any, dtype: Any, mode: str, offset: int, shape: Any, order: str) -> Any:
    numpy = _numpy()
    return numpy.memmap(path_at(place), dtype, mode, offset, shape, order)


def _owner(array: Any, base_kind: type) -> Any:
    """The array, or other object, that has the memory; of arrays that lie in what has no name for it, the last."""
    owner = array
    while issubclass(type(owner), base_kind) and owner.base is not None:
        behind = _behind(owner.base)
        if full_name(type(owner)) == "numpy.memmap" and not issubclass(type(behind), base_kind):
            return owner
        if isinstance(behind, _OURS) or not (issubclass(type(behind), base_kind) or _has_memory(behind)):
            return owner
        owner = behind
    return owner


def _has_memory(value: Any) -> bool:
    """Whether it is an object that can be pickled with its memory: a library's own is copied instead."""
    return type(value) in {bytes, bytearray, memoryview} or full_name(type(value)) in {"array.array", "mmap.mmap"}


def _behind(base: Any) -> Any:
    """What as_strided, and all that is made with it, has put its own object before."""
    return base.base if full_name(type(base)).endswith("stride_tricks.DummyArray") else base


def _is_private(array: Any, owner: Any) -> bool:
    """Whether a small view is the only thing that keeps a large array: then the rest of it is of no use."""
    small = array.nbytes * _COPY_BELOW < getattr(owner, "nbytes", 0)
    return small and array.base is owner and sys.getrefcount(owner) <= _REFERENCES


_REFERENCES = 4  # the array's base, the two callers' variables, and the argument


def _owned(pickler: SessionPickler, array: Any, numpy: Any) -> Any:
    kind = None if type(array) is numpy.ndarray else type(array)
    state = dict(vars(array)) if hasattr(array, "__dict__") else None
    plain = numpy.ndarray.view(array, numpy.ndarray)
    if array.dtype.hasobject:
        arguments: tuple[Any, ...] = (plain.ravel(order="A").tolist(), array.dtype, array.shape, _order(array))
        return _made(make_object_array, (*arguments, array.flags.writeable, kind), state)
    axes = _axes(array)
    flat = plain.transpose(axes).ravel(order="A") if array.ndim != 1 else plain
    if not flat.flags.c_contiguous:
        flat = flat.copy()
    pickler.kept.append(flat)
    data = _bytes(pickler, flat)
    shape = tuple(array.shape[axis] for axis in axes)
    return _made(make_array, (data, array.dtype, shape, axes, array.flags.writeable, kind), state)


def _made(function: Any, arguments: tuple[Any, ...], state: "dict[str, Any] | None") -> Any:
    return (function, arguments, state, None, None, set_attributes) if state else (function, arguments)


def _order(array: Any) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _axes(array: Any) -> tuple[int, ...]:
    """The order of axes in which the memory runs from its first byte to its last."""
    if array.flags.c_contiguous:
        return tuple(range(array.ndim))
    return tuple(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))


def _bytes(pickler: SessionPickler, flat: Any) -> Any:
    """Out of the pickle from 64 KB on."""
    if flat.nbytes < LARGE:
        return flat.tobytes()
    plain = flat.view("u1")
    pickler.kept.append(plain)
    return PickleBuffer(plain)


@builder
def make_array(data: Any, dtype: Any, shape: Any, axes: Any, writeable: bool, kind: Any = None) -> Any:
    """Ones below 1 MB own their data again. Larger ones lie in the mapping that they are handed."""
    numpy = _numpy()
    if isinstance(data, bytes):
        array = numpy.ndarray(shape, dtype, buffer=data).copy() if data else numpy.empty(shape, dtype)
    else:
        array = numpy.ndarray(shape, dtype, buffer=data)
        if data.nbytes < MAPPED:
            array = array.copy()
            Context.loader.moved(data, array)
    if axes != tuple(range(len(shape))):
        array = array.transpose(tuple(axes.index(axis) for axis in range(len(axes))))
    if kind is not None:
        array = numpy.ndarray.view(array, kind)
    array.flags.writeable = writeable
    return array


@builder
def make_object_array(items: list[Any], dtype: Any, shape: Any, order: str, writeable: bool, kind: Any = None) -> Any:
    numpy = _numpy()
    array = numpy.empty(len(items), dtype)
    for number, item in enumerate(items):
        array[number] = item
    array = array.reshape(shape, order=order)
    array = array if kind is None else numpy.ndarray.view(array, kind)
    array.flags.writeable = writeable
    return array


@builder
def set_attributes(made: Any, state: dict[str, Any]) -> None:
    made.__dict__.update(state)


def _view(array: Any, owner: Any, numpy: Any) -> Any:
    kind = None if type(array) is numpy.ndarray else type(array)
    start = owner.__array_interface__["data"][0] if isinstance(owner, numpy.ndarray) else address_of(owner)
    offset = array.__array_interface__["data"][0] - start
    arguments = (owner, array.dtype, array.shape, array.strides, offset, array.flags.writeable, kind)
    # A view of a mapped file takes its attributes from the one that has mapped it.
    state = (
        dict(vars(array)) if kind is not None and not hasattr(array, "_mmap") and hasattr(array, "__dict__") else None
    )
    return _made(make_view, arguments, state)


@builder
def make_view(owner: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool, kind: Any = None) -> Any:
    numpy = _numpy()
    if dtype.hasobject:
        view = _object_view(numpy, owner, dtype, shape, strides, offset)
    else:
        memory = owner
        if isinstance(owner, numpy.ndarray):
            memory = _flat(owner)
        view = numpy.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
    view = view if kind is None else numpy.ndarray.view(view, kind)
    if view.flags.writeable != writeable:
        view.flags.writeable = writeable
    return view


def _flat(owner: Any) -> Any:
    """All bytes of an array that owns its memory, in the order in which they lie."""
    numpy = _numpy()
    plain = numpy.ndarray.view(owner, numpy.ndarray)
    return plain.transpose(_axes(owner)).ravel(order="A").view("u1")


def _object_view(numpy: Any, owner: Any, dtype: Any, shape: Any, strides: Any, offset: int) -> Any:
    flat = owner.transpose(_axes(owner)).ravel(order="A")
    first = flat[offset // owner.itemsize :]
    view = numpy.lib.stride_tricks.as_strided(first, shape, strides)
    if view.dtype != dtype:
        raise TypeError(f"a view of {owner.dtype} as {dtype} holds objects and cannot be made again")
    return view
