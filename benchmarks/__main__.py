"""`python -m benchmarks [names ...] [--quick]`: measures, prints the table's lines as they come, writes the results."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks import plot, report
from benchmarks.cases import LONG, NAMES
from benchmarks.figures import Figure
from benchmarks.machine import Machine, Watch
from benchmarks.ours import isolation
from benchmarks.settings import Settings

_HERE = Path(__file__).parent
_MOST_SECONDS, _MOST_SECONDS_LONG = 240.0, 1800.0
_SECONDS_TO_END = 30.0
_KEPT = {"PYTHONPATH", "PYTHONHOME"}


def main(argv: list[str] | None = None) -> int:
    """Return 1 if a benchmark failed. A missed goal is no failure: it is in the table."""
    parser = _parser()
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    settings = Settings(quick=args.quick, rounds=args.rounds, peers=args.peers)
    machine, watch = Machine.now(), Watch()
    level = asyncio.run(isolation())
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        # Their parent directory, so that what a benchmark that is killed leaves there goes too.
        os.environ["TMPDIR"] = temporary
        found = {}
        for name in args.names or [name for name in NAMES if name not in LONG]:
            watch.pause(settings.pause)
            found[name] = _measured(name, settings)
    figures = {name: some for name, some in found.items() if some}
    if figures:
        results = report.Results(machine, watch.meanwhile(), level, watch.seconds, args.quick, figures)
        _write(results, args.out)
    return 1 if None in found.values() else 0


def _write(results: report.Results, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    report.write(results, directory)
    plot.draw(results, directory)
    if results.meanwhile.warning:
        print(f"warning: {results.meanwhile.warning}", file=sys.stderr)
    print(f"{results.seconds:.0f} s in all; see {directory / 'RESULTS.md'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="name", help=f"some of {', '.join(NAMES)}; all that take no minutes if left out")
    add("--quick", action="store_true", help="few rounds and small amounts: less than a minute")
    add("--rounds", type=int, metavar="N", help="how often the sides take turns")
    add("--no-peers", dest="peers", action="store_false", help="measure ours alone")
    add("--out", type=Path, default=_HERE, metavar="DIR", help="where the results go (default: benchmarks/)")
    return parser


def _measured(name: str, settings: Settings) -> list[Figure] | None:
    """Run a benchmark in a process of its own; None if it failed."""
    begin = time.monotonic()
    print(f"{name}:", flush=True)
    seconds = _MOST_SECONDS_LONG if name in LONG and not settings.quick else _MOST_SECONDS
    output = _output([sys.executable, "-m", "benchmarks.one", name, msgspec.json.encode(settings).decode()], seconds)
    if output is None:
        return None
    figures = msgspec.json.decode(output, type=list[Figure])
    for figure in figures:
        print(f"  {_line(figure)}")
    print(f"  {time.monotonic() - begin:.0f} s", flush=True)
    return figures


def _output(command: list[str], seconds: float) -> bytes | None:
    """Return what a command prints; None, having said why, if it fails or takes too long."""
    with subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            print(f"  took more than {seconds:g} s and is ended", file=sys.stderr)
            _end(process)
            return None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        print(f"  failed with exit code {process.returncode}", file=sys.stderr)
        return None
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it end what it has started, as after a Ctrl-C."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _line(figure: Figure) -> str:
    peer = f"; {figure.peer_name}: {figure.peer}; {report.ratio_text(figure)}" if figure.peer else ""
    verdicts = "".join(f"; {goal.text(figure.ours.unit)} {goal.verdict(figure)}" for goal in figure.goals)
    return f"{figure.what}: {figure.ours}{peer}{verdicts}"


def _environment() -> dict[str, str]:
    """Ours without what changes how Python runs: PYTHONUNBUFFERED and PYTHONDONTWRITEBYTECODE slow some sides down."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name in _KEPT}


if __name__ == "__main__":
    raise SystemExit(main())
