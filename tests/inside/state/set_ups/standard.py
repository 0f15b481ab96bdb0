"""Objects of the standard library."""

from __future__ import annotations

from tests.state.corpus.case import Kind

STANDARD = Kind("standard")

STANDARD.case(
    "empty_memory_db",
    """
    import sqlite3

    db = sqlite3.connect(":memory:")
    """,
    """
    db.execute("create table t(a)")
    """,
)

STANDARD.case(
    "executor_idle",
    """
    from concurrent.futures import ThreadPoolExecutor

    ex = ThreadPoolExecutor(3)
    r = ex.submit(pow, 2, 3)
    v = r.result()
    """,
    """
    assert r.result() == 8
    assert ex._max_workers == 3
    assert ex.submit(pow, 2, 2).result() == 4
    ex.shutdown()
    """,
)

STANDARD.case(
    "mmap",
    """
    import mmap

    m = mmap.mmap(-1, 4096)
    m[:3] = b"abc"
    m.seek(2)
    open("f.bin", "wb").write(b"hello")
    fh = open("f.bin", "r+b")
    mf = mmap.mmap(fh.fileno(), 0)
    """,
    """
    assert m[:3] == b"abc"
    assert m.tell() == 2
    """,
    lost=["mf"],
    still='assert m[:3] == b"abc"',
)

STANDARD.case(
    "socket_fresh",
    """
    import socket

    s = socket.socket()
    s.settimeout(3)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    """,
    """
    assert s.gettimeout() == 3
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    s.bind(("127.0.0.1", 0))
    s.close()
    """,
)

STANDARD.case(
    "tempfiles",
    """
    import tempfile, os

    td = tempfile.TemporaryDirectory()
    open(td.name + "/a", "w").write("x")
    tf = tempfile.NamedTemporaryFile()
    tf.write(b"q")
    tf.flush()
    """,
    """
    import os

    assert os.path.isdir(td.name)
    assert open(td.name + "/a").read() == "x"
    assert open(tf.name, "rb").read() == b"q"
    tf.write(b"r")
    tf.flush()
    assert open(tf.name, "rb").read() == b"qr"
    td.cleanup()
    """,
    lost=["td", "tf"],
    still="assert True",
)

STANDARD.case(
    "file_loop",
    r"""
    open("a.txt", "w").write("one\nzwei é\ndrei\n")
    f = open("a.txt")
    l = next(f)
    """,
    r"""
    assert f.readline() == "zwei é\n"
    assert next(f) == "drei\n"
    """,
)

STANDARD.case(
    "csv",
    r"""
    import csv

    open("d.csv", "w").write("a,b\n1,2\n3,4\n")
    f = open("d.csv")
    r = csv.reader(f)
    h = next(r)
    w = open("o.csv", "w")
    wr = csv.writer(w, delimiter=";")
    wr.writerow([1, 2])
    dr = csv.DictReader(open("d.csv"))
    one = next(dr)
    """,
    """
    assert next(r) == ["1", "2"]
    assert r.line_num == 2
    wr.writerow([3, 4])
    w.close()
    assert open("o.csv").read().split() == ["1;2", "3;4"]
    assert next(dr) == {"a": "3", "b": "4"}
    """,
    lost=["dr", "r"],
    still="""
    wr.writerow([3, 4])
    w.close()
    """,
)

STANDARD.case(
    "except_chain",
    r"""
    def f():
        try:
            1 / 0
        except ZeroDivisionError as e:
            raise ValueError("v") from e


    try:
        f()
    except ValueError as e:
        err = e
        err.add_note("n")
    try:
        open("/nonexist")
    except OSError as e:
        oe = e
    try:
        b"\xff".decode()
    except UnicodeDecodeError as e:
        ue = e
    eg = ExceptionGroup("g", [ValueError(1), err])
    import json

    try:
        json.loads("{")
    except json.JSONDecodeError as e:
        je = e
    try:
        import nonexist
    except ImportError as e:
        ie = e
    try:
        {}["a"]
    except KeyError as e:
        ke = e
    """,
    """
    import traceback

    t = "".join(traceback.format_exception(err))
    assert "in f" in t
    assert "ZeroDivisionError" in t
    assert err.__notes__ == ["n"]
    assert oe.errno == 2
    assert oe.filename == "/nonexist"
    assert ue.start == 0
    assert eg.exceptions[1] is err
    assert je.pos == 1
    assert ie.name == "nonexist"
    assert ke.args == ("a",)
    assert "raise ValueError" in t
    """,
)

STANDARD.case(
    "exception_with_cause",
    """
    def f():
        try:
            1 / 0
        except ZeroDivisionError as e:
            raise ValueError("v") from e


    try:
        f()
    except ValueError as e:
        err = e
        err.add_note("n")
    """,
    """
    import traceback

    t = "".join(traceback.format_exception(err))
    assert "in f" in t, t
    assert "ZeroDivisionError" in t
    assert err.__notes__ == ["n"]
    assert "raise ValueError" in t, t
    """,
)

