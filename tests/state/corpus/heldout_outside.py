"""Objects that hold on to something outside of Python."""

from tests.state.corpus.case import Kind

OUTSIDE = Kind("outside")

OUTSIDE.case(
    "file_read_half",
    """
    with open("data.txt", "w", encoding="utf-8") as out:
        out.writelines(f"zeile {n} ä\\n" for n in range(2000))
    # %%
    text = open("data.txt", encoding="utf-8"); raw = open("data.txt", "rb")
    # %%
    for _ in range(5):
        text.readline()
    raw.seek(100)
    # %%
    line = next(text)
    """,
    """
    assert line == "zeile 5 ä\\n" and text.readline() == "zeile 6 ä\\n" and raw.tell() == 100
    assert len(text.readlines()) == 1993 and text.encoding == "utf-8" and text.name == "data.txt"
    """,
    lost=["text"],
    still="assert line == 'zeile 5 ä\\n' and raw.tell() == 100",
)

OUTSIDE.case(
    "files_of_all_modes",
    """
    append = open("a.log", "a"); append.write("one\\n"); append.flush()
    # %%
    both = open("b.bin", "w+b"); both.write(b"0123456789"); both.seek(4)
    # %%
    append.write("two\\n")
    closed = open("c.txt", "w"); closed.close()
    """,
    """
    assert both.read(2) == b"45" and closed.closed and closed.name == "c.txt"
    append.write("three\\n"); append.close()
    with open("a.log") as file:
        assert file.read() == "one\\ntwo\\nthree\\n"
    """,
)

OUTSIDE.case(
    "csv_reader_mid_way",
    """
    import csv
    with open("t.csv", "w") as out:
        out.write("a,b\\n1,2\\n3,4\\n")
    # %%
    file = open("t.csv", newline="")
    rows = csv.DictReader(file)
    # %%
    first = next(rows)
    """,
    """
    assert first == {"a": "1", "b": "2"} and next(rows) == {"a": "3", "b": "4"}
    """,
    lost=["rows", "file"],
    still="assert first == {'a': '1', 'b': '2'}",
)

OUTSIDE.case(
    "sqlite_with_settings",
    """
    import sqlite3
    db = sqlite3.connect("shop.db")
    db.row_factory = sqlite3.Row
    db.execute("create table t(a, b)")
    # %%
    db.executemany("insert into t values(?, ?)", [(1, "x"), (2, "y")])
    db.commit()
    memory = sqlite3.connect(":memory:")
    memory.executescript("create table m(v); insert into m values(7);")
    """,
    """
    assert db.execute("select b from t where a = 2").fetchone()["b"] == "y"
    assert memory.execute("select v from m").fetchone() == (7,)
    """,
)

OUTSIDE.case(
    "sqlite_transaction_that_is_open",
    """
    import sqlite3
    db = sqlite3.connect("open.db")
    db.execute("create table t(a)")
    db.commit()
    # %%
    db.execute("insert into t values(1)")
    note = "after"
    """,
    """
    assert db.execute("select count(*) from t").fetchone() == (1,) and db.in_transaction
    """,
    lost=["db"],
    still="assert note == 'after' and sqlite3.connect('open.db').execute('select count(*) from t').fetchone() == (0,)",
)

OUTSIDE.case(
    "locks_and_friends",
    """
    import queue, threading
    class Cache:
        def __init__(self):
            self._lock = threading.RLock(); self._local = threading.local(); self.data = {}
            self.ready = threading.Event(); self.gate = threading.Barrier(2); self.todo = queue.PriorityQueue()
        def put(self, k, v):
            with self._lock:
                self.data[k] = v
    # %%
    cache = Cache(); cache.put("a", 1); cache.todo.put(3); cache.todo.put(1); cache.ready.set()
    # %%
    local = threading.local(); local.x = 5
    """,
    """
    cache.put("b", 2)
    assert cache.data == {"a": 1, "b": 2} and cache.todo.get_nowait() == 1 and cache.ready.is_set() and local.x == 5
    """,
    lost=["local", "cache"],
)

OUTSIDE.case(
    "lock_that_is_held",
    """
    import threading
    lock = threading.Lock(); free = threading.Lock()
    # %%
    lock.acquire()
    """,
    """
    assert lock.locked() and not free.locked()
    lock.release()
    """,
    lost=["lock"],
    still="assert not free.locked()",
)

