"""The harness's store refuses what a store has to refuse, so that a worker that sends it fails its tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.state.harness.store import LARGE, PAGE, BadDelta, Store


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


def read(store: Store, checkpoint: int, key: str) -> bytes:
    return store.read(store.manifests[checkpoint][key])


def test_a_delta_is_applied_to_its_parent_alone(store: Store) -> None:
    one = store.commit(0, [{"put": "group/1", "size": 2}, {"put": "index", "size": 1}], b"abc")
    two = store.commit(one, [{"drop": "group/1"}], b"")
    three = store.commit(one, [{"put": "group/1", "size": 1}], b"z")
    assert [sorted(store.manifests[number]) for number in (one, two, three)] == [
        ["group/1", "index"],
        ["index"],
        ["group/1", "index"],
    ]
    assert (read(store, one, "group/1"), read(store, three, "group/1")) == (b"ab", b"z")


def test_an_empty_delta_is_a_checkpoint(store: Store) -> None:
    one = store.commit(0, [{"put": "index", "size": 1}], b"a")
    assert store.manifests[store.commit(one, [], b"")] == store.manifests[one]


@pytest.mark.parametrize("size", [3 * PAGE, LARGE + 3 * PAGE + 5])
def test_a_patch_changes_its_ranges_and_leaves_the_parent_as_it_was(store: Store, size: int) -> None:
    before = bytes(size)
    one = store.commit(0, [{"put": "buffer/1", "size": size}], before)
    ranges = [[PAGE, 10], [2 * PAGE, size - 2 * PAGE]]
    patch = b"x" * 10 + b"y" * (size - 2 * PAGE)
    two = store.commit(one, [{"patch": "buffer/1", "size": size, "ranges": ranges}], patch)
    after = bytearray(before)
    after[PAGE : PAGE + 10] = b"x" * 10
    after[2 * PAGE :] = b"y" * (size - 2 * PAGE)
    assert read(store, two, "buffer/1") == after
    assert read(store, one, "buffer/1") == before


BAD: list[tuple[str, Any, bytes]] = [
    ("no mapping", "x", b""),
    ("no operation", {}, b""),
    ("two operations", {"put": "index", "size": 1, "drop": "index"}, b"a"),
    ("an empty key", {"put": "", "size": 0}, b""),
    ("a key that is a number", {"put": 1, "size": 0}, b""),
    ("a long key", {"put": "group/" + "x" * 200, "size": 0}, b""),
    ("a key of the host", {"put": "file/etc", "size": 0}, b""),
    ("more than there is", {"put": "index", "size": 2}, b"a"),
    ("a negative size", {"put": "index", "size": -1}, b"a"),
    ("a size that is true", {"put": "index", "size": True}, b"a"),
    ("bytes left over", {"put": "index", "size": 1}, b"ab"),
    ("a drop of nothing", {"drop": "group/9"}, b""),
    ("a patch of nothing", {"patch": "buffer/9", "size": 1, "ranges": [[0, 1]]}, b"a"),
    ("a patch of another size", {"patch": "buffer/1", "size": 5, "ranges": [[0, 1]]}, b"a"),
    ("a range beyond the end", {"patch": "buffer/1", "size": 2 * PAGE, "ranges": [[PAGE, PAGE + 1]]}, b"a" * 5000),
    ("a range that is no page", {"patch": "buffer/1", "size": 2 * PAGE, "ranges": [[1, 1]]}, b"a"),
    ("ranges out of order", {"patch": "buffer/1", "size": 2 * PAGE, "ranges": [[PAGE, 1], [0, 1]]}, b"ab"),
    ("a range of nothing", {"patch": "buffer/1", "size": 2 * PAGE, "ranges": [[0, 0]]}, b""),
    ("ranges that are no list", {"patch": "buffer/1", "size": 2 * PAGE, "ranges": 5}, b""),
    ("a range of three", {"patch": "buffer/1", "size": 2 * PAGE, "ranges": [[0, 1, 2]]}, b"a"),
]


@pytest.mark.parametrize(("record", "payload"), [pytest.param(*bad, id=name) for name, *bad in BAD])
def test_a_bad_record_is_refused_and_changes_nothing(store: Store, record: object, payload: bytes) -> None:
    one = store.commit(0, [{"put": "buffer/1", "size": 2 * PAGE}], bytes(2 * PAGE))
    with pytest.raises(BadDelta):
        store.commit(one, [record], payload)
    assert len(store.manifests) == 2
    assert read(store, one, "buffer/1") == bytes(2 * PAGE)
