"""What Python gives no way to keep. Some of it can be pickled all the same, and would come back dead."""

from typing import Any

from ..lost import Refused
from ..pickler import SessionPickler
from ..registry import reduces, reduces_all

_REASONS = {
    "builtins.frame": "a frame is part of a running program",
    "_asyncio.Task": "a task is part of a running event loop",
    "_asyncio.Future": "a future is part of a running event loop",
    "zlib.Decompress": "a decompressor in the middle of its work is inside of a library",
    "_hashlib.HASH": "a hash that is half computed is inside of OpenSSL",
    "_contextvars.Context": "a context belongs to the process",
    "builtins.Context": "a context belongs to the process",
}
_REASONS_OF_FAMILIES = {
    "multiprocessing.process.BaseProcess": "a process ends with the one that started it",
    "multiprocessing.pool.Pool": "a pool's processes end with the one that started them",
    "concurrent.futures._base.Executor": "an executor's threads or processes end with this one",
    "asyncio.events.AbstractEventLoop": "an event loop is part of a running program",
    "multiprocessing.shared_memory.SharedMemory": "shared memory goes with the processes that share it",
    "tempfile._TemporaryFileWrapper": "a temporary file is removed with the process",
    "selectors.BaseSelector": "a selector watches descriptors of this process",
}


def _refuse(reason: str) -> Any:
    def reducer(_: SessionPickler, value: Any) -> Any:
        raise Refused(reason)

    return reducer


for _name, _reason in _REASONS.items():
    reduces(_name)(_refuse(_reason))
for _name, _reason in _REASONS_OF_FAMILIES.items():
    reduces_all(_name)(_refuse(_reason))


@reduces_all("threading.Thread")
def _thread(_: SessionPickler, value: Any) -> Any:
    if value.ident is not None:
        raise Refused("a thread that was started ends with the process")
    return NotImplemented


@reduces_all("subprocess.Popen")
def _process(_: SessionPickler, value: Any) -> Any:
    if value.returncode is None:
        raise Refused("a process that was started, and was not waited for, ends with this one")
    return NotImplemented


@reduces_all("concurrent.futures._base.Future")
def _future(_: SessionPickler, value: Any) -> Any:
    if not value.done():
        raise Refused("nobody would be left to finish a future")
    return NotImplemented
