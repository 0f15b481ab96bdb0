"""Settings that hold objects of the session: handlers of loggers and of signals, figures that only pyplot knows."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

_LOGGING = "logging getLogger basicConfig dictConfig fileConfig setLevel addHandler removeHandler addFilter propagate \
disabled handlers removeFilter"


class Setting(NamedTuple):
    """`read` gives a dict; what differs from a fresh worker's is kept, if code mentions one of `words`; {}: always."""

    name: str
    words: frozenset[str]
    read: Callable[[], dict[Any, Any]]
    write: Callable[[dict[Any, Any]], object]


def _loggers() -> dict[Any, Any]:
    module = sys.modules.get("logging")
    if module is None:
        return {}
    loggers = {"": module.root, **module.root.manager.loggerDict}
    found = {name: _logger(one) for name, one in loggers.items() if isinstance(one, module.Logger)}
    return {**found, " disabled": module.root.manager.disable}


def _logger(one: Any) -> dict[str, Any]:
    plain = {"level": one.level, "propagate": one.propagate, "disabled": one.disabled}
    return {**plain, "handlers": list(one.handlers), "filters": list(one.filters)}


def _set_loggers(value: dict[Any, Any]) -> None:
    import logging  # noqa: PLC0415

    for name, state in value.items():
        if name == " disabled":
            logging.disable(state)
            continue
        one = logging.getLogger(name or None)
        one.setLevel(state["level"])
        one.propagate, one.disabled = state["propagate"], state["disabled"]
        one.handlers[:] = state["handlers"]
        one.filters[:] = state["filters"]


def _handlers() -> dict[Any, Any]:
    """Handlers of signals, but for the one that interrupts executions."""
    import signal  # noqa: PLC0415

    numbers = {int(one) for one in signal.valid_signals()} - {signal.SIGINT, signal.SIGKILL, signal.SIGSTOP}
    return {number: signal.getsignal(number) for number in sorted(numbers)}


def _set_handlers(value: dict[Any, Any]) -> None:
    import signal  # noqa: PLC0415

    for number, handler in value.items():
        signal.signal(number, handler)


def _figures() -> dict[Any, Any]:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None:
        return {}
    return {number: manager.canvas.figure for number, manager in helpers.Gcf.figs.items()}


def _set_figures(value: dict[Any, Any]) -> None:
    """Being loaded, they have put themselves back; the last one is the current one."""
    helpers = sys.modules["matplotlib._pylab_helpers"]
    for number in value:
        helpers.Gcf.figs.move_to_end(number)


LOGGERS = Setting("logging ", frozenset(_LOGGING.split()), _loggers, _set_loggers)
SIGNALS = Setting("signals ", frozenset(("signal",)), _handlers, _set_handlers)
FIGURES = Setting("figures ", frozenset(), _figures, _set_figures)
SETTINGS = {one.name: one for one in (LOGGERS, SIGNALS, FIGURES)}


class Settings:
    """Finds what differs. `values` has each by its name in the index."""

    def __init__(self) -> None:
        self._fresh: dict[str, dict[Any, Any]] = {}
        self.values: dict[str, Any] = {}

    def begin(self) -> None:
        self._fresh = {name: one.read() for name, one in SETTINGS.items()}

    def look(self, names: set[str], *, everything: bool) -> set[str]:
        """Return the names of those that may have changed."""
        found = set()
        for name, one in SETTINGS.items():
            if everything or not one.words or not one.words.isdisjoint(names):
                fresh = self._fresh[name]
                now = {key: value for key, value in one.read().items() if key not in fresh or fresh[key] != value}
                if now or self.values.pop(name, None) is not None:
                    found.add(name)
                if now:
                    self.values[name] = now
        return found

    def put_back(self, name: str, value: Any) -> None:
        SETTINGS[name].write(value)
        self.values[name] = value
