"""What a session changes without binding it to a name: environment, directory, random states, options of libraries.

Each item has a stamp, which is cheap and differs whenever its value does. Only what differs from a fresh worker's is
stored. An item whose library was not there in a fresh worker is stored as it is.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

EARLY = frozenset(("environ", "cwd", "path", "argv", "umask", "recursion", "digits"))
"""Items that loading variables depends on."""


_DETERMINISTIC = f"{__package__.rpartition('.')[0]}.python.deterministic"


OF_EACH_WORKER = frozenset(("environ", "cwd", "path", "umask"))
"""Items that a worker begins with otherwise than the zygote."""


class Item(NamedTuple):
    """One thing. `stamp` to compare, `value` to store, `write` to set; `module` has to be loaded for it.

    `begin` forgets what it was compared with so far.
    """

    name: str
    module: str
    stamp: Callable[[], Any]
    value: Callable[[], Any]
    write: Callable[[Any], object]
    begin: Callable[[], object] = lambda: None


def _item(name: str, module: str, read: Callable[[], Any], write: Callable[[Any], object]) -> Item:
    """An item whose value is its stamp."""
    return Item(name, module, read, read, write)


def _module(name: str) -> Any:
    found = sys.modules.get(name)
    if found is None:
        import importlib  # noqa: PLC0415

        found = importlib.import_module(name)
    return found


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


class _Environment:
    """What code has changed of it. What the worker began with may be secret, and another one begins with its own."""

    def __init__(self) -> None:
        self._base: dict[Any, Any] | None = None

    def begin(self) -> None:
        self._base = None

    def stamp(self) -> Any:
        """The mapping itself, copied: comparing it costs less than decoding it."""
        now = dict(os.environ._data)  # type: ignore[attr-defined]
        if self._base is None:
            self._base = now
        return now

    def value(self) -> Any:
        base, now = self._base or {}, os.environ._data  # type: ignore[attr-defined]
        changed = {name: value for name, value in now.items() if base.get(name) != value}
        return changed, [name for name in base if name not in now]

    @staticmethod
    def write(value: Any) -> None:
        changed, deleted = value
        for name in deleted:
            os.environb.pop(name, None)
        os.environb.update(changed)


def _directory() -> Any:
    from .places import place_of  # noqa: PLC0415

    return place_of(os.getcwd())


def _enter(value: Any) -> None:
    from .places import path_at  # noqa: PLC0415

    os.chdir(path_at(value))


def _set_list(target: list[Any]) -> Callable[[Any], object]:
    def write(value: Any) -> None:
        target[:] = value

    return write


def _set_gc(value: Any) -> None:
    enabled, threshold = value
    gc.set_threshold(*threshold)
    (gc.enable if enabled else gc.disable)()


# --- the standard library -------------------------------------------------------------------------------------------


def _decimal_stamp() -> str:
    return repr(_module("decimal").getcontext())


def _decimal_value() -> Any:
    return _module("decimal").getcontext().copy()


def _set_filters(value: Any) -> None:
    module = _module("warnings")
    module.filters[:] = value
    module._filters_mutated() if hasattr(module, "_filters_mutated") else module._filters_mutated_lock_held()


def _locale(value: "str | None" = None) -> str:
    module = _module("locale")
    found: str = module.setlocale(module.LC_ALL, value)
    return found


class _Twister:
    """The state of the module `random`, read from the generator's memory: getting it makes 625 numbers of it."""

    def __init__(self) -> None:
        self._begun = False
        self._read: Callable[[int, int], bytes] | None = None
        self._address = 0

    def begin(self) -> None:
        self._begun = False

    def stamp(self) -> Any:
        random = _module("random")
        generator = random._inst
        if not self._begun:
            self._begun = True
            self._read = _reader() if _lies_where_it_should(generator) else None
            self._address = id(generator) + _HEAD
        if self._read is None or id(generator) + _HEAD != self._address:
            return random.getstate()
        return self._read(self._address, _WORDS * 4 + 4), generator.gauss_next


_HEAD = object.__basicsize__
_WORDS = 624


def _reader() -> "Callable[[int, int], bytes]":
    import ctypes  # noqa: PLC0415

    return ctypes.string_at


def _lies_where_it_should(generator: Any) -> bool:
    """Whether this interpreter has `int index; uint32_t state[624]` right after an object's head."""
    if type(generator).__mro__[1].__basicsize__ < _HEAD + 4 + _WORDS * 4:
        return False
    state = generator.getstate()[1]
    expected = b"".join(word.to_bytes(4, sys.byteorder) for word in (state[_WORDS], *state[:_WORDS]))
    return _reader()(id(generator) + _HEAD, _WORDS * 4 + 4) == expected


# --- numpy ----------------------------------------------------------------------------------------------------------

_POSITION = 2504
"""Bytes of a Mersenne twister's state: 624 words and the position in them."""


