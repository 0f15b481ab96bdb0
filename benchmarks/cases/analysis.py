"""Twenty executions of an analysis with a frame of a million rows: saving each of them, and going back to each.

What is timed is the sum over the session. That each state can be had back is seen to apart from it: a session prints a
digest of all that it has after each execution, is brought back to each in a fresh worker, and prints it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.figures import Figure, Goal, Rounds, compare
from benchmarks.ours import running_engine, sandbox
from benchmarks.peers.saving import DILL, KISHU, NAMES, saving_peer, wanted
from benchmarks.peers.surroundings import surroundings
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from benchmarks.stored import LEAST, bytes_stored, own_home, pair
from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread

_CELLS = [
    "import numpy as np, pandas as pd\nrng = np.random.default_rng(7)\nlog = []",
    """frame = pd.DataFrame({
    "time": pd.date_range("2024-01-01", periods=ROWS, freq="min"),
    "shop": rng.integers(0, 200, ROWS),
    "units": rng.poisson(3, ROWS),
    "price": rng.normal(20, 5, ROWS).round(2),
    "weight": rng.random(ROWS),
    "kind": pd.Categorical.from_codes(rng.integers(0, 4, ROWS), ["a", "b", "c", "d"]),
})""",
    "frame.head()",
    "settings = {'rate': 0.19, 'shops': list(range(10))}; log.append(('loaded', len(frame)))",
    "def gross(net): return net * (1 + settings['rate'])",
    "frame['net'] = frame.units * frame.price",
    "frame['gross'] = gross(frame.net)",
    "log.append(('derived', float(frame.gross.sum())))",
    "by_shop = frame.groupby('shop').agg(units=('units', 'sum'), gross=('gross', 'mean'))",
    "best = by_shop.nlargest(10, 'gross')",
    "sample = frame.sample(2000, random_state=1)",
    """class Line:
    def fit(self, x, y):
        self.slope, self.intercept = np.polyfit(x, y, 1)
        self.residuals = y - self.predict(x)
        return self
    def predict(self, x): return self.slope * x + self.intercept""",
    "model = Line().fit(sample.units.to_numpy(), sample.net.to_numpy())",
    "score = float((model.residuals ** 2).mean()); log.append(('fitted', score))",
    "frame.loc[: len(frame) // 100, 'weight'] = 0.0",
    "by_kind = frame.pivot_table(index='kind', values=['net', 'weight'], aggfunc='mean', observed=True)",
    "settings['rate'] = 0.07",
    "report = {'best': best, 'by_kind': by_kind, 'model': model, 'log': log}",
    "draws = rng.normal(size=1000); log.append(('drawn', float(draws.sum())))",
    "log[-3:], report['by_kind'].shape, gross(100)",
]
# Of everything that the session has, in its order; it leaves nothing behind.
_DIGEST = """
def digest_of(namespace, sha256):
    def described(value):
        if isinstance(value, pd.DataFrame):
            rows = sha256(pd.util.hash_pandas_object(value).to_numpy().tobytes()).hexdigest()
            return [list(map(str, value.columns)), list(map(str, value.dtypes)), rows]
        if isinstance(value, np.ndarray):
            return [value.dtype.str, value.shape, sha256(value.tobytes()).hexdigest()]
        if isinstance(value, np.random.Generator):
            return value.bit_generator.state
        if isinstance(value, dict):
            return [(key, described(one)) for key, one in value.items()]
        if isinstance(value, (list, tuple)):
            return [type(value), *map(described, value)]
        if isinstance(value, type) and value.__module__ == "__main__":
            return [(name, described(one)) for name, one in vars(value).items() if callable(one)]
        if hasattr(value, "__code__"):
            return [value.__qualname__, value.__code__.co_code, value.__code__.co_names]
        if type(value).__module__ == "__main__":
            return [type(value) is namespace["Line"], described(vars(value))]
        return repr(value)
    names = [name for name in namespace if not name.startswith("__") and name != "digest_of"]
    shared = "report" in namespace and namespace["report"]["log"] is namespace["log"]
    told = [shared, [(name, described(namespace[name])) for name in names]]
    return sha256(repr(told).encode()).hexdigest()
