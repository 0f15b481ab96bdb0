"""The same cells in each language, for tests that ask what every language is held to."""

from __future__ import annotations

from typing import NamedTuple

from sandbox.engine import node
from sandbox.protocol.messages import EnvironmentSpec


class Language(NamedTuple):
    """Cells by what they do."""

    name: str
    assign: str  # x = 41
    read: str  # x + 1, which shows 42
    nothing: str  # has no value
    listed: str  # a list of 1 and 2, as text `[ 1, 2 ]` without regard to blanks
    prints: str  # a, b, c to stdout, stderr, stdout
    raises: str  # ValueError or RangeError, "no such thing", on its second line
    error_type: str
    does_not_parse: str
    waits: str  # for a moment, then shows 'done'
    stuck: str  # computes for ever
    asleep: str  # waits for ever
    dies: str
    exits: str  # with code 3
    too_much_memory: str  # in one piece
    shares: str  # a list `a`, and `b` which is the same
    pushes: str  # 7 on a
    shared: str  # whether b has it too, as text "true" without regard to case
    defines: str  # a class P with a field and a method that uses x, an instance p, a function f
    uses: str  # p.total() + f(1), which is 90 where x is 41
    cannot_be_kept: str  # something named `kept_out` that runs, or is code that closes over its own
    uses_lost: str  # kept_out
    large: str  # 4 MB of zeros named `large`
    changes_large: str  # one element to 9
    reads_large: str  # which shows 9
    writes_file: str  # made.txt, with "hello"
    artifact: str  # artifacts/out.txt
    html: str  # shows a value with text/html "<b>x</b>"
    environment: str  # shows 'yes' for the variable FOO=yes
    floods: str  # 3 MB of stdout
    outside: str  # /etc/intruder
    connects: str  # to a public address


PYTHON = Language(
    name="python",
    assign="x = 41",
    read="x + 1",
    nothing="None",
    listed="[1, 2]",
    prints="import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')",
    raises="\nraise ValueError('no such thing')",
    error_type="ValueError",
    does_not_parse="let x = ;",
    waits="import asyncio\nawait asyncio.sleep(0.01)\n'done'",
    stuck="while True: pass",
    asleep="import asyncio\nawait asyncio.sleep(600)",
    dies="import os\nos._exit(9)",
    exits="import sys\nsys.exit(3)",
    too_much_memory="bytearray(5_000_000_000)",
    shares="a = [1]\nb = a",
    pushes="a.append(7)",
    shared="7 in b",
    defines="class P:\n    n = 6\n    def total(self): return self.n + x\np = P()\ndef f(y): return x + y + 1",
    uses="p.total() + f(1)",
    cannot_be_kept="import socket\nkept_out, other = socket.socketpair()\nother = None",
    uses_lost="kept_out.fileno()",
    large="large = bytearray(4_000_000)",
    changes_large="large[2_000_000] = 9",
    reads_large="large[2_000_000]",
    writes_file="open('made.txt', 'w').write('hello')",
    artifact="import os\nos.makedirs('artifacts', exist_ok=True)\nopen('artifacts/out.txt', 'w').write('out')",
    html="class H:\n    def _repr_html_(self): return '<b>x</b>'\nH()",
    environment="import os\nos.environ['FOO']",
    floods="print('x' * 3_000_000)",
    outside="open('/etc/intruder', 'w')",
    connects="import socket\nsocket.create_connection(('203.0.113.1', 80), 5)",
)
JAVASCRIPT = Language(
    name="javascript",
    assign="let x = 41;",
    read="x + 1",
    nothing="undefined",
    listed="[1, 2]",
    prints="console.log('a'); console.error('b'); console.log('c')",
    raises="\nthrow new RangeError('no such thing')",
    error_type="RangeError",
    does_not_parse="let x = ;",
    waits="await new Promise((go) => setTimeout(go, 10)); 'done'",
    stuck="while (true) {}",
    asleep="await new Promise((go) => setTimeout(go, 600_000))",
    dies="process.reallyExit(9)",
    exits="process.exit(3)",
    too_much_memory="new ArrayBuffer(5_000_000_000)",
    shares="const a = [1]; const b = a",
    pushes="a.push(7)",
    shared="b.includes(7)",
    defines="class P { n = 6; total() { return this.n + x } }\nconst p = new P(); function f(y) { return x + y + 1 }",
    uses="p.total() + f(1)",
    cannot_be_kept="const kept_out = (() => { let n = 0; return () => ++n })()",
    uses_lost="kept_out()",
    large="const large = new Uint8Array(4_000_000)",
    changes_large="large[2_000_000] = 9",
    reads_large="large[2_000_000]",
    writes_file="require('fs').writeFileSync('made.txt', 'hello')",
    artifact="import fs from 'fs'\nfs.mkdirSync('artifacts', {recursive: true})\n"
    "fs.writeFileSync('artifacts/out.txt', 'out')",
    html="({ toMIME() { return { 'text/html': '<b>x</b>' } } })",
    environment="process.env.FOO",
    floods="console.log('x'.repeat(3_000_000))",
    outside="require('fs').writeFileSync('/etc/intruder', 'x')",
    connects="""await new Promise((go, fail) => {
        require('net').connect({ host: '203.0.113.1', port: 80, timeout: 5000 }).on('error', fail).on('connect', go)
    })""",
)


def types_are_known() -> bool:
    """Whether the Node of this machine runs TypeScript."""
    version = node.find(EnvironmentSpec()).version
    return tuple(map(int, version.split(".")[:2])) >= (22, 13)
