"""Render every scene of a file in a sandbox: python examples/animate.py FILE [QUALITY [FORMAT]]

Without a file, those of examples/animations. The videos go to demo-output/.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sandbox import Animation, AnimationProgress
from sandbox.sync import LocalSandbox

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "demo-output"


def told(now: AnimationProgress) -> None:
    print(f"\r  {now.scene}: {now.name or 'begins'}, {now.frames} frames\033[K", end="", file=sys.stderr, flush=True)


def kept(one: Animation) -> Path:
    OUTPUT.mkdir(exist_ok=True)
    return Path(shutil.copy(one, OUTPUT))


def main(file: str = "", quality: str = "low_quality", form: str = "mp4") -> None:
    files = [Path(file)] if file else sorted((HERE / "animations").glob("*.py"))
    with LocalSandbox(persist=False) as box:
        for path in files:
            execution = box.animations.render(path.read_text("utf-8"), quality, format=form, on_progress=told)
            for one in execution.animations:
                print(
                    f"\r{kept(one)}: {one.duration:.1f} s, {one.width} x {one.height}, {execution.execution_time:.1f} s"
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
