"""Names and objects that share an object or memory: what is changed through one is seen through the other."""

from tests.state.corpus.case import Kind

ALIAS = Kind("alias")

ALIAS.case(
    "two_names",
    """
    p = [1, 2]
    # %%
    q = p
    # %%
    p[0] = 5
    """,
    """
    q.append(3)
    assert p == [5, 2, 3] and p is q
    """,
)

ALIAS.case(
    "nested",
    """
    inner = {"k": 1}
    # %%
    in_list = [inner]
    in_dict = {"z": inner}
    # %%
    in_dict["z"]["more"] = 2
    """,
    """
    inner["k"] = 5
    assert in_list[0] is in_dict["z"] is inner
    assert in_list[0] == {"k": 5, "more": 2}
    """,
)

ALIAS.case(
    "numpy_view",
    """
    import numpy as np
    whole = np.arange(12.0).reshape(3, 4)
    # %%
    row = whole[1]
    # %%
    row[3] = 70
    """,
    """
    row[0] = -1
    assert whole[1].tolist() == [-1.0, 5.0, 6.0, 70.0]
    assert np.shares_memory(whole, row)
    """,
)

ALIAS.case(
    "numpy_transposed",
    """
    import numpy as np
    m = np.arange(6.0).reshape(2, 3)
    # %%
    turned = m.T
    """,
    """
    turned[0, 0] = 9
    assert m[0, 0] == 9 and turned.shape == (3, 2) and turned.strides == m.strides[::-1]
    """,
)

ALIAS.case(
    "memoryview",
    """
    data = bytearray(b"abc")
    # %%
    view = memoryview(data)
    # %%
    view[1] = 66
    """,
    """
    view[0] = 90
    assert data == b"ZBc" and view.obj is data
    """,
)

ALIAS.case(
    "frame_and_column",
    """
    import pandas as pd
    df = pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")})
    # %%
    column = df["a"]
    later = df[1:]
    """,
    """
    assert list(column) == [1, 2, 3] and list(later.a) == [2, 3] and df.shape == (3, 2)
    df.loc[0, "a"] = 7
    assert df.a[0] == 7 and column[0] == 1
    """,
    needs=["pandas"],
)
