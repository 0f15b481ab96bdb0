"""An axis of matplotlib: what its numbers stand for."""

import itertools
import sys
from typing import Any

_MOST_TICKS = 60
_NUMBER = "$\\mathdefault{"


class Axis:
    """Turns positions on an axis back into what was plotted: numbers, ISO dates or names."""

    def __init__(self, axis: Any) -> None:
        self._axis = axis
        converter = axis.get_converter() if hasattr(axis, "get_converter") else axis.converter
        kinds = class_names(converter)
        self._periods = "PeriodConverter" in kinds  # of pandas: the numbers are ordinals
        self._dates = not self._periods and bool(
            kinds & {"DateConverter", "_SwitchableDateConverter"}
            or "DateLocator" in class_names(axis.get_major_locator())
        )
        self._names = _categories(axis) if "StrCategoryConverter" in kinds else _fixed_names(axis)

    @property
    def is_numeric(self) -> bool:
        """Whether positions stand for numbers."""
        return not (self._periods or self._dates or self._names)

    def values(self, numbers: Any, original: Any = None) -> "list[Any]":
        """Return what was plotted at these positions. `original` is what the plotting function was given, if known."""
        if self._periods:
            return self._as_periods(numbers if original is None else original)
        if self._dates:
            return _as_dates(numbers)
        if self._names:
            names = [self._names.get(round(float(number), 6)) for number in numbers]
            if None not in names:
                return names
        return _as_list(numbers)

    def labels(self, centers: Any) -> "list[Any]":
        """Return the names of bars or boxes around these positions: of the nearest tick, if there are named ones."""
        if self._periods or self._dates or not self._names:
            return self.values(centers)
        return [self._nearest(float(center)) for center in centers]

    def describe(self) -> "dict[str, Any]":
        """Return its label, scale, limits and ticks."""
        axis = self._axis
        limits = sorted(float(limit) for limit in axis.get_view_interval())
        return {
            "label": axis.get_label_text() or None,
            "scale": self._scale(),
            "limits": limits if self._names else self.values(limits),
            **({"inverted": True} if axis.get_inverted() else {}),
            **self._ticks(*limits),
        }

    def _scale(self) -> str:
        if self._periods or self._dates:
            return "datetime"
        return "categorical" if self._names else str(self._axis.get_scale())

    def _ticks(self, low: float, high: float) -> "dict[str, Any]":
        places = [float(place) for place in self._axis.get_majorticklocs()]
        names = _tick_labels(self._axis.get_major_formatter(), places)
        slack = (high - low) * 1e-9
        shown = [(p, n) for p, n in zip(places, names, strict=False) if low - slack <= p <= high + slack][:_MOST_TICKS]
        if not shown:
            return {}
        return {"ticks": self.values([place for place, _ in shown]), "tick_labels": [name for _, name in shown]}

    def _nearest(self, center: float) -> Any:
        places = sorted(self._names)
        place = min(places, key=lambda place: abs(place - center))
        gap = min((after - before for before, after in itertools.pairwise(places)), default=1.0)
        return self._names[place] if abs(place - center) <= gap / 2 else center

    def _as_periods(self, numbers: Any) -> "list[Any]":
        """Ordinals as pandas writes periods; some of its plots keep the periods themselves."""
        pandas: Any = sys.modules.get("pandas")
        frequency = getattr(self._axis, "freq", None)
        if pandas is None or frequency is None:
            return _as_list(numbers)
        periods = (n if hasattr(n, "ordinal") else pandas.Period(ordinal=int(n), freq=frequency) for n in numbers)
        return [str(period) for period in periods]


def class_names(value: object) -> "set[str]":
    """The names of the classes that `value` is an instance of."""
    return {kind.__name__ for kind in type(value).__mro__}


def _categories(axis: Any) -> "dict[float, str]":
    return {float(place): str(name) for name, place in axis.units._mapping.items()}


def _fixed_names(axis: Any) -> "dict[float, str]":
    """Names that were given to ticks one by one."""
    formatter = axis.get_major_formatter()
    named = class_names(formatter) & {"FixedFormatter", "FuncFormatter"}
    if not named or "FixedLocator" not in class_names(axis.get_major_locator()):
        return {}
    places = [float(place) for place in axis.get_majorticklocs()]
    names = dict(zip((round(place, 6) for place in places), _tick_labels(formatter, places), strict=False))
    return {} if all(_is_number(name, place) for place, name in names.items()) else names


def _tick_labels(formatter: Any, places: "list[float]") -> "list[str]":
    return [_plain(str(label)) for label in formatter.format_ticks(places)]  # labels that were given may be numbers


def _plain(label: str) -> str:
    """A number as matplotlib writes it for its renderer of formulas, as text: 10^3."""
    if label.startswith(_NUMBER) and label.endswith("}$"):
        return label[len(_NUMBER) : -2].replace("{", "").replace("}", "").replace("\\times", "x")
    return label


def _is_number(name: str, place: float) -> bool:
    try:
        return float(name.replace("\N{MINUS SIGN}", "-")) == place
    except ValueError:
        return not name


def _as_dates(numbers: Any) -> "list[Any]":
    numpy: Any = sys.modules["numpy"]
    epoch = numpy.datetime64(sys.modules["matplotlib.dates"].get_epoch())
    with numpy.errstate(invalid="ignore"):
        since = numpy.rint(numpy.asarray(numbers, dtype=float) * 86_400e6).astype("timedelta64[us]")
    dates: list[Any] = (epoch + since).tolist()
    return dates


def _as_list(numbers: Any) -> "list[Any]":
    listed: list[Any] = numbers.tolist() if hasattr(numbers, "tolist") else list(numbers)
    return listed
