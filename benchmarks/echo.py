"""The peers of remote calls: uvicorn with what answers JSON with the same JSON, and takes and gives files.

PUT and GET of a path is what Starlette's documentation shows for uploads and downloads, with one file.
`python -m benchmarks.echo` prints the port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

_FILE = f"{tempfile.gettempdir()}/echoed-file"


async def _upload(request: Request) -> Response:
    with open(_FILE, "wb") as file:  # noqa: ASYNC230 - it is what is done
        async for piece in request.stream():
            file.write(piece)
    return Response()


async def _download(request: Request) -> Response:
    return FileResponse(_FILE)


_files = Starlette(
    routes=[Route("/file", _upload, methods=["PUT"]), Route("/file", _download, methods=["GET"])],
)


async def served(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application."""
    if scope["path"] == "/file":
        await _files(scope, receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = json.dumps(json.loads(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _serve() -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        served, lifespan="off", access_log=False, log_level="warning", http="httptools", loop="asyncio"
    )
    server = uvicorn.Server(config)
    print(listening.getsockname()[1], flush=True)
    serving = asyncio.ensure_future(server.serve([listening]))
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(_serve())
