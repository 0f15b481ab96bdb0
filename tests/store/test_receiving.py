"""What a worker sends is taken in exactly, or refused with nothing left of it."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import tracemalloc
from typing import Any

import pytest

from sandbox.errors import ProtocolError, StoreFull
from sandbox.store import records
from sandbox.store.retention import Limits
from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.staging import LARGE, Arriving
from sandbox.store.store import Store

from .conftest import OWNER, PAGE, commit, content, encoded, patch, put, receive

BIG = os.urandom(3 * LARGE + 17)


def pack_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in store.packs.rglob("*.pack"))


def test_small_and_large_parts_come_back(store: Store, session: StoredSession) -> None:
    parts = {"empty": b"", "small": b"abc", "edge": os.urandom(LARGE - 1), "at": os.urandom(LARGE), "big": BIG}
    commit(session, *(put(key, data) for key, data in parts.items()))
    assert content(store, session) == parts
    with store.parts(session, session.manifest) as opened:
        assert set(opened.small) == {"empty", "small", "edge"}
        assert all(start % PAGE == 0 for large in opened.large.values() for _, _, start, _ in large.extents)
        for fd in opened.fds:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(fd, b"x")


def test_patches_lie_over_what_was_there(store: Store, session: StoredSession) -> None:
    commit(session, put("big", BIG))
    commit(session, patch("big", len(BIG), (PAGE, b"1" * PAGE), (3 * LARGE, b"2" * 17)))
    commit(session, patch("big", len(BIG), (0, b"3" * 2 * PAGE)))
    expected = bytearray(BIG)
    expected[PAGE : 2 * PAGE] = b"1" * PAGE
    expected[3 * LARGE :] = b"2" * 17
    assert content(store, session, 2)["big"] == expected
    expected[: 2 * PAGE] = b"3" * 2 * PAGE
    assert content(store, session, 3)["big"] == expected
    assert content(store, session, 1)["big"] == BIG


def test_a_small_part_can_be_patched_too(store: Store, session: StoredSession) -> None:
    commit(session, put("small", b"a" * 10_000))
    commit(session, patch("small", 10_000, (PAGE, b"b" * PAGE), (2 * PAGE, b"c" * (10_000 - 2 * PAGE))))
    assert content(store, session)["small"] == b"a" * PAGE + b"b" * PAGE + b"c" * (10_000 - 2 * PAGE)


def test_many_small_parts_go_into_a_few_records(store: Store, session: StoredSession) -> None:
    parts = {f"group/{n}": os.urandom(1000 + n) for n in range(3000)}
    commit(session, *(put(key, data) for key, data in parts.items()))
    assert store.database.one("SELECT count(*) FROM records")[0] < 10
    assert content(store, session) == parts


def test_dropped_parts_are_gone(store: Store, session: StoredSession) -> None:
    commit(session, put("a", b"1"), put("b", b"2"))
    commit(session, ({"drop": "a"}, b""))
    assert content(store, session) == {"b": b"2"}
    assert content(store, session, 1) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(
    "header",
    [
        {}, [], 1, None, {"put": "a"}, {"size": 3}, {"put": "a", "size": -1}, {"put": "a", "size": 1 << 60},
        {"put": "a", "size": 1.5}, {"put": "a", "size": True}, {"put": "", "size": 0}, {"put": "a" * 201, "size": 0},
        {"put": "é" * 101, "size": 0}, {"put": "a\n", "size": 0}, {"put": "a\0", "size": 0}, {"put": 1, "size": 0},
        {"put": "file/x", "size": 0}, {"drop": "file/x"}, {"drop": "a", "size": 0},
        {"put": "a", "drop": "a", "size": 0},
        {"put": "a", "size": 0, "more": 1}, {"put": "a", "size": 0, "ranges": []},
        {"patch": "a", "size": 10}, {"patch": "a", "size": 10, "ranges": []},
        {"patch": "a", "size": 8192, "ranges": [[1, 4096]]}, {"patch": "a", "size": 8192, "ranges": [[0, 100]]},
        {"patch": "a", "size": 8192, "ranges": [[4096, 4096], [0, 4096]]},
        {"patch": "a", "size": 8192, "ranges": [[0, 4096], [0, 4096]]},
        {"patch": "a", "size": 8192, "ranges": [[8192, 4096]]}, {"patch": "a", "size": 8192, "ranges": [[0, 0]]},
        {"patch": "a", "size": 8192, "ranges": [[0, -4096]]}, {"patch": "a", "size": 8192, "ranges": [[-4096, 4096]]},
        {"patch": "a", "size": 8192, "ranges": [[0, 4096, 1]]}, {"patch": "a", "size": 8192, "ranges": "x"},
        {"patch": "a", "size": 1 << 30, "ranges": [[n * 4096, 4096] for n in range(records.MOST_RANGES + 1)]},
    ],
)  # fmt: skip
def test_a_header_that_is_not_right_is_refused_and_leaves_nothing(
    store: Store, session: StoredSession, header: Any
) -> None:
    commit(session, put("big", BIG))
    before = pack_bytes(store)
    with pytest.raises(ProtocolError):
        commit(session, put("first", BIG), (header, b""))
    assert pack_bytes(store) == before
    assert session.head == 1
    commit(session, put("later", b"x"))
    assert content(store, session) == {"big": BIG, "later": b"x"}


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", struct.pack("<I", 9) + b'{"put":"\xff', b"\x04\0\0\0nope"])
def test_garbage_is_refused(session: StoredSession, sent: bytes) -> None:
    staging = session.staging()
    with pytest.raises(ProtocolError):
        receive(staging, sent)
    staging.abort()


def test_a_worker_that_sends_less_than_it_said_leaves_nothing(store: Store, session: StoredSession) -> None:
    sent = encoded(put("a", BIG))
    for cut in (2, 10, 60, LARGE, len(sent) - 5):
        staging = session.staging()
        with pytest.raises(ProtocolError, match="ended in the middle"):
            receive(staging, sent[:cut], announced=len(sent))
        staging.abort()
    assert pack_bytes(store) == 0
    assert session.head == 0


def test_a_silent_worker_is_not_waited_for_for_ever(session: StoredSession) -> None:
    host, worker = socket.socketpair()
    with host, worker:
        sent = encoded(put("a", BIG))
        worker.sendall(sent[:-100])
        staging = session.staging()
        with pytest.raises(ProtocolError, match="silent"):
            staging.receive(Arriving(host.fileno(), len(sent), time.monotonic() + 0.2))
        staging.abort()


def test_what_comes_after_the_end_is_not_read(session: StoredSession) -> None:
    host, worker = socket.socketpair()
    with host, worker:
        sent = encoded(put("a", b"1"))
        worker.sendall(sent + b"more")
        staging = session.staging()
        staging.receive(Arriving(host.fileno(), len(sent), time.monotonic() + 10))
        assert host.recv(100) == b"more"
        staging.abort()


def test_two_records_for_one_key_are_refused(session: StoredSession) -> None:
    for second in (put("a", b"2"), ({"drop": "a"}, b"")):
        with pytest.raises(ProtocolError, match="two records"):
            commit(session, put("a", b"1"), second)


@pytest.mark.parametrize("key", ["missing", "small", "longer"])
def test_a_patch_of_what_is_not_there_or_of_another_size_is_refused(
    store: Store, session: StoredSession, key: str
) -> None:
    parts = {"small": b"x", "big": BIG, "longer": BIG + b"x"}
    commit(session, *(put(name, data) for name, data in parts.items()))
    before = pack_bytes(store)
    with pytest.raises(ProtocolError, match="a patch is for"):
        commit(session, patch(key, len(BIG), (0, b"1" * PAGE)))
    assert pack_bytes(store) == before
    assert content(store, session) == parts


def test_what_exceeds_the_quota_is_read_and_refused_so_that_the_worker_goes_on(home: Any) -> None:
    with Store(home, Limits(session_bytes=1_000_000)) as store:
        session = store.create(New("one", OWNER))
        commit(session, put("a", b"1" * 1000))
        host, worker = socket.socketpair()
        sent = encoded(put("b", BIG), put("c", os.urandom(2_000_000)), put("d", b"x"))
        thread = threading.Thread(target=worker.sendall, args=(sent + b"next",))
        thread.start()
        staging = session.staging()
        with pytest.raises(StoreFull, match=r"the 1\.0 MB that it may have"):
            staging.receive(Arriving(host.fileno(), len(sent), time.monotonic() + 10))
        thread.join()
        assert host.recv(10) == b"next"
        staging.abort()
        host.close()
        worker.close()
        assert pack_bytes(store) == 0
        assert content(store, session) == {"a": b"1" * 1000}


def test_memory_stays_bounded_whatever_comes(session: StoredSession) -> None:
    size = 64 << 20
    sent_once = os.urandom(1 << 20)
    host, worker = socket.socketpair()

    header = encoded(put("a", b""))[:-4].replace(b'"size": 0', b'"size": %d' % size)
    header = struct.pack("<I", len(header) - 4) + header[4:]
    others = [encoded(put(f"k{number:03}", sent_once[: LARGE - 1]))[:-4] for number in range(200)]
    announced = len(header) + size + sum(map(len, others)) + 4

    def send() -> None:
        worker.sendall(header)
        for _ in range(size >> 20):
            worker.sendall(sent_once)
        for other in others:
            worker.sendall(other)
        worker.sendall(struct.pack("<I", 0))

    thread = threading.Thread(target=send)
    staging = session.staging()
    tracemalloc.start()
    thread.start()
    staging.receive(Arriving(host.fileno(), announced, time.monotonic() + 30))
    session.commit(staging)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    thread.join()
    host.close()
    worker.close()
    assert peak < 8 << 20
