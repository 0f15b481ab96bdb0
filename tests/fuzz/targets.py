"""The host's parsers, each as a function of bytes that nobody has looked at before.

A target raises only what its parser is said to raise, and that is caught here: whatever else comes out is a defect.
`test_targets.py` runs them briefly, `python -m tests.fuzz` for as long as one likes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from sandbox import beneath
from sandbox.engine import timeline
from sandbox.engine.forker import said_by_zygote
from sandbox.engine.worker_events import Shown, decoder
from sandbox.errors import ProtocolError, SandboxError, StoreDamaged, StoreError, UsageError
from sandbox.inside.wire import frames
from sandbox.protocol import messages as m
from sandbox.remote import answers
from sandbox.server import checks, content, names, policy, rest
from sandbox.server.keys import Key, Quotas
from sandbox.server.operations import OPERATIONS
from sandbox.store import archive_format, manifest, packs, records, sealed, workspace
from sandbox.store.extents import PAGE
from sandbox.store.sessions import New
from sandbox.store.staging import Arriving
from sandbox.store.store import Store

CORPUS = Path(__file__).with_name("corpus")
_SECONDS = 5.0  # for a delta: all of it is there before it is read
_KEY = Key("1", "fuzz", "owner", 0.0, None, None, ("sandboxes",), Quotas())


class Target(NamedTuple):
    """`run` is to return, whatever it is given. `seeds`: what is well-formed, and so worth changing a little."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


# --- from workers ---------------------------------------------------------------------------------------------------


def worker_frames(data: bytes) -> None:
    """A control socket: frames, and an event in each."""
    with contextlib.suppress(frames.BadFrame):
        for body in frames.FrameBuffer(1 << 20).feed(data):
            worker_event(body)


def worker_event(data: bytes) -> None:
    """One event. What is taken can be sent on."""
    try:
        event = decoder.decode(data)
    except msgspec.DecodeError:
        return
    if isinstance(event, Shown):
        m.decode_event(m.encode(m.ResultShown(event.data, event.main, event.chart)))


def zygote_message(data: bytes) -> None:
    """What a zygote says, in which packages are imported."""
    with contextlib.suppress(msgspec.MsgspecError):
        said_by_zygote(data)


def record_header(data: bytes) -> None:
    """A header of a record, on the state's socket."""
    with contextlib.suppress(ProtocolError):
        record = records.decode(data)
        assert record.size >= 0
        assert record.key.isprintable()


def delta(data: bytes) -> None:
    """All that comes on the state's socket, taken into a real store. What is refused leaves nothing."""
    store, session = _session()
    staging = session.staging()
    try:
        _received(staging, data)
    except SandboxError:
        pass
    finally:
        staging.abort()
    assert session.head == 0
    assert not [pack for pack in store.packs.rglob("*.pack") if pack.stat().st_size], "something was left behind"


def _received(staging: Any, data: bytes) -> None:
    host, worker = socket.socketpair()
    thread = threading.Thread(target=_send, args=(worker, data))
    thread.start()
    try:
        staging.receive(Arriving(host.fileno(), len(data), time.monotonic() + _SECONDS))
    finally:
        host.close()
        thread.join()


def _send(worker: socket.socket, data: bytes) -> None:
    with worker, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        worker.sendall(data)


def index(data: bytes) -> None:
    """What a worker wrote about its variables, shown to people."""
    with contextlib.suppress(StoreDamaged):
        m.encode(m.VariablesListed(timeline.shown_of(data)))


# --- what is stored -------------------------------------------------------------------------------------------------


def stored_value(data: bytes) -> None:
    """A value of a row, with a check that is right: whoever wrote it knew how."""
    for blob in (data, _checked(data)):
        with contextlib.suppress(StoreDamaged):
            for entry in manifest.decode(blob, "it").values():
                manifest.part_of(entry)


def _checked(data: bytes) -> bytes:
    body = data or b"\0"
    return body[:1] + blake3(body).digest(length=8) + body[1:]


