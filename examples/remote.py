"""A server and a program that uses it: a plot, a kill of the server, a roll back. Run with `make demo-server`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sandbox import RemoteSandbox

_PLOT = """
import numpy as np
import matplotlib.pyplot as plt
rng = np.random.default_rng(7)
walk = rng.normal(size=1000).cumsum()
plt.plot(walk); plt.title("A walk"); plt.show()
print("the walk ends at", round(float(walk[-1]), 2))
"""


def say(text: str) -> None:
    print(text, flush=True)


class Server:
    """`sandbox serve` on a directory of its own."""

    def __init__(self, data: str) -> None:
        self._data = data
        self.url, self.key, self._port = "", "", "0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "sandbox", "serve", "--data", self._data, "--port", self._port]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                say(f"  | {line.rstrip()}" if "key" not in line else f"  | {line[:60]}...")
                if line.startswith("the first key"):
                    self.key = line.split()[-1]
                if line.startswith("serving on"):
                    self.url = line.split()[-1]
                    self._port = self.url.rpartition(":")[2]
                    return
        raise SystemExit(f"the server ended with code {self._process.wait()}")

    def end(self, number: int) -> None:
        """Send it a signal, and wait for its end."""
        self._process.send_signal(number)
        self._process.wait()


async def session(server: Server, output: Path) -> None:
    """Everything that the demo shows."""
    os.environ["SANDBOX_URL"], os.environ["SANDBOX_API_KEY"] = server.url, server.key
    box = await RemoteSandbox.create(name="demo")
    say(f"\n1. A plot, in session {box.session_id}")
    result = await box.run(_PLOT)
    (figure,) = result.artifacts
    target = output / figure.name
    target.write_bytes(await figure.aread())
    say(f"   {result.stdout.strip()}; {target} has {figure.size} bytes, which came when they were asked for")

    say("\n2. Output comes as it is printed")
    await box.run(
        "import time\nfor n in range(3): print('  ', n, flush=True); time.sleep(0.3)",
        on_stdout=lambda text: print(text, end="", flush=True),
    )

    say("\n3. The server is killed with SIGKILL, and started again")
    server.end(signal.SIGKILL)
    server.start()
    begin = time.perf_counter()
    again = await box.run("len(walk), round(float(walk[-1]), 2)")
    say(f"   the same session has its variables: {again.text} ({time.perf_counter() - begin:.2f} s)")

    say("\n4. A mistake, and the way back")
    await box.run("walk = None")
    await box.rollback(1)
    say(f"   the walk has {(await box.run('len(walk)')).text} steps again")
    await box.delete()


def main() -> None:
    output = Path("demo-output")
    output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        Path(data).chmod(0o711)
        server = Server(data)
        server.start()
        try:
            asyncio.run(session(server, output))
        finally:
            server.end(signal.SIGTERM)
    say("\nThe server was ended with SIGTERM; nothing is left of it.")


if __name__ == "__main__":
    main()
