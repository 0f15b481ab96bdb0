"""What storing adds, and the bytes of it: how they are told apart from what an execution takes anyway."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.stored import LEAST, Pair, Sizes, bytes_stored, own_home
from sandbox.store.sessions import New
from sandbox.store.store import Store


class Box:
    """Stands for a sandbox: takes as long as it is told to, and notes when it ran."""

    def __init__(self, name: str, seconds: float, order: list[str]) -> None:
        self.name, self.seconds, self.order = name, seconds, order

    async def run(self, code: str) -> None:
        self.order.append(self.name)
        if self.seconds:
            await asyncio.sleep(self.seconds)


def pair(stored: float, plain: float, order: list[str]) -> Pair:
    boxes: tuple[Any, Any] = Box("stored", stored, order), Box("plain", plain, order)
    return Pair(*boxes)


async def test_what_is_added_is_how_much_longer_the_stored_one_takes() -> None:
    assert await pair(0.05, 0.0, []).added("pass") > 0.04


async def test_a_difference_that_noise_has_turned_around_counts_as_the_least() -> None:
    order: list[str] = []
    both = pair(0.0, 0.05, order)
    assert await both.added("pass") == LEAST
    assert await both.difference("pass") < -0.04


async def test_another_one_of_the_two_begins_each_time() -> None:
    order: list[str] = []
    both = pair(0.0, 0.0, order)
    for _ in range(2):
        await both.added("pass")
    assert order == ["stored", "plain", "plain", "stored"]


def test_sizes_are_told_by_rounds_without_those_of_the_warm_up() -> None:
    sizes = Sizes(samples=2, warm_up=1)
    for size in (9.0, 1.0, 2.0, 3.0, 4.0):
        sizes.add(size)
    assert sizes.rounds() == [[1.0, 2.0], [3.0, 4.0]]


def test_bytes_stored_grow_by_what_a_commit_writes(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store, store.create(New("s", "local")) as session:
        before = bytes_stored(tmp_path)
        staging = session.staging()
        staging.put("buffer/1", os.urandom(1_000_000))
        session.commit(staging)
        assert 1_000_000 <= bytes_stored(tmp_path) - before < 1_100_000


def test_a_home_of_its_own_is_where_homes_are_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    with own_home() as home:
        assert home.parent == tmp_path
        assert os.environ["SANDBOX_HOME"] == str(home)
    assert os.environ["SANDBOX_HOME"] == str(tmp_path)
    assert not home.exists()
