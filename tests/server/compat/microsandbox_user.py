"""What a user of microsandbox 0.1.8 does, step by step. Ends with a line of JSON: what it has seen."""

# Run with the published package on the path. Not part of the test run itself: its package wants an older aiohttp.
import asyncio
import json

from microsandbox import NodeSandbox, PythonSandbox


async def refused(sandbox: object) -> str:
    try:
        async with sandbox:  # type: ignore[attr-defined]
            return ""
    except RuntimeError as error:
        return str(error)


async def main() -> None:
    seen: dict[str, object] = {}
    async with PythonSandbox.create(name="kept") as sandbox:
        run = await sandbox.run("x = 20\nprint('a')\nprint('b')\nx + 1")
        seen["run"] = [await run.output(), run.has_error(), run.status, run.language]
        bad = await sandbox.run("1/0")
        seen["bad"] = [bad.has_error(), bad.status, "ZeroDivisionError" in await bad.error()]
        done = await sandbox.command.run("sh", ["-c", "echo out; echo err >&2; exit 3"])
        seen["command"] = [await done.output(), await done.error(), done.exit_code, done.success]
        late = await sandbox.command.run("sleep", ["100"], timeout=1)
        seen["late"] = [late.exit_code, late.success]
        metrics = await sandbox.metrics.all()
        seen["metrics"] = [metrics["name"], metrics["namespace"], metrics["running"], metrics["memory_usage"] > 0]
        seen["disk"] = isinstance(await sandbox.metrics.disk(), int)
    async with PythonSandbox.create(name="kept") as again:
        seen["again"] = await (await again.run("x")).output()
    async with PythonSandbox.create(name="kept", namespace="other") as other:
        seen["other"] = (await other.run("x")).has_error()
    async with NodeSandbox.create(name="js") as node:
        run = await node.run("const xs = [3, 1, 2]; console.log('hello'); xs.sort().join()")
        bad = await node.run("null.x")
        seen["node"] = [await run.output(), run.status, bad.has_error(), "TypeError" in await bad.error()]
    seen["key"] = await refused(PythonSandbox.create(api_key="msb_wrong"))
    print(json.dumps(seen))


asyncio.run(main())
