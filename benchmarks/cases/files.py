"""A large file into a workspace and back."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, compare
from benchmarks.ours import running_engine, sandbox
from benchmarks.rounds import Measure, Side, alternate
from benchmarks.settings import Settings
from sandbox import LocalSandbox
from sandbox.engine.paths import data_dir

_MB = 1_000_000
_NAME = "large.bin"


async def measure(settings: Settings) -> list[Figure]:
    size = settings.size(200, 20)
    async with running_engine(parked=0) as engine, sandbox(engine) as box:
        # On the file system that the workspace is on, for all sides.
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=data_dir()) as name:
            source, target = Path(name, "source.bin"), Path(name, "target.bin")
            _make(source, size)
            sides = {
                "upload": Side(_upload(box, source)),
                "download": Side(_download(box, target)),
                "copy": Side(_copy(source, target)),
            }
            found = await alternate(sides, settings.times(5))
            _compare(source, target)
    rates = {side: [[size / seconds for seconds in samples] for samples in rounds] for side, rounds in found.items()}
    return [
        compare(f"{way} of {size} MB", rates[way], "shutil.copyfile", rates["copy"], unit="MB/s", better=False)
        for way in ("upload", "download")
    ]


def _make(source: Path, size: int) -> None:
    source.write_bytes(bytes(range(250)) * (size * _MB // 250))


def _compare(source: Path, target: Path) -> None:
    if target.read_bytes() != source.read_bytes():
        raise RuntimeError("what came back is not what was sent")


def _remove(target: Path) -> None:
    target.unlink(missing_ok=True)


def _upload(box: LocalSandbox, source: Path) -> Measure:
    async def upload() -> float:
        begin = time.perf_counter()
        await box.files.upload(source, _NAME)
        return time.perf_counter() - begin

    return upload


def _download(box: LocalSandbox, target: Path) -> Measure:
    async def download() -> float:
        _remove(target)
        begin = time.perf_counter()
        await box.files.download(_NAME, target)
        return time.perf_counter() - begin

    return download


def _copy(source: Path, target: Path) -> Measure:
    copied = target.with_name("copy.bin")

    async def copy() -> float:
        _remove(copied)
        begin = time.perf_counter()
        shutil.copyfile(source, copied)
        return time.perf_counter() - begin

    return copy
