"""Open files of the workspace, which are opened again at the same place, never cut; databases."""

import io
import os
import stat
import sys
from typing import Any

from ..lost import Refused
from ..pickler import Context, SessionPickler
from ..places import path_at, place_of
from ..registry import builder, reduces
from ..safe import full_name, name_of


def kept_path(name: Any, fd: int) -> str:
    """The path of an open file that will be there after a restore. Raises Refused."""
    if not isinstance(name, str | bytes):
        raise Refused("a file without a name cannot be opened again")
    path = kept_path_of(os.fsdecode(name))
    found, there = os.fstat(fd), os.stat(path)
    if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) != (there.st_dev, there.st_ino):
        raise Refused(f"{path} is not, or not any more, the file that was opened")
    return path


def kept_path_of(name: str) -> str:
    """The absolute path of a file that will be there after a restore. Raises Refused."""
    path = os.path.abspath(name)
    if not os.path.exists(path):
        raise Refused(f"the file {path} has been removed")
    home = os.path.realpath(Context.home).rstrip("/") + "/"
    if not os.path.realpath(path).startswith((home, *_LIBRARIES)):
        raise Refused(f"the file {path} is outside of the workspace, and only that is kept")
    return path


_LIBRARIES = tuple(path.rstrip("/") + "/" for path in {sys.prefix, sys.base_prefix, "/usr", "/etc"})

_STANDARD = ("stdin", "stdout", "stderr")


@reduces("_io.TextIOWrapper")
def _text(_: SessionPickler, file: Any) -> Any:
    for name in _STANDARD:
        if getattr(sys, name) is file or getattr(sys, f"__{name}__") is file:
            return standard, (name,)
    if not full_name(type(file.buffer)).startswith("_io.Buffered"):
        if file.closed:
            return closed_text, (file.encoding, file.errors)
        return wrap_text, (file.buffer, file.encoding, file.errors, file.line_buffering)
    how = {"encoding": file.encoding, "errors": file.errors}
    if file.closed:
        return closed_file, (place_of(file.name), file.mode, how)
    path = kept_path(file.name, file.fileno())
    if file.writable():
        file.flush()
    return open_file, (place_of(path), file.mode, _told(file), 1 if file.line_buffering else -1, how), \
        place_of(file.name), None, None, set_name  # fmt: skip


@reduces("_io.BufferedReader", "_io.BufferedWriter", "_io.BufferedRandom", "_io.FileIO")
def _binary(_: SessionPickler, file: Any) -> Any:
    raw = getattr(file, "raw", file)
    if full_name(type(raw)) != "_io.FileIO":
        raise Refused(f"a reader of a {name_of(type(raw))} cannot be opened again")
    buffering = 0 if raw is file else -1
    if file.closed:
        return closed_file, (place_of(file.name), file.mode, {"buffering": buffering})
    path = kept_path(file.name, file.fileno())
    if file.writable():
        file.flush()
    return open_file, (place_of(path), file.mode, file.tell(), buffering, {}), place_of(file.name), None, None, set_name


@builder
def open_file(place: Any, mode: str, at: int, buffering: int, how: dict[str, Any]) -> Any:
    """What is there, at the same place: a file that was made is not to be made again, and never cut."""
    binary = mode if "b" in mode or how else f"{mode}b"
    flags = os.O_RDWR if "+" in mode else os.O_RDONLY if "r" in mode else os.O_WRONLY
    fd = os.open(path_at(place), flags | os.O_CLOEXEC | (os.O_APPEND if "a" in mode else 0))
    # By its descriptor no mode cuts a file; "x" wants a path that is not there.
    made: Any = open(fd, binary.replace("x", "w"), buffering, **how)  # noqa: SIM115
    if "a" not in mode or "+" in mode:
        made.seek(at)
    return made


@builder
def set_name(made: Any, place: Any) -> None:
    """A file that is opened by a descriptor has that for its name."""
    _raw(made).name = path_at(place)


def _raw(file: Any) -> Any:
    buffered = getattr(file, "buffer", file)
    return getattr(buffered, "raw", buffered)


@builder
def standard(name: str) -> Any:
    return getattr(sys, name)


@builder
def closed_file(place: Any, mode: str, how: dict[str, Any]) -> Any:
    """A file that was closed, and says so to whoever uses it."""
    binary = mode if "b" in mode or "encoding" in how else f"{mode}b"
    fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    made: Any = open(fd, binary.replace("x", "w"), **how)  # noqa: SIM115
    _raw(made).name = path_at(place)
    made.close()
    return made