print(digest_of(dict(globals()), __import__("hashlib").sha256))
del digest_of
"""
_TIMES_FASTER = {DILL: 4, KISHU: 10}
_TIMES_SMALLER = {DILL: 25}
_NOTE = (
    "a frame of {rows:,} rows and 6 columns, 2 more derived, groups, a model, a log; ours is the sum of the "
    "differences of each two executions, of which one is stored; of the peers, saving alone; dill writes a dump for "
    "each; kishu leaves some of the changes to be made by running cells again"
)
_EQUAL_NOTE = "a digest of all variables, taken in the session after each execution, and again in a fresh worker"


async def measure(settings: Settings) -> list[Figure]:
    rows = settings.size(1_000_000, 20_000)
    cells = [code.replace("ROWS", str(rows)) for code in _CELLS]
    bytes_of: dict[str, list[float]] = {}
    with own_home() as home, surroundings() as variables:
        async with running_engine(parked=0) as engine:
            sides = {"ours": Side(_ours(engine, home, cells, bytes_of.setdefault("ours", [])))}
            for peer in wanted(settings):
                sides[peer] = Side(_of(peer, variables, home, cells, bytes_of.setdefault(peer, [])))
            found = await alternate(sides, settings.times(5))
            async with sandbox(engine, persist=True) as box:
                equal = await _restored_equal(box, cells)
    return [*_figures(found, _rounds(bytes_of), _NOTE.format(rows=rows)), _equality(equal, len(cells))]


def _rounds(bytes_of: dict[str, list[float]]) -> dict[str, Rounds]:
    """Each has one sample a round, after one that was to warm up."""
    return {side: [[size] for size in sizes[1:]] for side, sizes in bytes_of.items()}


def _ours(engine: EngineThread, home: Path, cells: list[str], sizes: list[float]) -> Measure:
    async def session() -> float:
        async with pair(engine) as both:
            await both.run("None")  # the store is there
            before = bytes_stored(home)
            seconds = [await both.difference(code) for code in cells]
            sizes.append(bytes_stored(home) - before)
            return max(sum(seconds), LEAST)

    return session


def _of(peer: str, variables: dict[str, str], home: Path, cells: list[str], sizes: list[float]) -> Measure:
    async def session() -> float:
        with saving_peer(peer, variables, home) as process:
            saved = [process.run(code) for code in cells]
            sizes.append(sum(size for _, size in saved))
            return sum(seconds for seconds, _ in saved)

    return session


def _figures(seconds: dict[str, Rounds], sizes: dict[str, Rounds], note: str) -> Iterator[Figure]:
    told = f"analysis of {len(_CELLS)} executions, each stored"
    yield from _against(f"{told}: time added in all", seconds, _TIMES_FASTER, "s", note)
    yield from _against(f"{told}: bytes stored in all", sizes, _TIMES_SMALLER, "bytes", note)


def _against(what: str, found: dict[str, Rounds], times: Mapping[str, float], unit: str, note: str) -> Iterator[Figure]:
    """Against each peer; alone, if there is none."""
    for peer in (peer for peer in NAMES if peer in found):
        goals = (Goal("ratio", ">=", times[peer]),) if peer in times else ()
        yield compare(what, found["ours"], NAMES[peer], found[peer], unit=unit, goals=goals, note=note)
    if len(found) == 1:
        yield compare(what, found["ours"], unit=unit, note=note)


# --- back to each of them ---


async def _restored_equal(box: LocalSandbox, cells: list[str]) -> int:
    """How many of the states are the same again. Each digest is an execution too."""
    digests = [await _digest_after(box, code) for code in cells]
    return sum([await _digest_at(box, 2 * place + 1) == digest for place, digest in enumerate(digests)])


async def _digest_after(box: LocalSandbox, code: str) -> str:
    await box.run(code)
    return (await box.run(_DIGEST)).stdout


async def _digest_at(box: LocalSandbox, execution: int) -> str:
    await box.rollback(execution)
    return (await box.run(_DIGEST)).stdout


def _equality(equal: int, of: int) -> Figure:
    goal = Goal("ours", ">=", of)
    what = "states of the analysis that are the same when restored"
    return compare(what, [[equal]], unit=f"of {of}", goals=(goal,), note=_EQUAL_NOTE)
