"""What hostile code can do to the packs that a worker is handed when a session is restored."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from sandbox.sync import LocalSandbox

if TYPE_CHECKING:
    from tests.security.conftest import Range

# Its loading runs code while the descriptors are open. Small ones are not in packs: it takes a large one beside it.
_CODE = """
big = bytearray(os.urandom(3_000_000)) if (os := __import__("os")) else None
class Evil:
    def __reduce__(self):
        return attack, (Evil,)
def attack(kind):
    import errno, fcntl, os
    evil = kind.__new__(kind)
    evil.found = found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if not os.readlink(f"/proc/self/fd/{fd}").endswith(".pack"):
                continue
        except OSError:
            continue
        attempts = {
            "open to write": lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR),
            "truncate": lambda: os.truncate(f"/proc/self/fd/{fd}", 0),
            "truncate here": lambda: os.ftruncate(fd, 0),
            "write": lambda: os.pwrite(fd, b"x", 0),
            "allocate": lambda: os.posix_fallocate(fd, 0, 10),
            "lease": lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK),
            "lock": lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
            "mode": lambda: os.fchmod(fd, 0),
        }
        for name, attempt in attempts.items():
            try:
                attempt()
                found[name] = "done"
            except OSError as error:
                found[name] = errno.errorcode[error.errno]
    return evil
evil, check = Evil(), sum(big)
"""


def test_what_is_done_to_a_pack_while_it_is_loaded_harms_nobody(lab: Range) -> None:
    options = lab.box().options.__dict__
    with LocalSandbox(engine=lab.engine, session_id=f"packs-{os.getpid()}", **options) as box:
        box.run(_CODE)
        for _ in range(3):
            assert box.run("os._exit(1)", check=False).state == "restored"
            found = json.loads(box.run("import json; print(json.dumps(evil.found))").stdout)
            assert found, "no pack was handed over, so nothing was attacked"
            assert {name for name, came in found.items() if came == "done"} <= {"lock", "mode"}
            assert box.run("sum(big) == check").text == "True"
            box.run("big[0] ^= 1; check = sum(big)")
        box.delete()
