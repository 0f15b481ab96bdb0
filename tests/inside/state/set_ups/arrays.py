"""Arrays: what owns memory, what shares it, and what numpy lets differ."""

from __future__ import annotations

from tests.state.corpus.case import Kind

ARRAYS = Kind("arrays")

ARRAYS.case(
    "readonly_array",
    """
    import numpy as np

    a = np.arange(5)
    a.flags.writeable = False
    """,
    """
    assert not a.flags.writeable
    assert a.sum() == 10
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "arrays_without_dimensions_or_items",
    """
    import numpy as np

    a = np.array(5.0)
    b = np.array(None, dtype=object)
    e = np.zeros((0, 3))
    o = np.array([[1, "x"], [None, 2]], dtype=object)
    """,
    """
    assert a.shape == ()
    assert a == 5
    assert b.shape == ()
    assert b[()] is None
    assert e.shape == (0, 3)
    assert o.shape == (2, 2)
    assert o[0, 1] == "x"
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "structured_view",
    """
    import numpy as np

    r = np.zeros(100, dtype=[("x", "f8"), ("n", "U5")])
    xs = r["x"]
    rec = r.view(np.recarray)
    """,
    """
    xs[0] = 3
    assert r[0]["x"] == 3
    assert rec.x[0] == 3
    rec.x[1] = 4
    assert r["x"][1] == 4
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "strides_of_all_kinds",
    """
    import numpy as np

    a = np.arange(10)
    b = a[::-2]
    f = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    t = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2).copy(order="K")
    """,
    """
    b[0] = -1
    assert a[9] == -1
    assert f.flags.f_contiguous
    assert f[1, 2] == 6
    assert t.shape == (3, 2, 4)
    assert t[1, 1, 1] == 17
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "memmap",
    """
    import numpy as np

    m = np.memmap("m.bin", dtype="f8", mode="w+", shape=(10,))
    m[:] = 1
    part = m[2:4]
    # %%
    m[0] = 5
    """,
    """
    part[0] = 9
    assert m[2] == 9
    assert m[0] == 5
    m.flush()
    assert np.fromfile("m.bin")[2] == 9
    assert type(m) is np.memmap
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "big_views",
    """
    import numpy as np

    big = np.arange(4000000.0)
    head = big[:100]
    mat = big.reshape(2000, 2000)
    mt = mat.T
    # %%
    head[0] = 7
    # %%
    mat[3, 3] = -5
    """,
    """
    assert big[0] == 7
    assert mt[3, 3] == -5
    assert big[6003] == -5
    big[1] = 4
    assert head[1] == 4
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "hidden_base",
    """
    import numpy as np

    big = np.arange(4000000.0)
    small = big[5:10]
    del big
    """,
    """
    assert list(small) == [5, 6, 7, 8, 9]
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "frombuffer",
    """
    import numpy as np

    ba = bytearray(100)
    a = np.frombuffer(ba, dtype="u1")
    mv = memoryview(a)[10:20]
    """,
    """
    mv[0] = 5
    assert ba[10] == 5
    assert a[10] == 5
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "masked",
    """
    import numpy as np

    d = np.arange(5)
    m = np.ma.masked_array(d, [0, 1, 0, 0, 0])
    mx = np.matrix([[1, 2]])
    """,
    """
    assert m.mask[1]
    assert m.sum() == 9
    assert type(mx) is np.matrix
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "array_object_alias",
    """
    import numpy as np

    l = [1]
    o = np.array([l, None], dtype=object)
    v = o[::-1]
    """,
    """
    l.append(2)
    assert o[0] == [1, 2]
    v[0] = 3
    assert o[1] == 3
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "subclass_ndarray",
    """
    import numpy as np


    class A(np.ndarray):
        def __array_finalize__(s, o):
            s.info = getattr(o, "info", None)


    a = np.arange(5).view(A)
    a.info = "hi"
    big = np.arange(100000.0).view(A)
    big.info = "b"
    """,
    """
    assert type(a) is A
    assert a.info == "hi"
    assert type(big) is A
    assert big[5] == 5
    assert big.info == "b"
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "resize",
    """
    import numpy as np

    a = np.zeros(20000)
    b = np.arange(5)
    # %%
    a[0] = 1
    """,
    """
    a.resize(30000)
    b.resize(10)
    assert a.flags.owndata
    assert b.flags.owndata
    assert a[0] == 1
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "hardmask",
    """
    import numpy as np

    d = np.arange(5.0)
    m = np.ma.array(d, mask=[0, 1, 0, 0, 0], copy=False, hard_mask=True, fill_value=9)
    v = m[1:3]
    """,
    """
    m[1] = 5
    assert m.mask[1]
    assert m.hardmask
    assert m.fill_value == 9
    m[0] = 7
    assert d[0] == 7
    v[1] = 8
    assert m[2] == 8
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "recarray",
    """
    import numpy as np

    r = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    v = r.a
    """,
    """
    assert type(r) is np.recarray
    v[0] = 9
    assert r.a[0] == 9
    assert r[0].b == 2
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "methods_of_global_generators",
    """
    import numpy as np
    from numpy.random import rand
    import random
    from random import random as rr

    random.seed(3)
    np.random.seed(4)
    # %%
    rand()
    rr()
    """,
    """
    r = random.Random(3)
    r.random()
    assert rr() == r.random()
    q = np.random.RandomState(4)
    q.rand()
    assert rand() == q.rand()
    """,
    needs=["numpy"],
)

ARRAYS.case(
    "functions_of_global_generators",
    """
    import numpy as np
    from numpy.random import rand
    import random
    from random import random as rr

    random.seed(3)
    np.random.seed(4)
    # %%
    x = rand()
    y = rr()
    """,
    """
    random.seed(3)
    rr()
    a = random.random()
    assert a != y
    np.random.seed(4)
    np.random.rand()
    assert rand() == np.random.RandomState(4).rand(2)[1]
    """,
    needs=["numpy"],
)
