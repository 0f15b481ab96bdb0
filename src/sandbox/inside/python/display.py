"""Shows values: the last expression's, what `display()` is given, and the figures that a cell leaves open."""

import builtins
import sys
import threading
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from .channel import Channel
from .held import Event, Held
from .mime import TEXT, Bundle, has_methods, method_of
from .streams import Streams

if TYPE_CHECKING:
    from .libraries import Library


class Handle:
    """What `display(value, display_id=True)` returns. The last of its updates is shown when the cell ends."""

    def __init__(self, display: "Display", display_id: str) -> None:
        self._display = display
        self.display_id = display_id

    def display(self, value: object, **options: Any) -> None:
        """Show a value now."""
        self._display.display(value, **options)

    def update(self, value: object, **options: Any) -> None:
        """Let this be what the handle shows."""
        self._display.update(value, display_id=self.display_id, **options)


class Display:
    """Sends values to the engine as results.

    Safe to call from any thread at any time. What is displayed while no cell runs, by a thread or task that an
    earlier one left behind, is held and sent when the next cell begins: between cells a worker must be silent.
    No value is kept after its cell but the last expression's, as `_`, where Python's own prompt has it; and in a
    session that takes much memory that one goes with the cell after it.
    """

    def __init__(self, channel: Channel, streams: Streams) -> None:
        self._channel = channel
        self._streams = streams
        self._lock = threading.RLock()
        self._running = False
        self._held = Held()
        self._updates = Held()
        self._handles = 0
        self._value: object = None  # what we have made `_` of, as long as it is that
        self._value_is_old = False
        # What a figure of matplotlib looked like when it was displayed: it need not be shown again if it still does.
        self._pictures: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()

    # --- cells ---

    def begin(self, number: int) -> None:
        """A cell starts: send what was displayed since the last one."""
        with self._lock:
            self._running = True
            self._value_is_old = True
            self._send_held(self._held, f"before cell {number} began")

    def end(self, value: object, *, shown: bool, stopped: bool = False) -> None:
        """A cell ends; `value` is its last expression's, if it is `shown`.

        Figures that it leaves open are closed and shown, but not if it was `stopped`: drawing can take long.
        """
        if not self._channel.mine:
            return
        figures = self._take_open_figures()
        if shown and not any(figure is value for figure in figures):
            self._show_main(value, wait=False)
        for figure in () if stopped else figures:
            self._show_open(figure, main=shown and figure is value)
        with self._lock:
            self._send_held(self._updates, "under ids of their own")
            self._running = False

    def forget_value(self) -> None:
        """Let go of what an earlier cell has made `_`."""
        if builtins.__dict__.get("_") is not self._value:
            self._value = None  # `_` is somebody else's now
        elif self._value_is_old and self._value is not None:
            del builtins._  # type: ignore[attr-defined]
            self._value = None

    def hook(self, value: object) -> None:
        """`sys.displayhook`: show a value as the cell's own."""
        self._show_main(value, wait=True)

    # --- what user code calls ---

    def display(
        self,
        *values: object,
        include: "Collection[str] | None" = None,
        exclude: "Collection[str] | None" = None,
        raw: bool = False,
        display_id: "str | bool | None" = None,
        **_options: object,
    ) -> "Handle | None":
        """Show each value now, as a notebook does.

        With `raw` the values are MIME bundles. With `display_id` a handle is returned whose `update` shows another.
        Other options of IPython's display are accepted and change nothing.
        """
        for value in values:
            if raw:
                self._send(self._raw_event(value))
            elif not self._displays_itself(value):
                self._send(self._event(value, include, exclude))
        if not display_id:
            return None
        self._handles += 1
        return Handle(self, display_id if isinstance(display_id, str) else f"display-{self._handles}")

    def update(self, value: object, *, display_id: str, raw: bool = False, **_options: object) -> None:
        """Let `value` be shown when the cell ends, unless it is updated again under the same id."""
        event = self._raw_event(value) if raw else self._event(value)
        with self._lock:
            self._updates.put(str(display_id), event)

    def publish(self, data: "dict[str, Any]", *_metadata: object, **_options: object) -> None:
        """IPython's publish_display_data: show a MIME bundle."""
        self.display(data, raw=True)

    def clear(self, *_options: object, **_named: object) -> None:
        """IPython's clear_output: what was sent stays sent."""

    def show_figure(self, figure: object, library: "Library") -> None:
        """Show now what a library calls a figure."""
        self._send(self._event(figure, library=library))

    # --- how ---

    def _show_main(self, value: object, *, wait: bool) -> None:
        if value is not None:
            builtins._ = self._value = value  # type: ignore[attr-defined]
            self._value_is_old = False
            if not self._displays_itself(value):
                self._send(self._event(value, main=True), wait=wait)

    def _show_open(self, figure: object, *, main: bool) -> None:
        """Show a figure that was left open, unless it is empty or looks as it did when it was displayed."""
        from . import figures  # noqa: PLC0415 - it loads matplotlib's drawing

        if main or not figures.is_empty(figure):
            before = self._pictures.get(figure)
            event = self._event(figure, main=main)
            if main or before is None or before != self._pictures.get(figure):
                self._send(event, wait=False)

    def _displays_itself(self, value: object) -> bool:
        if not has_methods(value) or _library(value) or (show := method_of(value, "_ipython_display_")) is None:
            return False
        bundle = Bundle()
        with bundle.reporting(f"{type(value).__name__}._ipython_display_ failed"):
            try:
                show()
            except NotImplementedError:
                return False
        self._report(bundle)
        return True

    def _event(
        self,
        value: object,
        include: "Collection[str] | None" = None,
        exclude: "Collection[str] | None" = None,
        *,
        main: bool = False,
        library: "Library | None" = None,
    ) -> Event:
        bundle = Bundle(include, exclude)
        chart = None
        library = library or _library(value)
        if library:
            chart = library.show(value, bundle)
        else:
            bundle.ask(value)
        self._report(bundle)
        data = bundle.finish()
        if library and library.leaves_open:
            self._pictures[value] = hash(data.get("image/png", data[TEXT]))
        kind = "figure" if library else "result"
        return Event({"event": kind, "main": main, "data": data, "chart": chart}, bundle.weight)

    def _raw_event(self, data: Any) -> Event:
        if not isinstance(data, dict):
            raise TypeError(f"with raw=True display() takes MIME bundles, which are dicts, not {type(data).__name__}")
        bundle = Bundle()
        bundle.add_all(data)
        self._report(bundle)
        return Event({"event": "result", "main": False, "data": bundle.finish()}, bundle.weight)

    def _report(self, bundle: Bundle) -> None:
        for problem in bundle.problems:
            self._streams.err.write(problem)

    def _send(self, event: Event, *, wait: bool = True) -> None:
        """Send an event, or hold it if no cell runs. With `wait` what is printed afterwards stays behind it."""
        if not self._channel.mine:
            # In a process that user code forked: it shares nothing with the engine but the standard streams.
            self._streams.out.write(event.message["data"][TEXT] + "\n")
            return
        with self._lock:
            if self._running:
                self._streams.out.flush()
                self._streams.err.flush()
                (self._channel.mark if wait else self._channel.send)(event.message)
            else:
                self._held.put(object(), event)

    def _send_held(self, held: Held, when: str) -> None:
        events, dropped = held.take()
        for event in events:
            self._send(event, wait=False)
        if dropped:
            self._streams.err.write(f"{dropped} values that were displayed {when} are lost: they were too many\n")

    def _take_open_figures(self) -> "list[Any]":
        pyplot = sys.modules.get("matplotlib._pylab_helpers")
        if pyplot is None or not pyplot.Gcf.figs:
            return []
        from . import figures  # noqa: PLC0415

        return figures.take_open()


def _library(value: object) -> "Library | None":
    """Return what shows figures of the library that made `value`, or None."""
    if type(value).__module__ == "builtins":
        return None
    from . import libraries  # noqa: PLC0415 - most sessions show plain values

    return libraries.shower_of(value)
