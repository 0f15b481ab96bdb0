"""`python -m tests.fuzz [--seconds N] [TARGET ...]`: libFuzzer on the host's parsers, by atheris, one after the other.

What it finds that reaches new code is kept in a directory beside the corpus that is checked in, and given as
`--keep DIR`. A crash leaves its input in the working directory: put it into the corpus once it is mended.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_MOST_BYTES = 1 << 16
_MEMORY_MB = 2048
_ONE_INPUT_SECONDS = 20


def main() -> int:
    """Fuzz each target in a process of its own, since libFuzzer never returns. 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--keep", type=Path, help="where inputs that reach new code are kept")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        _fuzz(args.targets[0], args.seconds, args.keep)
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in args.targets or TARGETS:
        print(f"=== {name}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            keep = (args.keep or Path(scratch)) / name
            keep.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "tests.fuzz", "--one", "--seconds", str(args.seconds), "--keep", str(keep)]
            # What targets make lies in there too, since they do not come to their end.
            if subprocess.run([*command, name], check=False, env={**os.environ, "TMPDIR": scratch}).returncode:
                failed.append(name)
    print(f"found something in: {', '.join(failed)}" if failed else "nothing was found")
    return 1 if failed else 0


def _fuzz(name: str, seconds: int, keep: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["sandbox"]):
        from tests.fuzz.targets import CORPUS, TARGETS
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds()):
        (keep / f"seed-{number}").write_bytes(seed)
    places = [str(keep), *([str(CORPUS / name)] if (CORPUS / name).is_dir() else [])]
    limits = [f"-max_total_time={seconds}", f"-timeout={_ONE_INPUT_SECONDS}", f"-rss_limit_mb={_MEMORY_MB}"]
    atheris.Setup([sys.argv[0], *limits, f"-max_len={_MOST_BYTES}", *places], target.run)
    atheris.Fuzz()  # libFuzzer ends the process


if __name__ == "__main__":
    raise SystemExit(main())