STANDARD.case(
    "exceptions_of_the_system",
    r"""
    try:
        open("/nonexist")
    except OSError as e:
        oe = e
    try:
        b"\xff".decode()
    except UnicodeDecodeError as e:
        ue = e
    """,
    """
    assert oe.errno == 2
    assert oe.filename == "/nonexist"
    assert ue.start == 0
    """,
)

STANDARD.case(
    "exception_group",
    """
    err = ValueError(2)
    eg = ExceptionGroup("g", [ValueError(1), err])
    """,
    """
    assert eg.exceptions[1] is err
    assert eg.message == "g"
    """,
)

STANDARD.case(
    "exceptions_with_attributes",
    """
    import json

    try:
        json.loads("{")
    except json.JSONDecodeError as e:
        je = e
    try:
        import nonexist
    except ImportError as e:
        ie = e
    try:
        {}["a"]
    except KeyError as e:
        ke = e
    """,
    """
    assert je.pos == 1, (je.pos, vars(je), je.args)
    assert ie.name == "nonexist"
    assert ke.args == ("a",)
    """,
)

STANDARD.case(
    "weak_references",
    """
    import weakref


    class A:
        pass


    a = A()
    p = weakref.proxy(a)
    a.v = 3
    fs = weakref.WeakMethod(a.__init__) if 0 else None
    r2 = weakref.ref(A())
    lst = weakref.WeakSet([a])
    """,
    """
    assert p.v == 3
    assert r2() is None
    a.v = 4
    assert p.v == 4
    assert len(lst) == 1
    """,
)

STANDARD.case(
    "threading_local",
    """
    import threading, contextvars, asyncio, queue

    loc = threading.local()
    loc.x = 5
    lk = threading.Lock()
    lk.acquire()
    rl = threading.RLock()
    rl.acquire()
    q = queue.Queue()
    q.put([1])
    sq = queue.SimpleQueue()
    sq.put(2)
    aq = asyncio.Queue()
    aq.put_nowait(3)
    al = asyncio.Lock()
    bar = threading.Barrier(2)
    cond = threading.Condition(lk)
    """,
    """
    assert loc.x == 5
    assert lk.locked()
    assert q.get() == [1]
    assert sq.get() == 2
    assert aq.get_nowait() == 3
    lk.release()
    rl.release()
    """,
)

STANDARD.case(
    "thread_between",
    """
    import threading

    box = []
    ev = threading.Event()


    def run():
        ev.wait(5)
        box.append(1)


    t = threading.Thread(target=run)
    t.start()
    # %%
    ev.set()
    t.join()
    # %%
    n = 1
    """,
    """
    assert box == [1]
    assert ev.is_set()
    """,
    lost=["t"],
    still="assert box == [1]",
)

STANDARD.case(
    "itertools_mid",
    """
    import itertools

    c = itertools.count(3)
    next(c)
    z = zip([1, 2], "ab")
    next(z)
    m = map(str, [1, 2])
    next(m)
    t1, t2 = itertools.tee([1, 2, 3])
    next(t1)
    fl = filter(None, [0, 1, 2])
    rev = reversed([1, 2, 3])
    next(rev)
    it = iter({1: 2})
    di = iter({"a": 1, "b": 2}.items())
    next(di)
    rg = iter(range(5))
    next(rg)
    st = iter("abc")
    next(st)
    """,
    """
    assert next(c) == 4
    assert next(z) == (2, "b")
    assert next(m) == "2"
    assert next(t1) == 2
    assert next(t2) == 1
    assert next(fl) == 1
    assert next(rev) == 2
    assert next(di) == ("b", 2)
    assert next(rg) == 1
    assert next(st) == "b"
    """,
)

STANDARD.case(
    "zip_gzip",
    """
    import zipfile, gzip, io

    z = zipfile.ZipFile("z.zip", "w")
    z.writestr("a", "x")
    g = gzip.open("g.gz", "wt")
    g.write("a")
    bz = zipfile.ZipFile(io.BytesIO(), "w")
    bz.writestr("q", "1")
    """,
    """
    z.writestr("b", "y")
    z.close()
    assert zipfile.ZipFile("z.zip").namelist() == ["a", "b"]
    bz.close()
    """,
    lost=["g"],
    still="z.close()",
)

STANDARD.case(
    "contextvar2",
    """
    import contextvars

    v = contextvars.ContextVar("v")
    w = contextvars.ContextVar("w", default=[1])
    v.set({"a": 1})
    """,
    """
    assert v.get() == {"a": 1}
    assert w.get() == [1]
    """,
)

STANDARD.case(
    "closed_files",
    """
    with open("a.txt", "w") as f:
        f.write("x")
    with open("a.txt", "rb") as g:
        g.read()
    # %%
    y = 1
    """,
    """
    assert f.closed
    assert f.name == "a.txt"
    assert f.mode == "w"
    assert g.closed
    assert g.name == "a.txt"
    assert type(g).__name__ == "BufferedReader"
    """,
)
