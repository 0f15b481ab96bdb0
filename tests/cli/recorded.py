"""Makes sessions with a history that branches. A program: an engine keeps to the home that it began with."""

from __future__ import annotations

import asyncio

from sandbox import LocalSandbox

EVIL = "t = '\x1b[31mred\u202e'; open('\\x1b[2Jevil\\n', 'w').close()"


async def main() -> None:
    async with LocalSandbox(name="tools", session_id="alpha") as box:
        await box.run("x = 1\nopen('a.txt', 'w').write('one')")
        await box.run("x = 2; data = [1]; open('a.txt', 'w').write('two'); open('b.txt', 'w').write('b')")
        await box.checkpoint("good")
        await box.run("x = 3; del data; gen = (n for n in range(3)); next(gen)")
        await box.rollback(1)
        await box.run("y = 1 / 0", check=False)
        await box.run(EVIL)
        await box.rollback("good")
        await box.run("import array; big = array.array('d', bytes(800_000))")
    async with LocalSandbox(session_id="alpine") as box:
        await box.run("z = 'other'")


if __name__ == "__main__":
    asyncio.run(main())
