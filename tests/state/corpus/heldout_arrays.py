"""Arrays: their flags, bases, kinds and sizes."""

from tests.state.corpus.case import Kind

ARRAYS = Kind("arrays")

ARRAYS.case(
    "large_with_views_and_small_changes",
    """
    import numpy as np
    big = np.arange(13_000_000, dtype="f8")
    half = big[::2]; tail = big[-10:]
    # %%
    big[1000] = -1.0
    # %%
    tail[:] = 7
    # %%
    half[5_000_000] = -2.0
    """,
    """
    assert big.nbytes > 100_000_000 and big[1000] == -1 and big[-1] == 7 and big[10_000_000] == -2 and big[999] == 999
    half[0] = 44
    assert big[0] == 44 and np.shares_memory(big, tail) and big.flags.writeable
    """,
)

ARRAYS.case(
    "only_the_view_has_a_name",
    """
    import numpy as np
    window = np.arange(100_000, dtype="i8")[10:20]
    # %%
    window += 1
    # %%
    other = window[2:4]
    """,
    """
    assert window.tolist() == list(range(11, 21))
    other[0] = -5
    assert window[2] == -5
    """,
)

ARRAYS.case(
    "read_only",
    """
    import numpy as np
    fixed = np.arange(5)
    fixed.flags.writeable = False
    big_fixed = np.ones(50_000)
    big_fixed.setflags(write=False)
    # %%
    broad = np.broadcast_to(np.array([1, 2]), (3, 2))
    """,
    """
    for one in (fixed, big_fixed, broad):
        try:
            one[0] = 1
        except ValueError:
            continue
        raise AssertionError("it can be written")
    assert broad.shape == (3, 2) and broad.strides[0] == 0 and big_fixed.sum() == 50_000
    """,
)

ARRAYS.case(
    "without_dimensions_and_without_items",
    """
    import numpy as np
    nought = np.array(5.0); empty = np.empty((0, 3)); text = np.array(["ab", "c"])
    # %%
    nought[()] = 6
    when = np.array(["2024-01-01"], dtype="M8[D]"); swapped = np.arange(3, dtype=">i4"); yes = np.True_
    """,
    """
    assert nought.shape == () and nought == 6 and empty.shape == (0, 3) and text.dtype.str == "<U2"
    assert str(when[0]) == "2024-01-01" and swapped.dtype.str == ">i4" and swapped.tolist() == [0, 1, 2]
    assert yes is np.True_
    """,
)

ARRAYS.case(
    "orders_and_negative_strides",
    """
    import numpy as np
    f = np.asfortranarray(np.arange(12).reshape(3, 4))
    # %%
    back = f[::-1, ::-2]
    turned = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)
    # %%
    back[0, 0] = 99
    """,
    """
    assert f.flags.f_contiguous and f[2, 3] == 99 and np.shares_memory(f, back)
    assert turned.shape == (4, 2, 3) and turned[1, 1, 1] == 17 and back.strides[0] < 0
    """,
)

ARRAYS.case(
    "records_and_their_fields",
    """
    import numpy as np
    table = np.zeros(4, dtype=[("pos", "f4", (2,)), ("name", "U5")])
    names = table["name"]
    # %%
    names[1] = "bob"
    table[2]["pos"][1] = 5
    rec = table.view(np.recarray)
    """,
    """
    assert table["name"][1] == "bob" and table[2]["pos"].tolist() == [0, 5] and rec.name[1] == "bob"
    names[0] = "al"
    assert table[0]["name"] == "al" and type(rec) is np.recarray and np.shares_memory(rec, table)
    """,
)

ARRAYS.case(
    "masked",
    """
    import numpy as np
    m = np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0], fill_value=-9)
    # %%
    m[0] = np.ma.masked
    hard = np.ma.array([1, 2], mask=[1, 0], hard_mask=True)
    """,
    """
    assert m.mask.tolist() == [True, True, False] and m.sum() == 3 and m.fill_value == -9
    hard[0] = 5
    assert hard.mask[0] and np.ma.masked is m[0]
    """,
)

ARRAYS.case(
    "objects_with_aliases",
    """
    import numpy as np
    inner = [1]
    cells = np.array([inner, None, inner, {"a": inner}], dtype=object)
    # %%
    inner.append(2)
    part = cells[:2]
    """,
    """
    assert cells[0] is inner is cells[2] is cells[3]["a"] and inner == [1, 2]
    part[1] = "x"
    assert cells[1] == "x"
    """,
)

ARRAYS.case(
    "memory_map_of_the_workspace",
    """
    import numpy as np
    on_disk = np.memmap("on_disk.dat", dtype="f8", mode="w+", shape=(1000,))
    # %%
    on_disk[:10] = 3
    on_disk.flush()
    """,
    """
    assert on_disk[9] == 3 and on_disk[10] == 0
    on_disk[20] = 5
    assert np.fromfile("on_disk.dat")[20] == 5
    """,
    lost=["on_disk"],
    still="import numpy as np; assert np.fromfile('on_disk.dat')[9] == 3",
)

ARRAYS.case(
    "random_generators",
    """
    import numpy as np
    rng = np.random.default_rng(5); old = np.random.RandomState(6); mt = np.random.Generator(np.random.MT19937(7))
    holder = {"rng": rng}
    # %%
    first = rng.random(3); old.normal(); mt.integers(10)
    # %%
    child = rng.spawn(1)[0]
    """,
    """
    same = np.random.default_rng(5); same.random(3)
    assert holder["rng"] is rng and child.random() == same.spawn(1)[0].random() and rng.random() == same.random()
    old2 = np.random.RandomState(6); old2.normal()
    assert old.normal() == old2.normal() and type(mt.bit_generator) is np.random.MT19937
    """,
)

ARRAYS.case(
    "subclass_with_attributes",
    """
    import numpy as np
    class Unit(np.ndarray):
        def __new__(cls, values, unit):
            self = np.asarray(values).view(cls)
            self.unit = unit
            return self
        def __array_finalize__(self, other):
            self.unit = getattr(other, "unit", None)
    # %%
    length = Unit([1.0, 2.0], "m")
    # %%
    length[0] = 5
    twice = length * 2
    """,
    """
    assert type(length) is Unit and length.unit == "m" and length.tolist() == [5, 2]
    assert twice.unit == "m" and (length + 1).unit == "m"
    """,
)

ARRAYS.case(
    "over_buffers_of_others",
    """
    import array
    import numpy as np
    raw = bytearray(16); numbers = array.array("d", [1, 2, 3])
    a = np.frombuffer(raw, dtype="u1"); b = np.frombuffer(numbers)
    # %%
    a[0] = 7
    b[1] = 20
    # %%
    fixed = np.frombuffer(b"abcd", dtype="u1")
    """,
    """
    assert raw[0] == 7 and numbers[1] == 20 and not fixed.flags.writeable and fixed.tolist() == [97, 98, 99, 100]
    raw[1] = 9
    b[2] = 30
    assert a[1] == 9 and numbers.tolist() == [1, 20, 30]
    """,
)

ARRAYS.case(
    "grown_in_place",
    """
    import numpy as np
    grown = np.zeros(10_000)
    grown[:] = 1
    # %%
    grown.resize(20_000, refcheck=False)
    # %%
    grown[15_000] = 2
    """,
    """
    assert grown.shape == (20_000,) and grown.sum() == 10_002 and grown.flags.owndata
    grown.resize(30_000, refcheck=False)
    assert grown.shape == (30_000,) and grown.sum() == 10_002
    """,
)
