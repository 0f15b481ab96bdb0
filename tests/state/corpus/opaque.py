"""Objects with something outside of Python in them: files, locks, threads, frames. Some cannot be kept at all."""

from tests.state.corpus.case import Kind

OPAQUE = Kind("opaque")

OPAQUE.case(
    "generator",
    """
    def numbers():
        for i in range(5):
            yield i
    # %%
    gen = numbers()
    next(gen)
    beside = [1]
    """,
    """
    assert next(gen) == 1
    """,
    lost=["gen"],
    still="assert list(numbers()) == [0, 1, 2, 3, 4] and beside == [1]",
)

OPAQUE.case(
    "generator_expression",
    """
    squares = (x * x for x in [1, 2, 3])
    # %%
    first = next(squares)
    """,
    """
    assert next(squares) == 4
    """,
    lost=["squares"],
    still="assert first == 1",
)

OPAQUE.case(
    "file_being_read",
    """
    with open("fr.txt", "w") as out:
        out.write("l1\\nl2\\n")
    # %%
    fh = open("fr.txt")
    # %%
    fh.readline()
    """,
    """
    assert fh.readline() == "l2\\n" and out.closed
    """,
)

OPAQUE.case(
    "file_being_written",
    """
    fw = open("fw.txt", "w")
    # %%
    fw.write("abc")
    fw.flush()
    """,
    """
    fw.write("def")
    fw.close()
    with open("fw.txt") as written:
        assert written.read() == "abcdef"
    """,
)

OPAQUE.case(
    "socket",
    """
    import socket
    beside = {"port": 0}
    # %%
    sock = socket.socket()
    """,
    """
    assert sock.fileno() >= 0
    sock.bind(("127.0.0.1", 0))
    """,
    lost=["sock"],
    still="assert beside == {'port': 0} and socket.AF_INET",
)

OPAQUE.case(
    "sqlite_in_memory",
    """
    import sqlite3
    db = sqlite3.connect(":memory:")
    # %%
    db.execute("create table t(a)")
    # %%
    db.execute("insert into t values(5)")
    db.commit()
    """,
    """
    assert db.execute("select a from t").fetchone() == (5,)
    """,
)

OPAQUE.case(
    "sqlite_in_a_file",
    """
    import sqlite3
    db = sqlite3.connect("sf.db")
    # %%
    db.execute("create table t(a)")
    db.execute("insert into t values(5)")
    db.commit()
    # %%
    cursor = db.cursor()
    """,
    """
    assert db.execute("select a from t").fetchone() == (5,)
    """,
    lost=["cursor"],
    still="assert db.execute('select a from t').fetchone() == (5,)",
)

OPAQUE.case(
    "locks_and_queues",
    """
    import queue, threading
    lock = threading.Lock(); again = threading.RLock(); event = threading.Event()
    # %%
    event.set()
    condition = threading.Condition(); semaphore = threading.Semaphore(2)
    waiting = queue.Queue()
    waiting.put(1)
    """,
    """
    assert not lock.locked() and event.is_set() and waiting.get_nowait() == 1
    with lock, again, condition, semaphore:
        pass
    """,
)

OPAQUE.case(
    "object_with_a_lock",
    """
    import threading
    class Service:
        def __init__(self):
            self.lock = threading.Lock()
            self.held = {}
        def put(self, k, v):
            with self.lock:
                self.held[k] = v
    # %%
    service = Service()
    # %%
    service.put(1, 2)
    """,
    """
    service.put(3, 4)
    assert service.held == {1: 2, 3: 4}
    """,
)

OPAQUE.case(
    "running_thread",
    """
    import threading
    box = [0]; ticked = threading.Event(); stop = threading.Event()
    def run():
        while not stop.wait(0.001):
            box[0] += 1
            ticked.set()
    # %%
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    """,
    """
    ticked.clear()
    assert thread.is_alive() and ticked.wait(5)
    """,
    lost=["thread"],
    still="assert type(box[0]) is int and not stop.is_set() and callable(run)",
)

