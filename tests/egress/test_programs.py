"""Programs that people use, through the proxy: from an index, a registry and a repository of the test's own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.egress.conftest import Internet, Open, Server, TlsServer, value

from sandbox import Secret

pytestmark = pytest.mark.needs_namespaces

WHEEL = "greeting-1.0-py3-none-any.whl"


def wheel() -> bytes:
    """A package of one module."""
    files = {
        "greeting.py": "text = 'hello'\n",
        "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
        "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, "greeting-1.0.dist-info/RECORD"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in {**files, "greeting-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return out.getvalue()


def index(request: Any, body: str) -> bytes:
    """A simple index of one package."""
    data = wheel()
    if request.path.endswith(".whl"):
        return data
    digest = hashlib.sha256(data).hexdigest()
    return f"<!DOCTYPE html><html><body><a href='/{WHEEL}#sha256={digest}'>{WHEEL}</a></body></html>".encode()


_PIP = [
    "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--target", "packages",
    "greeting",
]  # fmt: skip


async def test_pip_installs_what_is_allowed(open_box: Open, web: Server) -> None:
    pytest.importorskip("pip")
    web.answer, web.headers = index, [("Content-Type", "text/html")]
    box = await open_box("api.example.com")
    where = ["--index-url", "http://api.example.com/simple", "--trusted-host", "api.example.com"]
    done = await box.command.run(sys.executable, ["-m", "pip", *_PIP, *where])
    assert done.exit_code == 0, done.stderr
    found = await box.run("import sys; sys.path.insert(0, 'packages'); import greeting; greeting.text")
    assert found.text == "'hello'"


async def test_pip_says_why_it_cannot_install_what_is_not(open_box: Open) -> None:
    pytest.importorskip("pip")
    box = await open_box("api.example.com")
    where = ["--index-url", "https://other.example.com/simple"]
    done = await box.command.run(sys.executable, ["-m", "pip", *_PIP, *where])
    assert done.exit_code != 0
    (entry,) = {one.rule for one in await box.network.log() if not one.allowed}
    assert entry == "other.example.com:443"


async def test_pip_installs_from_an_index_whose_password_is_a_secret(open_box: Open, tls: TlsServer) -> None:
    """By TLS, which pip believes by the certificates of the session."""
    pytest.importorskip("pip")
    tls.answer, tls.headers = index, [("Content-Type", "text/html")]
    box = await open_box("api.example.com", secrets={"PASSWORD": Secret("the-password", ["api.example.com"])})
    line = f"{sys.executable} -m pip {' '.join(_PIP)} --index-url https://me:$PASSWORD@api.example.com/simple"
    done = await box.command.shell(line)
    assert done.exit_code == 0, done.stderr
    sent = dict(tls.seen[0][2])["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"me:the-password"


def registry(request: Any, body: str) -> bytes:
    """A registry of one package."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in {"package.json": '{"name": "greeting", "version": "1.0.0"}', "index.js": "1"}.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    if request.path.endswith(".tgz"):
        return out.getvalue()
    dist = {"tarball": "http://api.example.com/greeting-1.0.0.tgz"}
    versions = {"1.0.0": {"name": "greeting", "version": "1.0.0", "dist": dist}}
    return json.dumps({"name": "greeting", "dist-tags": {"latest": "1.0.0"}, "versions": versions}).encode()


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm")
async def test_npm_installs_what_is_allowed(open_box: Open, web: Server) -> None:
    web.answer, web.headers = registry, [("Content-Type", "application/json")]
    box = await open_box("api.example.com", memory=2048, processes=256)
    where = [
        "--registry",
        "http://api.example.com",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]
    done = await box.command.run("npm", ["install", "greeting", *where])
    assert done.exit_code == 0, done.stderr + done.stdout
    assert await box.files.exists("node_modules/greeting/index.js")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
async def test_git_clones_what_is_allowed(open_box: Open, web: Server, tmp_path: Path) -> None:
    line = (
        "git init -q r && cd r && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m first "
        "&& git update-server-info"
    )
    await asyncio.to_thread(subprocess.run, line, shell=True, cwd=tmp_path, check=True)

    def files(request: Any, body: str) -> bytes:
        path = tmp_path / "r" / ".git" / request.path.partition("?")[0].removeprefix("/repository.git/")
        web.status = 200 if path.is_file() else 404
        return path.read_bytes() if path.is_file() else b""

    web.answer = files
    box = await open_box("api.example.com")
    done = await box.command.run("git", ["clone", "-q", "http://api.example.com/repository.git"])
    assert done.exit_code == 0, done.stderr
    assert (await box.command.shell("cd repository && git log --format=%s")).stdout == "first\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_and_requests_believe_the_certificates_of_the_session(open_box: Open, tls: TlsServer) -> None:
    box = await open_box("api.example.com", secrets={"KEY": Secret("the-password", ["api.example.com"])})
    done = await box.command.shell('curl -s -o /dev/null -w "%{http_code}" -H "X-Key: $KEY" https://api.example.com/')
    assert done.stdout == "200"
    pytest.importorskip("requests")
    code = "__import__('requests').get('https://api.example.com/', headers={'X-Key': os.environ['KEY']}).status_code"
    assert await value(box, code) == 200
    assert [dict(headers)["X-Key"] for _, _, headers, _ in tls.seen] == ["the-password"] * 2


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
async def test_requests_of_node_go_through_a_tunnel(open_box: Open, web: Server, internet: Internet) -> None:
    """As undici makes them, the plain ones too: CONNECT, and then HTTP."""
    box = await open_box("api.example.com")
    code = (
        "const s = require('net').connect(3128, '127.0.0.1');"
        "s.write('CONNECT api.example.com:80 HTTP/1.1\\r\\nHost: api.example.com:80\\r\\n\\r\\n');"
        "s.once('data', () => { s.write('GET / HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n');"
        "s.once('data', d => { console.log(d.toString().slice(0, 15)); s.end() }) })"
    )
    assert (await box.command.run("node", ["-e", code])).stdout == "HTTP/1.1 200 OK\n"