@builder
def closed_text(encoding: str, errors: str) -> Any:
    made = io.TextIOWrapper(io.BytesIO(), encoding, errors)
    made.close()
    return made


@builder
def wrap_text(buffer: Any, encoding: str, errors: str, line_buffering: bool) -> Any:
    return io.TextIOWrapper(buffer, encoding, errors, line_buffering=line_buffering)


def _told(file: Any) -> int:
    try:
        position: int = file.tell()
    except OSError:
        return _told_in_a_loop(file)
    return position


def _told_in_a_loop(file: Any) -> int:
    """In the middle of a loop over its lines a file does not know where it is: count what is left.

    Having been read to its end it knows again, and can be put back to where it was.
    """
    if os.fstat(file.fileno()).st_size > _MOST_COUNTED:
        raise Refused("a large file cannot say where it is in the middle of a loop over its lines")
    rest = len(file.read())
    next(file, None)
    file.seek(0)
    whole = len(file.read())
    file.seek(0)
    file.read(whole - rest)
    position: int = file.tell()
    return position


_MOST_COUNTED = 64 * 1024 * 1024


# --- databases ------------------------------------------------------------------------------------------------------


@reduces("sqlite3.Connection")
def _connection(_: SessionPickler, value: Any) -> Any:
    if value.in_transaction:
        raise Refused("the database has changes that were not committed")
    path = value.execute("PRAGMA database_list").fetchone()[2]
    path = path if os.path.isabs(path) else ""  # what was put in from bytes says that it is a file named x
    data = None if path else value.serialize() if value.execute("PRAGMA page_count").fetchone()[0] else b""
    place = place_of(kept_path_of(path) if path else ":memory:")
    return connect, (place, data), (value.isolation_level, value.row_factory, value.text_factory), \
        None, None, set_connection  # fmt: skip


@builder
def connect(place: Any, data: "bytes | None") -> Any:
    import sqlite3  # noqa: PLC0415

    path = path_at(place)
    if data is None and not os.path.exists(path):
        raise FileNotFoundError(f"the database {path} is not there")
    made = sqlite3.connect(path)
    if data:
        made.deserialize(data)
    return made


@builder
def set_connection(made: Any, state: tuple[Any, ...]) -> None:
    made.isolation_level, made.row_factory, made.text_factory = state


@reduces("sqlite3.Cursor")
def _cursor(_: SessionPickler, value: Any) -> Any:
    if value.description is not None or value.lastrowid is not None:
        raise Refused("a cursor that was used may be in the middle of its rows")
    return make_cursor, (value.connection,), (value.arraysize, value.row_factory), None, None, set_cursor


@builder
def make_cursor(connection: Any) -> Any:
    return connection.cursor()


@builder
def set_cursor(made: Any, state: tuple[Any, ...]) -> None:
    made.arraysize, made.row_factory = state


# --- tables in text ---------------------------------------------------------------------------------------------------


@reduces("_csv.writer", "_csv.Writer")
def _writer(_: SessionPickler, value: Any) -> Any:
    import gc  # noqa: PLC0415

    write = [one for one in gc.get_referents(value) if callable(one) and not isinstance(one, type)]
    if len(write) != 1:
        raise Refused("what a writer of tables writes to is not to be had")
    return make_writer, (getattr(write[0], "__self__", None), write[0], _dialect(value.dialect))


@reduces("_csv.reader", "_csv.Reader")
def _reader(_: SessionPickler, value: Any) -> Any:
    import gc  # noqa: PLC0415

    lines = [one for one in gc.get_referents(value) if hasattr(one, "__next__") and not isinstance(one, type)]
    if len(lines) != 1:
        raise Refused("what a reader of tables reads from is not to be had")
    return make_reader, (lines[0], _dialect(value.dialect), value.line_num)


_DIALECT = (
    "delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace", "strict",
)  # fmt: skip


def _dialect(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in _DIALECT}


@builder
def make_writer(file: Any, write: Any, dialect: dict[str, Any]) -> Any:
    import csv  # noqa: PLC0415

    return csv.writer(file if file is not None else _Target(write), **dialect)


class _Target:
    """Something that has nothing but a function to write with."""

    def __init__(self, write: Any) -> None:
        self.write = write


@builder
def make_reader(lines: Any, dialect: dict[str, Any], number: int) -> Any:
    """A reader that has read so many lines: empty ones, before those that it goes on with."""
    import csv  # noqa: PLC0415
    import itertools  # noqa: PLC0415

    made = csv.reader(itertools.chain(itertools.repeat("", number), lines) if number else lines, **dialect)
    for _ in range(number):
        next(made)
    return made
