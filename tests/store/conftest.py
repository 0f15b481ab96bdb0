"""A store of its own for each test, sessions in it, and workers that are no more than a socket that talks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.store.session import StoredSession
from sandbox.store.sessions import New
from sandbox.store.staging import Arriving, Staging
from sandbox.store.store import Store

OWNER = "owner"
PAGE = 4096
Record = tuple[dict[str, Any], bytes]


@pytest.fixture(autouse=True)
def _no_new_descriptors() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store(home) as store:
        yield store


@pytest.fixture
def session(store: Store) -> StoredSession:
    return store.create(New("one", OWNER))


def encoded(*records: Record) -> bytes:
    """A delta as a worker sends it."""
    sent = []
    for header, payload in records:
        text = json.dumps(header).encode()
        sent += [struct.pack("<I", len(text)), text, payload]
    return b"".join([*sent, struct.pack("<I", 0)])


def receive(staging: Staging, sent: bytes, *, announced: int | None = None, seconds: float = 10.0) -> int:
    """Have a worker send these bytes and end. `announced`: how many it says they are."""
    host, worker = socket.socketpair()
    thread = threading.Thread(target=_send, args=(worker, sent))
    thread.start()
    try:
        return staging.receive(
            Arriving(host.fileno(), len(sent) if announced is None else announced, time.monotonic() + seconds)
        )
    finally:
        host.close()
        thread.join()


def _send(worker: socket.socket, sent: bytes) -> None:
    with worker, contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the host has seen enough
        worker.sendall(sent)


def put(key: str, data: bytes) -> Record:
    return {"put": key, "size": len(data)}, data


def patch(key: str, total: int, *pieces: tuple[int, bytes]) -> Record:
    ranges = [[offset, len(data)] for offset, data in pieces]
    return {"patch": key, "size": total, "ranges": ranges}, b"".join(data for _, data in pieces)


def commit(session: StoredSession, *records: Record, **more: Any) -> int:
    """A worker's delta, committed."""
    staging = session.staging()
    try:
        receive(staging, encoded(*records))
    except BaseException:
        staging.abort()
        raise
    return session.commit(staging, **more)


def content(store: Store, session: StoredSession, number: int | None = None) -> dict[str, bytes]:
    """Every part of a checkpoint."""
    at = session.head if number is None else number
    found = store.manifest(session.id, at, owner=OWNER)
    with store.parts(session, found, verified=True) as parts:
        return {key: parts.read(key) for key in (*parts.small, *parts.large)}
