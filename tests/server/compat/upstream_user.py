"""What a user of sandbox-mcp 0.4.0's remote sandboxes does. Ends with a line of JSON: what it has seen."""

# Run with the published package on the path, which is called as ours is: never in one process with it.
import asyncio
import json
import os
from typing import Any

import sandbox


async def main() -> None:
    seen: dict[str, object] = {}
    theirs: Any = sandbox
    where = {"server_url": os.environ["MSB_SERVER_URL"], "api_key": os.environ["MSB_API_KEY"]}
    async with theirs.RemoteSandbox.create(name="remote", **where) as box:
        run = await box.run("x = 6 * 7\nprint('seen')\nx")
        seen["run"] = [await run.output(), run.has_error(), run.status]
        done = await box.command.run("ls", ["-a"])
        seen["command"] = [(await done.output()).split()[:2], done.exit_code, done.timeout]
        metrics = await box.metrics.all()
        seen["metrics"] = [metrics["name"], metrics["running"]]
    async with await theirs.NodeSandbox.create(**where) as node:
        run = await node.run("console.log('Hello from Node.js')")
        seen["node"] = [await run.output(), run.status]
    print(json.dumps(seen))


asyncio.run(main())
