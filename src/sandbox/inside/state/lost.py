"""What cannot be kept: who it is, why, and what stands in its place after a restore."""

from typing import Any, NamedTuple, NoReturn

from .safe import module_of, path_of

_MOST_NAME, _MOST_REASON = 200, 500


class Lost(NamedTuple):
    """A name whose value is not in the checkpoint. `since`: the execution after which it was missed first."""

    name: str
    type: str
    reason: str
    since: int


class StateLost(NameError):
    """A name is used whose value could not be kept. As a NameError, since that is what it is: nothing is there."""


# It is what a cell prints in its traceback, and nothing that a cell can import.
StateLost.__module__ = "builtins"


class Refused(Exception):
    """A value that is not to be kept although something could be pickled: it would come back as something else."""


class Placeholder:
    """Stands for a value that was lost. Whatever is done with it raises StateLost."""

    __slots__ = ("_lost",)

    def __init__(self, lost: Lost) -> None:
        object.__setattr__(self, "_lost", lost)

    def __getattribute__(self, name: str) -> NoReturn:
        _raise(self)


def lost_of(placeholder: Placeholder) -> Lost:
    """Whom it stands for."""
    found: Lost = object.__getattribute__(placeholder, "_lost")
    return found


def _raise(self: Placeholder, *_: object, **__: object) -> NoReturn:
    lost = lost_of(self)
    made = f", made by execution {lost.since}," if lost.since else ""
    raise StateLost(f"{lost.name} ({lost.type}){made} could not be kept: {lost.reason}", name=lost.name)


_OPERATORS = (
    "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or neg pos abs invert round trunc floor "
    "ceil int float complex index bool str repr bytes format hash eq ne lt le gt ge len length_hint iter next reversed "
    "contains getitem setitem delitem call enter exit aenter aexit await aiter anext setattr delattr dir fspath copy "
    "deepcopy buffer instancecheck subclasscheck missing get"
)
_TWO_SIDED = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"
for _name in _OPERATORS.split():
    setattr(Placeholder, f"__{_name}__", _raise)
for _name in _TWO_SIDED.split():
    setattr(Placeholder, f"__r{_name}__", _raise)
    setattr(Placeholder, f"__i{_name}__", _raise)


def told(name: str) -> str:
    """A name as the engine hears it: of bounded length, and text that can be sent."""
    return name[:_MOST_NAME].encode("utf-8", "replace").decode()


NO_MEMORY = "that takes more memory than is left; delete what is not needed, or raise memory="


def why(error: BaseException) -> str:
    """A reason for people, of bounded length. The error may be the user's own and refuse to say what it is."""
    try:
        text = str(error)
    except BaseException as unprintable:  # noqa: BLE001 - the user's __str__ may raise anything
        text = f"its text raised {type(unprintable).__name__}"
    if isinstance(error, MemoryError):
        text = NO_MEMORY
    elif not isinstance(error, Refused):
        text = f"{type(error).__name__}: {text}"
    return text.encode("utf-8", "replace").decode()[:_MOST_REASON]


def type_name(value: Any) -> str:
    """A type's name, with its module where that says something. Never asks the value itself."""
    kind = type(value)
    if issubclass(kind, type):
        return "type"
    module = module_of(kind)
    return path_of(kind) if module in {"builtins", "__main__"} else f"{module}.{path_of(kind)}"