OUTSIDE.case(
    "asyncio_objects",
    """
    import asyncio
    queue = asyncio.Queue(); lock = asyncio.Lock(); event = asyncio.Event()
    queue.put_nowait("a"); event.set()
    # %%
    async def drain():
        async with lock:
            return [await queue.get()]
    future = asyncio.Future(loop=asyncio.new_event_loop())
    """,
    """
    assert asyncio.run(drain()) == ["a"] and event.is_set() and not future.done()
    """,
    lost=["future"],
    still="assert asyncio.run(drain()) == ['a'] and event.is_set()",
)

OUTSIDE.case(
    "context_variables_and_tokens",
    """
    import contextvars
    user = contextvars.ContextVar("user"); level = contextvars.ContextVar("level", default=1)
    # %%
    user.set("bob")
    context = contextvars.copy_context()
    # %%
    level.set(9)
    """,
    """
    assert user.get() == "bob" and level.get() == 9
    assert context.run(user.get) == "bob" and context.run(level.get) == 1
    """,
    lost=["context"],
    still="assert user.get() == 'bob' and level.get() == 9",
)

OUTSIDE.case(
    "archives_and_compressed_files",
    """
    import gzip, zipfile
    with zipfile.ZipFile("a.zip", "w") as out:
        out.writestr("x.txt", "hello")
    with gzip.open("b.gz", "wt") as packed:
        packed.write("line 1\\nline 2\\n")
    # %%
    archive = zipfile.ZipFile("a.zip"); lines = gzip.open("b.gz", "rt")
    first = lines.readline(); names = archive.namelist()
    """,
    """
    assert archive.read("x.txt") == b"hello" and lines.readline() == "line 2\\n"
    """,
    lost=["archive", "lines"],
    still="assert first == 'line 1\\n' and names == ['x.txt']",
)

OUTSIDE.case(
    "connections_and_pools",
    """
    import multiprocessing.pool, select, socket, threading, urllib.request
    left, right = socket.socketpair()
    opener = urllib.request.build_opener()
    # %%
    request = urllib.request.Request("http://example.invalid/x", headers={"A": "b"})
    poller = select.poll(); timer = threading.Timer(1000, print)
    pool = multiprocessing.pool.ThreadPool(1)
    """,
    """
    assert request.full_url == "http://example.invalid/x" and request.get_header("A") == "b"
    left.send(b"x"); assert right.recv(1) == b"x"
    assert pool.apply(len, ("ab",)) == 2 and poller.poll(0) == [] and opener.handlers
    """,
    lost=["left", "right", "poller", "timer", "pool", "opener"],
    still="assert request.full_url == 'http://example.invalid/x'",
)

OUTSIDE.case(
    "in_the_middle_of_containers",
    """
    import socket
    gen = (n for n in range(3))
    bag = {"ok": [1, 2], "gen": gen}
    good = bag["ok"]
    # %%
    class Holder:
        pass
    holder = Holder(); holder.sock = socket.socket(); holder.name = "h"; other = Holder(); other.name = "o"
    pair = (good, [gen])
    """,
    """
    assert next(bag["gen"]) == 0 and holder.sock.fileno() > 0 and pair[0] is good
    """,
    lost=["gen", "bag", "holder", "pair"],
    still="good.append(3)\nassert good == [1, 2, 3] and other.name == 'o' and type(other) is Holder",
)

OUTSIDE.case(
    "finalizers_and_weak_values",
    """
    import weakref
    class Thing:
        pass
    thing = Thing(); ended = []
    finalizer = weakref.finalize(thing, ended.append, 1)
    # %%
    by_name = weakref.WeakValueDictionary(); by_name["t"] = thing
    dead = weakref.ref(Thing())
    callback = weakref.ref(thing, lambda _: ended.append(2))
    """,
    """
    import gc
    assert by_name["t"] is thing and dead() is None and callback() is thing and finalizer.alive
    del thing
    gc.collect()
    assert sorted(ended) == [1, 2] and "t" not in by_name
    """,
    lost=["finalizer", "callback"],
)

OUTSIDE.case(
    "temporary_and_mapped",
    """
    import mmap, tempfile
    with open("m.bin", "wb") as out:
        out.write(b"x" * 8192)
    spooled = tempfile.SpooledTemporaryFile(); spooled.write(b"abc")
    # %%
    handle = open("m.bin", "r+b"); mapped = mmap.mmap(handle.fileno(), 0)
    mapped[0:3] = b"new"; mapped.flush()
    """,
    """
    assert mapped[:4] == b"newx" and handle.read(3) == b"new"
    spooled.seek(0)
    assert spooled.read() == b"abc"
    """,
    lost=["mapped", "spooled"],
    still="with open('m.bin', 'rb') as file:\n    assert file.read(4) == b'newx'",
)
