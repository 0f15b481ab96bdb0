"""functools.lru_cache with what is in it: a function need not be pure to be cached."""

import gc
import types
from collections.abc import Iterator
from typing import Any

from ..lost import Refused
from ..pickler import SessionPickler
from ..registry import builder, reduces
from ..world import MAIN, resolve

Call = tuple[tuple[Any, ...], dict[str, Any], Any]


@reduces("functools._lru_cache_wrapper")
def _cached(pickler: SessionPickler, function: Any) -> Any:
    module = getattr(function, "__module__", None)
    if module != MAIN and resolve(module, function.__qualname__) is function:
        pickler.needs_module(module)
        return pickler.library(function)
    chosen = function.cache_parameters()
    calls = list(_calls(function, chosen["typed"]))
    if calls and type(function.__wrapped__) is not types.FunctionType:
        raise Refused("the cache of a function that is not a Python function cannot be filled again")
    arguments = (function.__wrapped__, chosen["maxsize"], chosen["typed"])
    return make_cached, arguments, (dict(function.__dict__), calls), None, None, set_cached


def _calls(function: Any, typed: bool) -> Iterator[Call]:
    """What was called, and what came of it, from the oldest to the newest. The collector can see into the cache."""
    held = gc.get_referents(function)
    linked = 0 if function.cache_parameters()["maxsize"] is None else function.cache_info().currsize
    # Before the cache come its links, newest last, each as key, result and type; in some versions a type before those.
    first = 1 if isinstance(held[0], type) and held[0].__name__ == "_lru_cache_wrapper" else 0
    at = first + 3 * linked
    if type(held[at]) is not dict:
        raise Refused("the cache is not where this Python should have it")
    marker = next((one for one in held[at:] if type(one) is object), None)
    links = zip(held[first:at:3], held[first + 1 : at : 3], strict=True)
    pairs = links if linked else held[at].items()
    for key, result in list(pairs):
        arguments = key if type(key) is tuple else getattr(key, "args", (key,))
        yield (*_split(arguments, marker, typed), result)


def _split(key: tuple[Any, ...], marker: Any, typed: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A cache's key: arguments, a marker, names and values; and the types of all values if those count."""
    count = next((number for number, one in enumerate(key) if one is marker), None)
    if count is None:
        return (key[: len(key) // 2] if typed and len(key) > 1 else key), {}
    named = (len(key) - 1 - 2 * count) // 3 if typed else (len(key) - 1 - count) // 2
    pairs = key[count + 1 : count + 1 + 2 * named]
    return key[:count], dict(zip(pairs[::2], pairs[1::2], strict=True))


@builder
def make_cached(function: Any, size: Any, typed: bool) -> Any:
    import functools  # noqa: PLC0415

    return functools.lru_cache(size, typed)(function)


@builder
def set_cached(made: Any, state: tuple[dict[str, Any], list[Call]]) -> None:
    made.__dict__.update(state[0])
    if state[1]:
        _fill(made, made.__wrapped__, state[1])


def _fill(made: Any, function: types.FunctionType, calls: list[Call]) -> None:
    """Call the cache, with the function's code changed for one that returns what it did."""
    results = iter([result for _, _, result in calls])
    code = function.__code__
    try:
        function.__code__ = _returning(results, code.co_freevars)
        for arguments, named, _ in calls:
            made(*arguments, **named)
    finally:
        function.__code__ = code


def _returning(results: Iterator[Any], free: tuple[str, ...]) -> types.CodeType:
    """Code that returns the next result, with as many free variables as the function's own."""
    use = f"  ({','.join(free)},)\n" if free else ""
    text = (
        f"def outer({','.join(free)}):\n def inner(*_, **__):\n  if 0:\n {use or '   pass'}\n  x = '@'\n  return x()\n"
    )
    outer = next(one for one in compile(text, "<cache>", "exec").co_consts if type(one) is types.CodeType)
    inner = next(one for one in outer.co_consts if type(one) is types.CodeType)
    constants = tuple(results.__next__ if one == "@" else one for one in inner.co_consts)
    return inner.replace(co_consts=constants)
