"""Objects of libraries, together with classes and functions of the session that they hold."""

from tests.state.corpus.case import Kind

LIBRARIES = Kind("libraries")

LIBRARIES.case(
    "pipeline_with_a_step_of_the_session",
    """
    import numpy as np
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import Pipeline
    class Shift(TransformerMixin, BaseEstimator):
        def __init__(self, by=1.0):
            self.by = by
        def fit(self, x, y=None):
            self.seen_ = len(x)
            return self
        def transform(self, x):
            return x + self.by
    # %%
    x = np.arange(10.0).reshape(-1, 1)
    model = Pipeline([("shift", Shift(2.0)), ("line", LinearRegression())]).fit(x, 3 * x.ravel())
    # %%
    model.set_params(shift__by=4.0)
    """,
    """
    assert type(model.named_steps["shift"]) is Shift and model.named_steps["shift"].seen_ == 10
    assert abs(model.predict(np.zeros((1, 1)))[0] - 6.0) < 1e-9
    """,
    needs=["sklearn"],
)

LIBRARIES.case(
    "forest_and_grid",
    """
    from sklearn.datasets import make_classification
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier
    x, y = make_classification(60, random_state=1)
    # %%
    grid = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=2).fit(x, y)
    best = grid.best_estimator_
    """,
    """
    assert grid.best_estimator_ is best and (grid.predict(x) == best.predict(x)).all() and x.shape == (60, 20)
    """,
    needs=["sklearn"],
)

LIBRARIES.case(
    "figure_that_is_continued",
    """
    import matplotlib.pyplot as plt
    fig, (left, right) = plt.subplots(1, 2, sharey=True)
    line, = left.plot([1, 2, 3], label="one")
    # %%
    line.set_ydata([3, 2, 1])
    right.bar(["a", "b"], [1, 2])
    # %%
    left.legend()
    """,
    """
    assert left.lines[0] is line and list(line.get_ydata()) == [3, 2, 1] and fig.axes == [left, right]
    left.set_ylim(0, 9)
    assert right.get_ylim() == (0, 9) and len(right.patches) == 2
    right.plot([1, 2]); fig.canvas.draw()
    """,
    needs=["matplotlib"],
)

LIBRARIES.case(
    "current_figure",
    """
    import matplotlib.pyplot as plt
    plt.figure(7)
    plt.plot([1, 2])
    # %%
    fig = plt.gcf()
    """,
    """
    assert plt.gcf() is fig and fig.number == 7 and plt.get_fignums() == [7]
    """,
    needs=["matplotlib"],
)

LIBRARIES.case(
    "graph_with_objects",
    """
    import networkx as nx
    class City:
        def __init__(self, name):
            self.name = name
    paris, rome = City("Paris"), City("Rome")
    # %%
    g = nx.DiGraph()
    g.add_edge(paris, rome, km=1100)
    # %%
    paris.visited = True
    sub = g.subgraph([paris])
    """,
    """
    assert g[paris][rome]["km"] == 1100 and all(type(node) is City for node in g)
    assert [n for n in g if getattr(n, "visited", False)] == [paris] and nx.has_path(g, paris, rome)
    assert list(sub) == [paris]
    """,
    needs=["networkx"],
)

LIBRARIES.case(
    "symbols_and_assumptions",
    """
    import sympy as sp
    n = sp.Symbol("n", integer=True, positive=True); f = sp.Function("f")
    # %%
    total = sp.summation(n, (n, 1, 10)); matrix = sp.Matrix([[n, 1], [0, n]])
    unnamed = sp.Dummy("d"); same = unnamed + 1
    """,
    """
    assert total == 55 and matrix.det() == n**2 and n.is_positive and sp.Symbol("n") != n
    assert same - 1 == unnamed and f(n).diff(n).func is sp.Derivative
    """,
    needs=["sympy"],
)

LIBRARIES.case(
    "pydantic_settings_of_models",
    """
    from typing import Generic, TypeVar
    from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
    T = TypeVar("T")
    class Item(BaseModel):
        model_config = ConfigDict(frozen=True, extra="allow")
        price: float = Field(gt=0)
        tags: list[str] = Field(default_factory=list)
    # %%
    class Page(BaseModel, Generic[T]):
        items: list[T]
        _seen: int = PrivateAttr(default=0)
        @model_validator(mode="after")
        def count(self):
            self._seen += 1
            return self
    # %%
    page = Page[Item](items=[Item(price=1.5, colour="red")])
    """,
    """
    import pydantic
    assert page.items[0].colour == "red" and page._seen == 1 and type(page.items[0]) is Item
    try:
        Item(price=-1)
    except pydantic.ValidationError:
        pass
    else:
        raise AssertionError("validation is gone")
    assert Page[int](items=["3"]).items == [3]
    """,
    needs=["pydantic"],
)

LIBRARIES.case(
    "attrs_classes",
    """
    import attrs
    @attrs.define
    class Point:
        x: int = attrs.field(converter=int)
        y: int = 0
        seen: list = attrs.Factory(list)
    # %%
    @attrs.frozen(order=True)
    class Version:
        major: int
        minor: int = 0
    # %%
    p = Point("3"); p.seen.append(1); v = Version(1, 2)
    """,
    """
    assert p == Point(3, 0, [1]) and type(p) is Point and v > Version(1, 1)
    assert attrs.asdict(v) == {"major": 1, "minor": 2}
    assert Point(1).seen == [] and not hasattr(p, "__dict__")
    """,
    needs=["attrs"],
)

LIBRARIES.case(
    "pictures",
    """
    from PIL import Image, ImageDraw
    image = Image.new("RGBA", (300, 200), (10, 20, 30, 255))
    # %%
    draw = ImageDraw.Draw(image)
    draw.rectangle([10, 10, 20, 20], fill=(255, 0, 0, 255))
    # %%
    small = image.resize((3, 2)); small.info["note"] = "x"
    """,
    """
    assert image.getpixel((15, 15)) == (255, 0, 0, 255) and small.size == (3, 2) and small.info["note"] == "x"
    draw.point((0, 0), fill=(1, 1, 1, 1))
    assert image.getpixel((0, 0)) == (1, 1, 1, 1)
    """,
    lost=["draw"],
    needs=["PIL"],
)

LIBRARIES.case(
    "optimisation_result",
    """
    import numpy as np
    from scipy import interpolate, optimize, stats
    result = optimize.minimize(lambda v: (v[0] - 3) ** 2, [0.0])
    # %%
    curve = interpolate.interp1d([0, 1, 2], [0, 1, 4])
    normal = stats.norm(2, 0.5)
    """,
    """
    assert abs(result.x[0] - 3) < 1e-4 and result.success and float(curve(1.5)) == 2.5 and normal.mean() == 2
    """,
    needs=["scipy"],
)

LIBRARIES.case(
    "charts_of_plotly_and_altair",
    """
    import altair as alt
    import pandas as pd
    import plotly.graph_objects as go
    fig = go.Figure(go.Bar(x=["a"], y=[1]))
    # %%
    chart = alt.Chart(pd.DataFrame({"a": [1]})).mark_point().encode(x="a:Q")
    fig.add_trace(go.Scatter(y=[1, 2]))
    """,
    """
    assert len(fig.data) == 2 and fig.data[0].x == ("a",) and chart.to_dict()["mark"]["type"] == "point"
    """,
    needs=["altair", "plotly", "pandas"],
)
