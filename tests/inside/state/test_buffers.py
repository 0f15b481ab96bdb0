"""Large memory: what of it goes out, with the kernel's help and without."""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from pickle import PickleBuffer

import pytest

from sandbox.inside.state import Extent, Parts, Place
from sandbox.inside.state import buffers as module
from sandbox.inside.state.buffers import WATCHED, Buffers
from sandbox.inside.state.memory import bring
from sandbox.inside.state.pages import PAGE, Tracker, address_of

SIZE = 8 * WATCHED


def _can_track() -> bool:
    try:
        Tracker().close()
    except OSError:
        return False
    return True


tracking = pytest.param(
    True, id="watched", marks=[] if _can_track() else [pytest.mark.skip(reason="no asynchronous userfaultfd here")]
)


@pytest.fixture(params=[tracking, pytest.param(False, id="digested")])
def buffers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Buffers:
    if not request.param:

        class Refused(Tracker):
            def __init__(self) -> None:
                raise PermissionError("userfaultfd was refused")

        monkeypatch.setattr(module, "Tracker", Refused)
    return Buffers()


@pytest.fixture(params=[0, 16], ids=["at a page", "16 bytes into a page"])
def memory(request: pytest.FixtureRequest) -> Iterator[memoryview]:
    with mmap.mmap(-1, SIZE + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapping:
        mapping[:] = random.Random(1).randbytes(len(mapping))
        view = memoryview(mapping)[request.param : request.param + SIZE]
        yield view
        view.release()


class Part:
    """What a store has of a buffer."""

    def __init__(self, buffers: Buffers, view: memoryview) -> None:
        self.buffers, self.view = buffers, view
        self.data = bytearray()
        self.sent = 0

    def save(self) -> int:
        """Save and apply; return how many bytes went out."""
        number, record = self.buffers.save(PickleBuffer(self.view))
        if record is None:
            return 0
        header, pieces = record
        payload = b"".join(pieces)
        self.sent = len(payload)
        if "put" in header:
            assert header == {"put": f"buffer/{number}", "size": len(payload)}
            self.data[:] = payload
        else:
            self._patch(header["ranges"], header["size"], payload)
        return self.sent

    def _patch(self, ranges: list[list[int]], size: int, payload: bytes) -> None:
        assert size == len(self.data)
        end = 0
        for offset, length in ranges:
            assert offset % PAGE == 0
            assert offset >= end
            assert length % PAGE == 0 or offset + length == size
            self.data[offset : offset + length] = payload[:length]
            payload, end = payload[length:], offset + length
        assert not payload

    def is_right(self) -> bool:
        _, size, pad = self.buffers.layout(self.buffers.save(PickleBuffer(self.view))[0])
        return size == len(self.view) and self.data[pad:] == self.view and not any(self.data[:pad])


def test_a_buffer_goes_out_once_and_not_again(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    assert part.save() >= SIZE
    assert part.save() == 0
    assert part.is_right()


def test_one_byte_costs_one_page(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    memory[5 * PAGE + 100] ^= 1
    assert part.save() == PAGE
    assert part.is_right()


def test_first_and_last_bytes_are_seen(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    memory[0] ^= 1
    memory[-1] ^= 1
    assert part.save() <= 2 * PAGE
    assert part.is_right()


def test_first_and_last_bytes_that_are_as_they_were_before_are_seen_again(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    for _ in range(3):
        memory[0] ^= 1
        memory[-1] ^= 1
        assert 0 < part.save() <= 2 * PAGE
        assert part.data[address_of(memory) % PAGE :] == memory


def test_others_memory_in_the_first_and_the_last_page_is_nothing_to_save(buffers: Buffers) -> None:
    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapping:
        memory = memoryview(mapping)[16:-16]
        part = Part(buffers, memory)
        part.save()
        mapping[0] ^= 1
        mapping[-1] ^= 1
        assert part.save() == 0
        mapping[1] ^= 1
        memory[PAGE] ^= 1
        assert part.save() == PAGE
        assert part.is_right()
        memory.release()


def test_one_per_cent_of_the_pages_scattered_is_one_per_cent(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    for at in range(0, SIZE, 100 * PAGE):
        memory[at + 50] ^= 1
    assert part.save() == -(-SIZE // (100 * PAGE)) * PAGE
    assert part.is_right()


def test_writes_at_random_add_up(buffers: Buffers, memory: memoryview) -> None:
    part, chance = Part(buffers, memory), random.Random(2)
    part.save()
    for _ in range(20):
        for _ in range(chance.choice([0, 1, 5, 200])):
            at, length = chance.randrange(SIZE), chance.choice([1, 100, 10_000])
            end = min(at + length, SIZE)
            memory[at:end] = chance.randbytes(end - at)
        part.save()
        assert part.is_right()


def test_a_buffer_that_is_written_all_over_goes_out_whole(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    memory[:] = bytes(SIZE)
    assert part.save() >= SIZE
    assert part.is_right()


def test_what_the_kernel_writes_is_seen(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    reading, writing = os.pipe()
    os.write(writing, b"new")
    with memory[4 * PAGE : 4 * PAGE + 3] as piece:
        assert os.readv(reading, [piece]) == 3
    os.close(reading)
    os.close(writing)
    assert part.save() <= 2 * PAGE
    assert part.is_right()


def test_a_small_buffer_is_all_or_nothing(buffers: Buffers) -> None:
    held = bytearray(100_000)
    part = Part(buffers, memoryview(held))
    assert part.save() == 100_000
    assert part.save() == 0
    held[50_000] = 1
    assert part.save() == 100_000
    assert part.is_right()


def test_other_memory_at_the_same_place_is_not_taken_for_the_old(buffers: Buffers) -> None:
    mapping = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping[:] = b"a" * SIZE
    number, _ = buffers.save(PickleBuffer(mapping))
    place = address_of(mapping)
    _map_anew(place, SIZE)
    found, record = buffers.save(PickleBuffer(mapping))
    assert found == number
    assert record is not None
    assert b"".join(record[1]).strip(b"\0") == b""


def _map_anew(address: int, size: int) -> None:
    """Replace the memory by fresh pages, as the allocator does when it gives some back and gets it again."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    private_fixed_anonymous = 0x32
    assert libc.mmap(address, size, 3, private_fixed_anonymous, -1, 0) == address


def test_pages_that_were_given_back_count_as_written(buffers: Buffers, memory: memoryview) -> None:
    part = Part(buffers, memory)
    part.save()
    mapping = memory.obj
    assert isinstance(mapping, mmap.mmap)
    mapping.madvise(mmap.MADV_DONTNEED, 4 * PAGE, 2 * PAGE)
    assert part.save() > 0
    assert part.is_right()


@pytest.mark.skipif(not _can_track(), reason="no asynchronous userfaultfd here")
def test_a_forked_process_is_not_fooled_by_its_parents_registration() -> None:
    mapping = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    tracker = Tracker()
    tracker.watch(address_of(mapping), SIZE)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _raises(lambda: tracker.watch(address_of(mapping), SIZE)) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    tracker.close()


def _raises(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return True
    return False


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Parts]:
    path = tmp_path / "pack"
    path.write_bytes(random.Random(4).randbytes(SIZE))
    with path.open("rb") as file:
        yield Parts({}, {"buffer/7": Place(SIZE, [Extent(0, file.fileno(), 0, SIZE)])})


def test_a_mapped_buffer_that_is_only_read_does_not_go_out(buffers: Buffers, pack: Parts) -> None:
    view, mapped = bring(pack, "buffer/7")
    assert mapped
    buffers.adopt(7, view, mapped=mapped)
    assert bytes(view) == pack["buffer/7"]
    assert buffers.save(PickleBuffer(view)) == (7, None)


def test_of_a_mapped_buffer_go_out_the_pages_that_were_written_each_time(buffers: Buffers, pack: Parts) -> None:
    view, mapped = bring(pack, "buffer/7")
    buffers.adopt(7, view, mapped=mapped)
    part = Part(buffers, view)
    part.data[:] = pack["buffer/7"]
    for at in (0, 3 * PAGE, 3 * PAGE + 1, SIZE - 1):
        view[at] ^= 1
        assert part.save() == PAGE
        assert part.is_right()
    assert part.save() == 0


def test_a_number_that_was_adopted_is_not_given_to_another(buffers: Buffers, pack: Parts, memory: memoryview) -> None:
    view, mapped = bring(pack, "buffer/7")
    buffers.adopt(7, view, mapped=mapped)
    assert buffers.save(PickleBuffer(memory))[0] == 8
    assert buffers.drop(7) == ({"drop": "buffer/7"}, [])
