"""What an AI assistant does with `sandbox mcp`, call by call, through a real MCP client. Run with `make demo-mcp`.

The server is started as clients start it, ended in the middle, and started again. Files come to ./demo-output.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import BlobResourceContents, CallToolResult, ImageContent, Implementation, TextContent
from screen import Screen, duration, plain

OUTPUT = Path("demo-output")
FIGURE, PAGE, VIDEO = OUTPUT / "assistant.png", OUTPUT / "assistant-app.png", OUTPUT / "assistant.mp4"
_MOST_LINES = 12

DATA = "month,visitors\n" + "".join(f"{month},{90 + month * 17 % 60 + month * 4}\n" for month in range(1, 13))
LOAD = """
import pandas as pd
visits = pd.read_csv("visits.csv")
print(f"{len(visits)} months, {visits.visitors.sum()} visitors")
visits.describe().loc[["mean", "max"]]
"""
PLOT = """
import matplotlib.pyplot as plt
plt.figure(figsize=(8, 4), dpi=120)
plt.bar(visits.month, visits.visitors, color="steelblue")
plt.title("Visitors grow through the year")
plt.xlabel("month")
plt.ylabel("visitors")
plt.show()
"""
MISTAKE = "del visits['visitors']\nopen('visits.csv', 'w').close()\nvisits.columns.tolist()"
LOOK = "int(visits.visitors.sum()), len(open('visits.csv').readlines())"
APP = '''
import csv
from flask import Flask

app = Flask(__name__)
STYLE = """
body { font: 18px sans-serif; margin: 2em }
b, i { display: inline-block; height: 1.2em; margin-right: 0.6em }
b { width: 1.5em; text-align: right }
i { background: steelblue }
"""

@app.route("/")
def page():
    months = list(csv.DictReader(open("visits.csv")))
    bars = (f"<div><b>{m['month']}</b><i style='width:{m['visitors']}px'></i>{m['visitors']}</div>" for m in months)
    return f"<title>Visitors</title><style>{STYLE}</style><h1>Visitors by month</h1>{' '.join(bars)}"
'''
SCENE = """
import csv
from manim import *

class Visitors(Scene):
    def construct(self):
        numbers = [int(row["visitors"]) for row in csv.DictReader(open("visits.csv"))]
        bars = VGroup(*(Rectangle(width=0.6, height=n / 50, color=BLUE, fill_opacity=0.8) for n in numbers))
        bars.arrange(RIGHT, buff=0.2, aligned_edge=DOWN).to_edge(DOWN)
        self.play(Write(Text("Visitors by month", font_size=40).to_edge(UP)), run_time=0.5)
        self.play(LaggedStart(*(GrowFromEdge(bar, DOWN) for bar in bars), lag_ratio=0.1), run_time=1.5)
        self.wait(0.5)
