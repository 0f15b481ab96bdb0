"""Locks and what is made of them; weak references."""

import _thread
import weakref
from typing import Any

from ..lost import Refused
from ..pickler import SessionPickler
from ..registry import builder, reduces, reduces_all


@reduces("_thread.lock")
def _lock(_: SessionPickler, value: Any) -> Any:
    return make_lock, (value.locked(),)


@builder
def make_lock(locked: bool) -> Any:
    made = _thread.allocate_lock()
    if locked:
        made.acquire()
    return made


@reduces("_thread.RLock")
def _reentrant(_: SessionPickler, value: Any) -> Any:
    """Held as often as it is. Releasing and taking it is the only way to be told."""
    count = 0
    while value._is_owned():
        value.release()
        count += 1
    for _again in range(count):
        value.acquire()
    if not count and not value.acquire(blocking=False):
        raise Refused("a lock that another thread holds cannot be kept")
    if not count:
        value.release()
    return make_reentrant, (count,)


@builder
def make_reentrant(count: int) -> Any:
    made = _thread.RLock()
    for _ in range(count):
        made.acquire()
    return made


@reduces("_queue.SimpleQueue")
def _queue(_: SessionPickler, value: Any) -> Any:
    items = []
    while not value.empty():
        items.append(value.get_nowait())
    for item in items:
        value.put(item)
    return make_queue, (items,)


@builder
def make_queue(items: list[Any]) -> Any:
    import queue  # noqa: PLC0415

    made: Any = queue.SimpleQueue()
    for item in items:
        made.put(item)
    return made


@reduces("weakref.ReferenceType", "builtins.weakref", "weakref.weakref")
def _reference(_: SessionPickler, value: Any) -> Any:
    target, callback = value(), value.__callback__
    if target is None:
        return dead_reference, ()
    return (make_reference, (target, callback)) if callback is not None else (make_reference, (target,))


@builder
def make_reference(target: Any, callback: Any = None) -> Any:
    return weakref.ref(target, callback)


class _Gone:
    """Has been something."""

    __slots__ = ("__weakref__",)


@builder
def dead_reference() -> Any:
    return weakref.ref(_Gone())


@reduces("weakref.KeyedRef")
def _keyed(_: SessionPickler, value: Any) -> Any:
    raise Refused("a reference that is part of a weak dictionary cannot be kept by itself")


@reduces("weakref.WeakValueDictionary", "weakref.WeakKeyDictionary")
def _weak_dictionary(_: SessionPickler, value: Any) -> Any:
    return weak_dictionary, (type(value).__name__,), list(value.items()), None, None, fill_weak


@builder
def weak_dictionary(kind: str) -> Any:
    return getattr(weakref, kind)()


@builder
def fill_weak(made: Any, items: list[Any]) -> None:
    made.update(items)


@reduces("_weakrefset.WeakSet")
def _weak_set(_: SessionPickler, value: Any) -> Any:
    return weak_set, (), list(value), None, None, fill_weak


@builder
def weak_set() -> Any:
    return weakref.WeakSet()


@reduces("weakref.ProxyType", "weakref.CallableProxyType", "builtins.weakproxy", "weakref.weakproxy")
@reduces("weakref.weakcallableproxy", "builtins.weakcallableproxy")
def _proxy(_: SessionPickler, value: Any) -> Any:
    return weakref.proxy, (value.__repr__.__self__,)


@reduces("weakref.WeakMethod")
def _weak_method(_: SessionPickler, value: Any) -> Any:
    method = value()
    return (weakref.WeakMethod, (method,)) if method is not None else (dead_reference, ())


@reduces_all("weakref.finalize")
def _finalizer(_: SessionPickler, value: Any) -> Any:
    raise Refused("a finalizer waits for the end of an object in this process")


@reduces("_thread._local")
def _local(_: SessionPickler, value: Any) -> Any:
    return _thread._local, (), dict(vars(value)), None, None, fill_local


@builder
def fill_local(made: Any, state: dict[str, Any]) -> None:
    vars(made).update(state)