OPAQUE.case(
    "executor",
    """
    from concurrent.futures import ThreadPoolExecutor
    # %%
    pool = ThreadPoolExecutor(2)
    future = pool.submit(pow, 2, 3)
    eight = future.result()
    """,
    """
    assert future.result() == 8 and pool.submit(pow, 2, 2).result() == 4
    """,
    lost=["pool", "future"],
    still="assert eight == 8",
)

OPAQUE.case(
    "task_and_loop",
    """
    import asyncio
    loop = asyncio.new_event_loop()
    async def slow():
        await asyncio.sleep(3600)
    # %%
    task = loop.create_task(slow())
    loop.run_until_complete(asyncio.sleep(0))
    """,
    """
    assert not task.done()
    loop.run_until_complete(asyncio.sleep(0))
    """,
    lost=["loop", "task"],
    still="assert asyncio.iscoroutinefunction(slow)",
)

OPAQUE.case(
    "coroutine",
    """
    async def three():
        return 3
    # %%
    waiting = three()
    """,
    """
    import asyncio
    assert asyncio.run(waiting) == 3
    """,
    lost=["waiting"],
    still="import asyncio; assert asyncio.run(three()) == 3",
)

OPAQUE.case(
    "match",
    """
    import re
    match = re.match("(a)(b)", "ab")
    """,
    """
    assert match.group(2) == "b" and match.span() == (0, 2) and match.re.pattern == "(a)(b)"
    """,
)

OPAQUE.case(
    "context_variable",
    """
    import contextvars
    level = contextvars.ContextVar("level", default=0)
    # %%
    level.set(5)
    """,
    """
    assert level.get() == 5 and contextvars.Context().run(level.get) == 0
    """,
)

OPAQUE.case(
    "weak_references",
    """
    import weakref
    class W:
        pass
    held = W()
    # %%
    ref = weakref.ref(held); values = weakref.WeakValueDictionary(k=held); weak = weakref.WeakSet([held])
    """,
    """
    assert ref() is held and values["k"] is held and held in weak
    """,
)

OPAQUE.case(
    "weak_keys",
    """
    import weakref
    class W:
        pass
    held = W()
    # %%
    weights = weakref.WeakKeyDictionary()
    weights[held] = 1
    """,
    """
    assert weights[held] == 1 and len(weights) == 1
    """,
)

OPAQUE.case(
    "ctypes",
    """
    import ctypes
    number = ctypes.c_int(5); row = (ctypes.c_double * 3)(1, 2, 3)
    class Pair(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int)]
    # %%
    pair = Pair(4)
    row[0] = 9
    """,
    """
    assert number.value == 5 and list(row) == [9, 2, 3] and pair.x == 4 and type(pair) is Pair
    """,
)

OPAQUE.case(
    "exception_with_traceback",
    """
    def boom():
        raise ValueError("bad")
    # %%
    try:
        boom()
    except ValueError as caught:
        error = caught
    """,
    """
    import traceback
    text = "".join(traceback.format_exception(error))
    assert error.args == ("bad",) and "in boom" in text and 'raise ValueError("bad")' in text
    """,
)

OPAQUE.case(
    "started_program",
    """
    import os, subprocess
    # %%
    program = subprocess.Popen(["sleep", "30"])
    """,
    """
    assert program.poll() is None and os.path.exists(f"/proc/{program.pid}")
    """,
    lost=["program"],
    still="assert subprocess.run(['true']).returncode == 0",
)

OPAQUE.case(
    "temporary_files",
    """
    import tempfile
    folder = tempfile.TemporaryDirectory(dir=".")
    file = tempfile.NamedTemporaryFile(dir=".")
    # %%
    file.write(b"q")
    file.flush()
    """,
    """
    import os
    assert os.path.isdir(folder.name) and os.path.exists(file.name)
    file.seek(0)
    assert file.read() == b"q"
    """,
    lost=["folder", "file"],
)

OPAQUE.case(
    "anonymous_mapping",
    """
    import mmap
    mapping = mmap.mmap(-1, 4096)
    # %%
    mapping[:3] = b"abc"
    """,
    """
    assert mapping[:3] == b"abc" and len(mapping) == 4096
    """,
    lost=["mapping"],
)