"""
OUTSIDE = "from socket import create_connection; create_connection(('192.0.2.1', 80))"


class Assistant:
    """Calls tools, and shows each call with its answer."""

    def __init__(self, screen: Screen, client: Client) -> None:
        self._screen, self._client = screen, client

    async def call(self, why: str, tool: str, **arguments: Any) -> CallToolResult:
        """Call one tool, and show what comes."""
        self._screen.line(f"{why}: {tool}", "bold")
        begin = time.perf_counter()
        result = await self._client.call_tool(tool, arguments)
        seconds = time.perf_counter() - begin
        lines = plain("\n".join(one.text for one in result.content if isinstance(one, TextContent))).splitlines()
        for line in lines[:_MOST_LINES]:
            self._screen.line(f"    {line[:100]}")
        if len(lines) > _MOST_LINES:
            self._screen.line(f"    ... and {len(lines) - _MOST_LINES} lines more")
        images = sum(isinstance(one, ImageContent) for one in result.content)
        seen = f", with {images} image to look at" if images else ""
        self._screen.line(f"    {'an error' if result.is_error else 'done'} in {duration(seconds)}{seen}", "green")
        return result


@asynccontextmanager
async def connected(screen: Screen, home: Path) -> AsyncIterator[Client]:
    """A client with a server of its own, as an assistant has it."""
    command = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "sandbox", "mcp"],
        env={**os.environ, "SANDBOX_HOME": str(home)},
    )
    begin = time.perf_counter()
    async with Client(stdio_client(command), client_info=Implementation(name="demo", version="1")) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        screen.line(f"A server with {len(tools)} tools is ready after {duration(time.perf_counter() - begin)}:")
        screen.line(f"    {', '.join(tools)}")
        yield client


async def analyse(assistant: Assistant) -> None:
    """A plot of data."""
    await assistant.call("It brings data", "write_file", path="visits.csv", content=DATA)
    await assistant.call("It looks at them", "execute", code=LOAD)
    await save(await assistant.call("It draws them", "execute", code=PLOT), FIGURE)
    await assistant.call("It tries to reach the network", "execute", code=OUTSIDE)


async def repair(assistant: Assistant) -> None:
    """A mistake that is undone."""
    await assistant.call("It makes a mistake", "execute", code=MISTAKE)
    await assistant.call("It looks for the way back", "session_timeline")
    await assistant.call("It goes back to before", "restore_checkpoint", execution=2)
    await assistant.call("Variables and files are there again", "execute", code=LOOK)


async def publish(screen: Screen, assistant: Assistant) -> bool:
    """A web app, looked at as a user's browser does. Tell whether there is a picture of it."""
    served = await assistant.call("It makes a page of them", "start_web_app", code=APP)
    if served.is_error:
        return False  # where a sandbox has no network of its own; the answer has said so
    assert served.structured_content is not None
    url = served.structured_content["app"]["url"]
    page = await asyncio.to_thread(lambda: urlopen(url).read().decode())  # noqa: S310 - the app's own
    title = plain(page.partition("<title>")[2].partition("</title>")[0])
    screen.line(f"A browser at {url} sees the page {title!r}, {len(page)} characters", "bold")
    await assistant.call("It stops the app", "stop_web_app")
    return await save(served, PAGE)


async def animate(assistant: Assistant, client: Client) -> bool:
    """The same as a video. Tell whether there is one."""
    made = await assistant.call("It animates them", "create_manim_animation", code=SCENE, quality="low_quality")
    if made.is_error:
        return False  # Manim is an extra; the answer has said how to get it
    assert made.structured_content is not None
    (video,) = (await client.read_resource(made.structured_content["animations"][0]["uri"])).contents
    assert isinstance(video, BlobResourceContents)
    await anyio.Path(VIDEO).write_bytes(base64.b64decode(video.blob))
    return True


async def save(result: CallToolResult, path: Path) -> bool:
    """Write the image of an answer to a file; tell whether it has one."""
    for one in result.content:
        if isinstance(one, ImageContent):
            await anyio.Path(OUTPUT).mkdir(exist_ok=True)
            await anyio.Path(path).write_bytes(base64.b64decode(one.data))
            return True
    return False


async def show(screen: Screen) -> None:
    """The whole demo."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="demo-mcp-") as name:
        os.chmod(name, 0o711)  # noqa: S103 - as root, workers at level landlock have another uid
        screen.heading("An assistant with a sandbox")
        async with connected(screen, Path(name)) as client:
            await analyse(Assistant(screen, client))
        screen.heading("The server has ended. Another one goes on")
        async with connected(screen, Path(name)) as client:
            assistant = Assistant(screen, client)
            await repair(assistant)
            has_page = await publish(screen, assistant)
            has_video = await animate(assistant, client)
    screen.heading("What came out")
    screen.line(f"{FIGURE}, the figure as the assistant saw it")
    if has_page:
        screen.line(f"{PAGE}, the page of its web app, in Chromium")
    if has_video:
        screen.line(f"{VIDEO}, the animation")
    screen.line(f"All of it took {duration(time.perf_counter() - begin)}.")


def main() -> int:
    """Run the demo; return the exit code."""
    try:
        asyncio.run(show(Screen()))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
