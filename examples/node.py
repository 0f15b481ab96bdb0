"""A session in JavaScript: state, a chart, a package of the workspace, a kill and its restore. See `make demo-node`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from sandbox import LocalSandbox, NodeSandbox

# What `npm install tiny-stats` would have left behind.
_PACKAGE = {
    "node_modules/tiny-stats/package.json": json.dumps({"name": "tiny-stats", "version": "1.0.0", "main": "index.js"}),
    "node_modules/tiny-stats/index.js": """
exports.mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
exports.spread = (values) => Math.max(...values) - Math.min(...values);
""",
}
_STATE = """
class Series {
  values = [];
  add(value) { this.values.push(value); return this }
  get last() { return this.values.at(-1) }
}
const series = new Series();
for (let n = 0; n < 24; n++) series.add(Math.round(100 * Math.sin(n / 4)) / 100);
series
"""
_CHART = """
display({
  $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
  data: { values: series.values.map((y, x) => ({ x, y })) },
  mark: 'line',
  encoding: { x: { field: 'x', type: 'quantitative' }, y: { field: 'y', type: 'quantitative' } },
});
console.table(series.values.slice(0, 3).map((y, x) => ({ x, y })));
"""


def say(text: str) -> None:
    print(text, flush=True)


async def session(box: LocalSandbox, output: Path) -> None:
    """Everything that the demo shows."""
    say(f"1. Variables, in a Node {(await box.run('process.version')).text} at level {box.isolation}")
    say(f"   {(await box.run(_STATE)).text.splitlines()[0]} ...")
    say(f"   the last value: {(await box.run('const last = series.last; last')).text}")

    say("\n2. A chart, and a table")
    shown = await box.run(_CHART)
    chart = next(one for one in shown.results if "application/vnd.vegalite.v5+json" in one.data)
    target = output / "series.vl.json"
    target.write_text(json.dumps(chart.data["application/vnd.vegalite.v5+json"]), "utf-8")
    assert chart.chart is not None
    points = chart.chart["series"][0]
    say(f"   what it shows, as data: {chart.chart['type']}, {len(points['x'])} points, the first at {points['y'][0]}")
    say(f"   {target} is a chart in Vega-Lite; the table is HTML too: {'text/html' in shown.results[1].data}")

    say("\n3. A package from node_modules of the workspace: there is no network")
    for path, content in _PACKAGE.items():
        await box.files.write(path, content)
    found = await box.run("import { mean, spread } from 'tiny-stats'\n[mean(series.values).toFixed(3), spread([1, 5])]")
    say(f"   {found.text}")

    say("\n4. An endless loop keeps the variables; a kill costs nothing that was there before it")
    stuck = await box.run("while (true) {}", timeout=0.5, check=False)
    say(f"   {stuck.status}: the variables are {stuck.state}")
    killed = await box.run("process.kill(process.pid, 'SIGKILL')", check=False)
    say(f"   {killed.status}: {killed.cause.message if killed.cause else ''}; the variables are {killed.state}")
    again = await box.run("[series instanceof Series, series.add(7).last, mean(series.values) > 0, last]")
    say(f"   {again.text}")

    say("\n5. What cannot be kept is named when it is made")
    closure = await box.run("const counter = (() => { let n = 0; return () => ++n })(); counter()")
    say(f"   it works, {closure.text}, and would not survive: {', '.join(closure.state.lost_names)}")


async def demo(output: Path) -> None:
    async with NodeSandbox.create_local("demo") as box:
        await session(box, output)
        await box.delete()


def main() -> None:
    output = Path("demo-output")
    output.mkdir(exist_ok=True)
    asyncio.run(demo(output))


if __name__ == "__main__":
    main()