def packed_value(data: bytes) -> None:
    """A small part of a checkpoint, which may be compressed."""
    with contextlib.suppress(StoreDamaged):
        assert len(sealed.unpacked(data, 1 << 20)) <= max(len(data), 1 << 20)


def pack(data: bytes) -> None:
    """A pack file, whose first header may have a check that is right."""
    with tempfile.TemporaryFile() as file:
        for content_ in (data, _checked_header(data)):
            file.seek(0)
            file.truncate()
            file.write(content_)
            file.flush()
            with contextlib.suppress(StoreDamaged):
                for number, found in enumerate(packs.records(file.fileno(), len(content_), "it")):
                    assert number < len(content_)
                    with contextlib.suppress(StoreDamaged):
                        packs.verify(file.fileno(), found.record, "it")


def _checked_header(data: bytes) -> bytes:
    """A record whose header says what `data` begins with."""
    about = data[:200]
    body = packs._FIXED.pack(packs._MAGIC, PAGE, len(about), len(data), blake3(data).digest()) + about
    return (body + blake3(body).digest(length=packs._CHECK)).ljust(PAGE, b"\0") + data


def file_key(data: bytes) -> None:
    """The name under which a file is stored. It leads to nothing above the workspace."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(StoreDamaged):
        path = workspace.path_of(text)
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert workspace.path_of(workspace.key_of(path)) == path


def archive(data: bytes) -> None:
    """A file that is to be imported. What is refused leaves nothing."""
    store = _store()
    file = store.packs.parent / "fuzz.sandbox"
    file.write_bytes(data)
    before = store.sessions(owner="owner")
    with contextlib.suppress(StoreError, UsageError):
        store.import_session(file, owner="owner", session="imported")
        store.open("imported", owner="owner").delete()
    assert store.sessions(owner="owner") == before


def archive_description(data: bytes) -> None:
    """The description in an archive."""
    with contextlib.suppress(archive_format.ArchiveError):
        archive_format.checked(data)


# --- from callers ---------------------------------------------------------------------------------------------------


def request(data: bytes) -> None:
    """A request of the SDK's, as a server takes it."""
    try:
        found: Any = m.decode_request(data)
    except msgspec.MsgspecError:
        return
    with contextlib.suppress(SandboxError):
        if not isinstance(found, m.OpenSession) or found.session is not None:
            checks.check(found)
            names.translated(found, "owner")
        if isinstance(found, m.OpenSession):
            options = policy.checked(found.options, _KEY, 600.0)
            assert options.network == "none"
            assert not options.files
            assert not options.without