def _numpy_random_stamp() -> Any:
    """The generator's memory, where it is the usual one: a hundred times faster than asking for its state."""
    import ctypes  # noqa: PLC0415

    state = _module("numpy.random").mtrand._rand
    generator = state._bit_generator
    if type(generator).__name__ != "MT19937":
        return state.get_state(legacy=False)["state"].__repr__()
    return ctypes.string_at(generator.ctypes.state_address, _POSITION), state.get_state.__self__ is state


def _numpy_random_value() -> Any:
    return _module("numpy.random").get_state(legacy=False)


def _print_options() -> Any:
    return _module("numpy").get_printoptions()


def _set_print_options(value: dict[str, Any]) -> None:
    value.pop("override_repr", None)
    _module("numpy").set_printoptions(**value)


# --- matplotlib and pandas ------------------------------------------------------------------------------------------


class _Parameters:
    """matplotlib's rcParams: 300 values, of which the changed ones matter."""

    def __init__(self) -> None:
        self._base: dict[str, Any] | None = None
        self._seen: dict[str, Any] = {}
        self._count = 0

    def stamp(self) -> int:
        """A number that goes up when something has changed."""
        now = _module("matplotlib").rcParams
        if self._base is None or not dict.__eq__(now, self._seen):
            self._seen = dict.copy(now)
            self._base = self._seen if self._base is None else self._base
            self._count = 0 if dict.__eq__(self._seen, self._base) else self._count + 1
        return self._count

    def value(self) -> Any:
        base = self._base or {}
        return {key: one for key, one in self._seen.items() if key not in base or base[key] != one}

    @staticmethod
    def write(value: dict[str, Any]) -> None:
        dict.update(_module("matplotlib").rcParams, value)


class _Options:
    """pandas's, by their full names. They lie in nested dicts: to compare those costs a tenth of reading them."""

    def __init__(self) -> None:
        self._levels: list[dict[str, Any]] = []
        self._copies: list[dict[str, Any]] = []
        self._found: dict[str, Any] = {}

    def stamp(self) -> Any:
        top = _module("pandas._config.config")._global_config
        if not self._levels or self._levels[0] is not top or self._levels != self._copies:
            self._levels = list(_levels(top))
            self._copies = [dict(one) for one in self._levels]
            self._found = _options()
        return self._found


def _levels(options: dict[str, Any]) -> "Iterator[dict[str, Any]]":
    yield options
    for value in options.values():
        if type(value) is dict:
            yield from _levels(value)


def _options() -> Any:
    return _flat(_module("pandas._config.config")._global_config, "")


def _flat(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    found = {}
    for name, value in options.items():
        if type(value) is dict:
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def _set_options(value: dict[str, Any]) -> None:
    pandas = _module("pandas")
    now = _options()
    for name, one in value.items():
        if name not in now or (now[name] is not one and now[name] != one):
            pandas.set_option(name, one)


def _course() -> Any:
    return sys.modules[_DETERMINISTIC].course.state()


def _set_course(value: Any) -> None:
    module = sys.modules.get(_DETERMINISTIC)
    if module is not None:  # else a worker that has no seed, and only tries what is stored
        module.course.go_on(value)


def items() -> list[Item]:
    """All of them, in the order in which they are restored: what needs a directory or a path comes after those."""
    environment, parameters, options, twister = _Environment(), _Parameters(), _Options(), _Twister()
    return [
        Item("environ", "", environment.stamp, environment.value, environment.write, environment.begin),
        Item("cwd", "", os.getcwd, _directory, _enter),
        _item("path", "", lambda: list(sys.path), _set_list(sys.path)),
        _item("argv", "", lambda: list(sys.argv), _set_list(sys.argv)),
        _item("umask", "", _umask, os.umask),
        _item("recursion", "", sys.getrecursionlimit, sys.setrecursionlimit),
        _item("digits", "", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
        _item("gc", "", lambda: (gc.isenabled(), gc.get_threshold()), _set_gc),
        _item("locale", "locale", _locale, _locale),
        _item("warnings", "warnings", lambda: list(_module("warnings").filters), _set_filters),
        Item("decimal", "decimal", _decimal_stamp, _decimal_value, lambda v: _module("decimal").setcontext(v)),
        _item("timeout", "socket", lambda: _module("socket").getdefaulttimeout(),
              lambda v: _module("socket").setdefaulttimeout(v)),
        _item("numpy.print", "numpy", _print_options, _set_print_options),
        _item("numpy.errors", "numpy", lambda: _module("numpy").geterr(), lambda v: _module("numpy").seterr(**v)),
        Item("matplotlib", "matplotlib.rcsetup", parameters.stamp, parameters.value, parameters.write),
        Item("pandas", "pandas._config.config", options.stamp, _options, _set_options),
        Item("random", "random", twister.stamp, lambda: _module("random").getstate(),
             lambda v: _module("random").setstate(v), twister.begin),
        Item("numpy.random", "numpy.random", _numpy_random_stamp, _numpy_random_value,
             lambda v: _module("numpy.random").set_state(v)),
        # Last: what has come back before may have asked for the time.
        _item("course", _DETERMINISTIC, _course, _set_course),
    ]  # fmt: skip
