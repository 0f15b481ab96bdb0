"""The error tree: as it is drawn, with one code each, and rebuilt from the wire without ever importing anything."""

from __future__ import annotations

import errno
import pickle
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from sandbox import errors
from sandbox.errors import BY_CODE, SandboxError, SandboxFileError, from_wire

LINE = re.compile(r"(?P<indent>[ |`-]*)(?P<name>[A-Za-z]+)(?: \((?P<also>\w+)\))? {2,}(?P<code>[a-z_]+) {2,}")


def drawn() -> dict[str, tuple[str, str, str | None]]:
    """The tree in the module's docstring: name -> parent, code, the built-in class that it also is."""
    found: dict[str, tuple[str, str, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match is None or match["code"] == "code":
            if line.strip().startswith("SandboxError"):
                above = [(line.index("S"), "SandboxError")]
            continue
        depth = len(match["indent"])
        while above[-1][0] >= depth:
            above.pop()
        found[match["name"]] = (above[-1][1], match["code"], match["also"])
        above.append((depth, match["name"]))
    return found


def subclasses(base: type[SandboxError]) -> set[type[SandboxError]]:
    return {cls for child in base.__subclasses__() for cls in {child, *subclasses(child)}}


def public(base: type[SandboxError]) -> set[type[SandboxError]]:
    """The errors of the package: other modules, such as a level's failure to start, may add private kinds."""
    return {cls for cls in subclasses(base) if cls.__module__ == errors.__name__ and not cls.__name__.startswith("_")}


def parent(cls: type[SandboxError]) -> str:
    return next(base.__name__ for base in cls.__mro__[1:] if issubclass(base, SandboxError) and base.__name__[0] != "_")


def test_the_drawing_is_the_tree() -> None:
    tree = {cls.__name__: (parent(cls), cls.code) for cls in public(SandboxError)}
    assert {name: (above, code) for name, (above, code, _) in drawn().items()} == tree
    assert len(tree) >= 14


def test_the_drawing_names_the_built_in_classes() -> None:
    for name, (_, _, also) in drawn().items():
        cls = getattr(errors, name)
        for builtin in (ValueError, OSError):
            inherited = issubclass(getattr(errors, parent(cls)), builtin)
            assert issubclass(cls, builtin) == (also == builtin.__name__ or inherited), name


def test_every_error_has_a_code_of_its_own() -> None:
    classes: set[type[SandboxError]] = {SandboxError} | public(SandboxError)
    by_code: dict[str, type[SandboxError]] = {cls.code: cls for cls in classes}
    assert len(by_code) == len(classes)
    assert by_code == BY_CODE


def test_every_public_error_is_exported() -> None:
    names = {cls.__name__ for cls in public(SandboxError)}
    assert names - set(sandbox.__all__) == {"ProtocolError"}


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_an_error_survives_the_wire(code: str) -> None:
    details = {"timeout": 3.5, "error_type": "E", "traceback": "T", "errno": 2, "path": "a", "more": [1, {"x": None}]}
    error = from_wire(code, "what happened", details)
    assert type(error) is BY_CODE[code]
    assert (error.code, error.message, str(error), error.details) == (code, "what happened", "what happened", details)


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.text()))
def test_an_unknown_code_gives_the_base_class(code: str, message: str, details: dict[str, object]) -> None:
    error = from_wire(code, message, details)
    if code not in BY_CODE:
        assert type(error) is SandboxError
        assert error.details == {**details, "unknown_code": code}
    assert error.message == message


@pytest.mark.parametrize(
    "code", ["os.system", "builtins.eval", "sandbox.errors.UsageError", "KeyboardInterrupt", "antigravity"]
)
def test_a_code_never_names_something_to_import(code: str) -> None:
    before = set(sys.modules)
    assert type(from_wire(code, "", {})) is SandboxError
    assert set(sys.modules) == before


def test_details_are_a_copy() -> None:
    details = {"a": 1}
    error = SandboxError("x", details)
    details["a"] = 2
    assert error.details == {"a": 1}
    assert SandboxError("x").details == {}


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_errors_survive_pickling(code: str) -> None:
    cls = BY_CODE[code]
    error = cls("what happened", {"errno": 2, "path": "a", "timeout": 1.0})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert (str(copy), copy.details) == (str(error), error.details)


def test_file_errors_are_the_built_in_ones_too() -> None:
    missing = from_wire("file_not_found", "cannot read 'a'", {"errno": errno.ENOENT, "path": "a"})
    assert isinstance(missing, FileNotFoundError)
    assert (missing.errno, missing.filename, str(missing)) == (errno.ENOENT, "a", "cannot read 'a'")
    assert isinstance(from_wire("file_exists", "x", {}), FileExistsError)
    other = from_wire("file", "x", {"errno": errno.EACCES})
    assert isinstance(other, SandboxFileError)
    assert isinstance(other, OSError)
    assert not isinstance(other, FileNotFoundError)


def test_what_an_error_says_of_the_code_is_there_without_the_wire_too() -> None:
    error = errors.SandboxExecutionError("boom")
    assert (error.error_type, error.traceback) == ("SandboxExecutionError", "")
    timeout = errors.SandboxTimeoutError("late", {"timeout": 2})
    assert timeout.timeout == 2.0
    assert errors.SandboxTimeoutError("late").timeout == 0.0


def test_catching_a_kind_catches_its_kinds() -> None:
    assert issubclass(errors.SandboxLimitError, errors.SandboxExecutionError)
    assert issubclass(errors.SandboxClosedError, errors.SandboxConnectionError)
    assert not issubclass(errors.SandboxTimeoutError, errors.SandboxExecutionError)
    assert issubclass(errors.UsageError, ValueError)