class _Body:
    """A request whose body is there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.scope = {"query_string": data, "method": "POST", "path": "/"}

    async def body(self) -> bytes:
        return self._data


def http_body(data: bytes) -> None:
    """The JSON of a request to the HTTP API, for each of its operations."""
    with contextlib.suppress(UsageError):
        given = _driven(rest.body_of(_Body(data)))  # type: ignore[arg-type]
        for operation in OPERATIONS:
            if operation.of is not None and operation.method == "POST":
                with contextlib.suppress(UsageError):
                    rest._message(operation, {"session": "box"}, dict(given), operation.method)


def _driven(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def http_query(data: bytes) -> None:
    """A query string, and a Range header."""
    call: Any = _Body(data)
    with contextlib.suppress(UsageError):
        rest.query_of(call, {"limit": int, "old": int, "recursive": bool, "path": str})
    with contextlib.suppress(UsageError):
        part = content._part(data.decode("latin-1"), 1000)
        assert part is None or (part[0] >= 0 and part[1] > 0 and sum(part) <= 1000)


def upload_path(data: bytes) -> None:
    """The path of a file that a caller writes. Nothing outside of the workspace is touched."""
    root = _workspace()
    fd = os.open(root / "workspace", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(UsageError, OSError, SandboxError):
            path = beneath.relative(data.decode("utf-8", "replace"))
            beneath.make_directories(fd, os.path.dirname(path) or ".", None)
            os.close(beneath.open_to_write(fd, path, None, append=False))
    finally:
        os.close(fd)
    assert sorted(os.listdir(root)) == ["secret", "workspace"]
    assert (root / "secret").read_bytes() == b"secret"


# --- from servers ---------------------------------------------------------------------------------------------------


def server_answer(data: bytes) -> None:
    """What a server sends to the SDK: a stream of events, or an error."""
    with contextlib.suppress(ProtocolError):
        for event, _ in answers.Frames().feed(data):
            with contextlib.suppress(msgspec.DecodeError):
                m.decode_event(event)
    assert isinstance(answers.error_of(500, data, "http://server"), SandboxError)


# --- where they work ------------------------------------------------------------------------------------------------


@cache
def _place() -> Path:
    """A directory for this process; `clean` removes it."""
    return Path(tempfile.mkdtemp(prefix="sandbox-fuzz-"))


@cache
def _store() -> Store:
    return Store(_place() / "store")


@cache
def _session() -> tuple[Store, Any]:
    store = _store()
    return store, store.create(New("fuzz", "owner"))


def _workspace() -> Path:
    root = _place() / "files"
    shutil.rmtree(root, ignore_errors=True)
    (root / "workspace").mkdir(parents=True)
    (root / "secret").write_bytes(b"secret")
    (root / "workspace" / "out").symlink_to(root)
    (root / "workspace" / "link").symlink_to(root / "secret")
    return root


@contextlib.contextmanager
def clean() -> Iterator[None]:
    """What targets have made is gone at the end."""
    yield
    if _store.cache_info().currsize:
        _store().close()
    if _place.cache_info().currsize:
        shutil.rmtree(_place())
    for made in (_session, _store, _place):
        made.cache_clear()


# --- what is well-formed --------------------------------------------------------------------------------------------


def _events() -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"event": "result", "data": {"text/plain": "1", "application/json": {"a": [1, 2.5, None]}}, "main": True},
        {"event": "figure", "data": {"image/png": "aGk="}, "chart": {"type": "line", "data": [[1, 2]]}},
        {"event": "end", "number": 3, "error": {
            "type": "ValueError", "message": "x", "traceback": "t", "errno": None, "exit_code": 1}},
        {"event": "saved", "number": 1, "bytes": 100, "lost": [{"name": "f", "type": "F", "reason": "r", "since": 1}]},
        {"event": "ready", "enforced": ["seccomp"]}, {"event": "completions", "matches": ["abc"], "start": 0},
        {"event": "mark", "ack": True},
    ]  # fmt: skip
    return [json.dumps(event).encode() for event in events]


def _framed() -> list[bytes]:
    return [b"".join(struct.pack("<I", len(body)) + body for body in _events())]


def _zygote_says() -> list[bytes]:
    said: list[dict[str, Any]] = [
        {"forked": 1}, {"ended": 1, "code": -9, "cpu": 0.5}, {"fork_failed": 2, "errno": 11, "message": "no"},
        {"warmed": "numpy", "error": None, "seconds": 0.1, "threads": 1, "left": 2},
    ]  # fmt: skip
    return [json.dumps(one).encode() for one in said]


def _headers() -> list[bytes]:
    return [json.dumps(header).encode() for header, _ in _RECORDS]


_RECORDS: list[tuple[dict[str, Any], bytes]] = [
    ({"put": "index", "size": 20}, b'{"names":{},"groups":'),
    ({"put": "group/1", "size": 70_000}, bytes(70_000)),
    ({"patch": "buffer/1", "size": 8192, "ranges": [[0, 4096]]}, bytes(4096)),
    ({"drop": "group/2"}, b""),
]


def _delta() -> list[bytes]:
    sent = []
    small: tuple[dict[str, Any], bytes] = {"put": "x", "size": 3}, b"abc"
    for header, payload in (_RECORDS[0], _RECORDS[3], small):
        text = json.dumps(header).encode()
        sent.append(struct.pack("<I", len(text)) + text + payload)
    return [b"".join([*sent, struct.pack("<I", 0)]), struct.pack("<I", 0)]


def _index() -> list[bytes]:
    one = {"type": "int", "since": 1, "group": 1, "shape": [2, 3], "text": "1", "value": {"a": [1]}, "lost": "why"}
    return [json.dumps({"names": {"x": one, "y": {"type": "int"}}, "groups": {"1": {"size": 5}}}).encode()]


def _values() -> list[bytes]:
    entries: dict[str, Any] = {"index": 1, "file/a": manifest.FileEntry("f", 0o644, 1, 5, 2), "gone": None}
    return [manifest.encode(entries), sealed.packed(b"x" * 10_000), sealed.packed(b"abc")]


def _archive() -> list[bytes]:
    store, session = _session()
    file = store.packs.parent / "seed.sandbox"
    store.export(session.id, file, owner="owner")
    return [file.read_bytes()]


def _description() -> list[bytes]:
    described = {
        "version": 1, "id": "one", "name": "n", "label": None, "options": {}, "created": 1.0, "head": 1,
        "checkpoints": [[1, 0, None, 1.0, "label", {"index": 1, "file/a": ["f", 420, 1, 3, 1, ""]}]],
        "executions": [], "records": [[70_000, "A" * 43 + "="]],
        "parts": [[3, "A" * 43 + "=", None], [70_000, "A" * 43 + "=", [[0, 0, 0, 70_000]]]],
    }  # fmt: skip
    return [json.dumps(described).encode()]


def _requests() -> list[bytes]:
    options = msgspec.convert({"memory": 64, "env": {"A": "b"}}, m.SessionOptions)
    made = [
        m.OpenSession(options, "box"), m.Run("box", "1 + 1", 5.0, "key"), m.WriteFile("box", "a/b", b"data", False, 4),
        m.Fork("box", ("one", "two")), m.StartCommand("box", ("ls", "-l"), None, {"A": "b"}),
        m.Rollback("box", label="x"), m.ReadFile("box", "a", 0, 10),
    ]  # fmt: skip
    return [m.encode(one) for one in made]


def _bodies() -> list[bytes]:
    bodies = [{"code": "1", "timeout": 1.5}, {"argv": ["ls"], "env": {"A": "b"}}, {"label": "x"}, {"checkpoint": 1}]
    return [json.dumps(body).encode() for body in bodies]


def _answers() -> list[bytes]:
    events = [m.encode(m.Output("stdout", "hello")), m.encode(m.Done())]
    error = {"error": {"code": "quota", "message": "m", "details": {"retry_after": 1}}}
    heads = (len(events[0]), len(events[1]) | 1 << 31)
    return [
        b"".join(struct.pack(">I", head) + event for head, event in zip(heads, events, strict=True)),
        json.dumps(error).encode(),
    ]


def _text(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


TARGETS = {
    target.name: target
    for target in (
        Target("worker_frames", worker_frames, _framed),
        Target("worker_event", worker_event, _events),
        Target("zygote_message", zygote_message, _zygote_says),
        Target("record_header", record_header, _headers),
        Target("delta", delta, _delta),
        Target("index", index, _index),
        Target("stored_value", stored_value, _values),
        Target("packed_value", packed_value, _values),
        Target("pack", pack, lambda: [_checked_header(b"\x81\xa1a\x01"), b"\x81\xa1a\x01"]),
        Target("file_key", file_key, _text("file/a/b", "file/%25", "file/%FF/../x", "file//etc")),
        Target("archive", archive, _archive),
        Target("archive_description", archive_description, _description),
        Target("request", request, _requests),
        Target("http_body", http_body, _bodies),
        Target("http_query", http_query, _text("limit=5&old=1", "recursive=true&path=a%2Fb", "bytes=0-5", "bytes=-7")),
        Target(
            "upload_path", upload_path, _text("a/b", "../secret", "/workspace/x", "out/secret", "link", "//x", "a\0b")
        ),
        Target("server_answer", server_answer, _answers),
    )
}
