"""What hostile code tries. Runs inside: the standard library only, and nothing of the tests but this file.

Each function returns what it learned, or raises the OSError that it met.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import sys
import time
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def outcome(name: str, arguments: str) -> str:
    """Run the attack `name`; return what came of it as JSON."""
    try:
        value = globals()[name](*json.loads(arguments))
    except OSError as error:
        return json.dumps({"value": None, "error": errno.errorcode.get(error.errno or 0, type(error).__name__)})
    return json.dumps({"value": value, "error": ""})


# --- system calls ---------------------------------------------------------------------------------------------------


def call(number: int, *arguments: int) -> int:
    """Make a system call with plain numbers. -1 is no descriptor, no address and no known flag."""
    ctypes.set_errno(0)
    result = int(_libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments)))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def calls(probes: list[list[int]]) -> list[str]:
    """Make several system calls; return the name of each one's errno, or its result."""
    return [_tried(probe) for probe in probes]


def _tried(probe: list[int]) -> str:
    try:
        return str(call(*probe))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))


def in_child(name: str, *arguments: Any) -> dict[str, int]:
    """Run an attack in a child; return the signal that ended it (0 for none) and its exit code (0 unless it failed)."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(OSError):
            globals()[name](*arguments)
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "code": os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 0,
        "core": int(os.WCOREDUMP(status)),
    }


def call_as_i386(number: int) -> int:
    """Make a system call through the 32 bit entry: int 0x80 has other numbers than the filter was made for."""
    code = b"\xb8" + struct.pack("<I", number) + b"\xcd\x80\xc3"  # mov eax, number; int 0x80; ret
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(code)
        address = ctypes.addressof(holder := ctypes.c_char.from_buffer(page))
        result = int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
        del holder
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def socket_of(family: int, kind: int, protocol: int = 0) -> str:
    with socket.socket(family, kind, protocol) as made:
        return str(made.type)


def push_into_terminal(letter: str) -> str:
    """Type into a terminal of our own, as TIOCSTI would into the one that started the host."""
    controller, terminal = os.openpty()
    os.setsid() if os.getpid() != os.getsid(0) else None
    fcntl.ioctl(terminal, 0x5412, letter.encode())
    os.set_blocking(controller, False)
    return os.read(controller, 1).decode()


def set_core_limit(soft: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    except ValueError as error:  # what Python makes of EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def core_limit() -> list[int]:
    import resource

    return list(resource.getrlimit(resource.RLIMIT_CORE))


def abort() -> None:
    os.abort()


# --- files ----------------------------------------------------------------------------------------------------------


def read(path: str, most: int = 4096) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, most).decode("utf-8", "replace")
    finally:
        os.close(fd)


def read_all(paths: list[str]) -> dict[str, str]:
    """Try to read each; return the text or the errno by path."""
    return {path: _text_or_error(path) for path in paths}


def _text_or_error(path: str) -> str:
    try:
        return read(path, 64)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")


def write(path: str, text: str = "x") -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def create(path: str, text: str = "x") -> str:
    """Create a file and read it back."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return read(path)


def names(path: str) -> list[str]:
    return sorted(os.listdir(path))


def exists(path: str) -> bool:
    os.lstat(path)
    return True


def read_link(path: str) -> str:
    return os.readlink(path)


def truncate(path: str) -> None:
    os.truncate(path, 0)


def remove(path: str) -> None:
    os.unlink(path)


def rename(source: str, target: str) -> None:
    os.rename(source, target)


def link_to(source: str, target: str) -> str:
    """Make a hard link to a file and read it through the link."""
    os.link(source, target)
    return read(target)


def follow_link_to(path: str, link: str = "link") -> str:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    os.symlink(path, link)
    return read(link)


def read_by_descriptor_of_parent(path: str) -> str:
    """Go to the directory, then read by a relative path; and through an O_PATH descriptor."""
    fd = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        return read(f"/proc/self/fd/{fd}/{os.path.basename(path)}")
    finally:
        os.close(fd)


def run_program(*argv: str) -> str:
    import subprocess

    return subprocess.run(list(argv), capture_output=True, text=True, check=False, timeout=10).stdout


def make_device(path: str) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 1))


def is_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def devices() -> dict[str, list[int]]:
    """Major and minor number of every device below /dev, by path."""
    found = {}
    for directory, _, files in os.walk("/dev"):
        for name in files:
            status = os.lstat(os.path.join(directory, name))
            if status.st_mode & 0o170000 in {0o020000, 0o060000}:
                found[os.path.join(directory, name)] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    return found


def mode_after_chmod(path: str, mode: int) -> int:
    os.chmod(path, mode)
    return os.stat(path).st_mode & 0o777


def watch(path: str) -> bool:
    """Have the kernel tell the names of what is used below a directory."""
    fd = _libc.inotify_init1(os.O_CLOEXEC)
    try:
        if _libc.inotify_add_watch(fd, os.fsencode(path), 0xFFF) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")
    finally:
        os.close(fd)
    return True


# --- processes and namespaces ---------------------------------------------------------------------------------------


def pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def own_pids() -> list[int]:
    """This process and those that it has started."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return sorted([os.getpid(), *map(int, file.read().split())])


def kill(pid: int, number: int = signal.SIGTERM) -> None:
    os.kill(pid, number)


def own_status() -> dict[str, str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def namespaces() -> dict[str, str]:
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in ("user", "pid", "mnt", "net", "ipc", "uts")}


def host_name() -> str:
    return socket.gethostname()


def shared_memory(identifier: int) -> str:
    """Attach a System V shared memory segment and read it."""
    _libc.shmat.restype = ctypes.c_void_p
    address = _libc.shmat(identifier, None, 0o10000)
    if address in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), "shmat")
    text = ctypes.string_at(address, 16).rstrip(b"\0").decode()
    _libc.shmdt(ctypes.c_void_p(address))
    return text


def change_affinity(pid: int = 0) -> int:
    """Leave the cpus that a process was kept on."""
    os.sched_setaffinity(pid, range(os.cpu_count() or 1))
    return len(os.sched_getaffinity(pid))


def have_signalled(pid: int) -> None:
    """Have the kernel send a signal to a process: as the owner of a descriptor that becomes readable."""
    ready, other = socket.socketpair()
    fcntl.fcntl(ready, fcntl.F_SETOWN, pid)
    fcntl.fcntl(ready, 10, int(signal.SIGTERM))  # F_SETSIG
    fcntl.fcntl(ready, fcntl.F_SETFL, fcntl.fcntl(ready, fcntl.F_GETFL) | os.O_ASYNC)
    other.send(b"x")
    ready.close()
    other.close()


# --- identity -------------------------------------------------------------------------------------------------------


def ids() -> dict[str, Any]:
    return {"uid": list(os.getresuid()), "gid": list(os.getresgid()), "groups": os.getgroups()}


def id_map() -> list[list[int]]:
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return [[int(part) for part in line.split()] for line in file]


def become(uid: int) -> None:
    os.setresuid(uid, uid, uid)


def set_secure_bits() -> None:
    """A privilege of CAP_SETPCAP that no filter refuses."""
    if _libc.prctl(28, ctypes.c_ulong(1), 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECUREBITS)")


# --- network --------------------------------------------------------------------------------------------------------


def connect(address: Any, family: int = socket.AF_INET) -> str:
    """Connect a stream socket and return the greeting."""
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(5)
        made.connect(address if isinstance(address, str) else tuple(address))
        return made.recv(64).decode()


def datagram_to(address: Any, family: int = socket.AF_INET) -> int:
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        return made.sendto(b"from inside", address if isinstance(address, str) else tuple(address))


def datagram_by_pair(path: str) -> int:
    """Send from one end of a socket pair, which needs no socket call, to a socket that has a path."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        return one.sendto(b"from inside", path)
    finally:
        one.close()
        other.close()


def can_connect(address: Any) -> bool:
    """Connect without waiting for an answer."""
    with socket.socket() as made:
        made.connect(tuple(address))
    return True


def address_towards(address: Any) -> str:
    """The own address on the way to another; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(tuple(address))
        return str(made.getsockname()[0])


_listening: list[socket.socket] = []


def listen_on_a_port() -> int:
    """Listen on the loopback until the worker ends; return the port."""
    _listening.append(socket.create_server(("127.0.0.1", 0)))
    return int(_listening[-1].getsockname()[1])


def is_listening(port: int) -> bool:
    return can_connect(("127.0.0.1", port))


def resolve(name: str) -> str:
    """Look a name up; return "gaierror" when there is nobody to ask."""
    try:
        return str(socket.getaddrinfo(name, 443))
    except socket.gaierror:
        return "gaierror"


def serve_and_connect(host: str, family: int) -> str:
    """Talk to ourselves over the loopback."""
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen()
        client.connect(server.getsockname()[:2])
        accepted, _ = server.accept()
        with accepted:
            client.send(b"hello")
            return accepted.recv(16).decode()


def interfaces() -> list[str]:
    with open("/proc/net/dev", encoding="ascii") as file:
        return [line.partition(":")[0].strip() for line in file.readlines()[2:]]


# --- descriptors and memory -----------------------------------------------------------------------------------------


def descriptors() -> dict[str, str]:
    """What each open descriptor is. The one that reads the list is left out."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


def environment() -> dict[str, str]:
    with open("/proc/self/environ", "rb") as file:
        first = file.read().decode("utf-8", "replace")
    return {**os.environ, "/proc/self/environ": first}


def memory_with(reversed_hex: str) -> list[str]:
    """Search the whole memory of this process; return what surrounds each find. The needle comes disguised."""
    found = []
    with open("/proc/self/mem", "rb", buffering=0) as memory, open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps.readlines():
            span, rights = line.split()[:2]
            if not rights.startswith("r") or "[v" in line:
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            found += _in_span(memory, begin, end, reversed_hex)
    return found


def _in_span(memory: Any, begin: int, end: int, reversed_hex: str) -> list[str]:
    try:
        memory.seek(begin)
        data = memory.read(end - begin)
    except (OSError, OverflowError):
        return []
    # Compared piecewise, because the needle in one piece would be in memory, too, and find itself.
    first, rest = bytes.fromhex(reversed_hex[-2:]), bytes.fromhex(reversed_hex[:-2])[::-1]
    found = []
    at = data.find(rest[:8])
    while at >= 0:
        if data[at - 1 : at] == first and data.startswith(rest, at):
            found.append(data[max(0, at - 40) : at + len(rest) + 8].decode("latin-1"))
        at = data.find(rest[:8], at + 1)
    return found


def random_numbers() -> list[str]:
    import random
    import ssl
    import tempfile
    import uuid

    names = [next(tempfile._get_candidate_names())]  # type: ignore[attr-defined]
    return [str(random.random()), ssl.RAND_bytes(16).hex(), os.urandom(16).hex(), str(uuid.uuid4()), *names]


def control_socket() -> int:
    """Find the descriptor over which the engine talks to this worker."""
    return int(next(fd for fd, kind in descriptors().items() if kind.startswith("socket:") and int(fd) >= 1000))


def frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def forge(data: bytes) -> None:
    """Write to the control socket, behind the back of the code that owns it."""
    fd = control_socket()
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# --- using things up ------------------------------------------------------------------------------------------------


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def spin_in_children(count: int, seconds: float) -> float:
    """Keep `count` processes busy; return the cpu time that they got together."""
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            spin(seconds)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    times = os.times()
    return times.children_user + times.children_system


def in_memory(size: int) -> int:
    return len(bytearray(size))


def fork_until_refused() -> None:
    """Fork until the kernel refuses; the processes stay."""
    while True:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)


def interpreter() -> list[str]:
    return [sys.base_prefix, sys.prefix, sys.executable]


def source_of_the_standard_library() -> str:
    return read(os.__file__)


def open_terminal() -> str:
    controller, terminal = os.openpty()
    try:
        return os.ttyname(terminal)
    finally:
        os.close(controller)
        os.close(terminal)


def flood_events(event: str, batch: int, **fields: Any) -> None:
    """Send the same event without end, in batches."""
    data = frame(json.dumps({"event": event, **fields}).encode()) * batch
    while True:
        forge(data)


def flood_output(size: int) -> None:
    """Print without end."""
    data = b"x" * size
    while True:
        os.write(1, data)


def send_large_results(head: str, part: str, count: int, tail: str, times: int) -> None:
    """Send a result whose value is `head`, `count` times `part`, and `tail`; and again."""
    body = b'{"event":"result","data":{"application/json":' + (head + part * count + tail).encode() + b"}}"
    for _ in range(times):
        forge(frame(body))


def print_while_stealing(count: int) -> None:
    """Print, while two others read from the same pipe what they can get."""
    thieves = [thief for thief in (os.fork(), os.fork()) if thief]
    if len(thieves) < 2:
        _steal()
    for _ in range(count):
        os.write(1, b"something to read\n")
        forge(frame(b'{"event":"mark"}'))
    for thief in thieves:
        os.kill(thief, signal.SIGKILL)
        os.waitpid(thief, 0)


def _steal() -> None:
    try:
        fd = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        os._exit(0)  # a uid of its own may not
    while True:
        with contextlib.suppress(BlockingIOError):
            os.read(fd, 65536)


def hold_memory_in_children(count: int, size: int) -> int:
    """Let each child take memory and keep it; return how many had it at the same time."""
    ready, write = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            held = b"x" * size
            os.write(write, b"r")
            time.sleep(600 if held else 0)
            os._exit(0)
        children.append(child)
    os.close(write)
    time.sleep(0.5)
    alive = [child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)]
    os.set_blocking(ready, False)
    held_by = len(os.read(ready, count))
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(ready)
    return min(len(alive), held_by)


def fork_for_ever() -> None:
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def children_at_once(count: int) -> int:
    children: list[int] = []
    try:
        while len(children) < count:
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children)


def start_threads(count: int) -> int:
    import threading

    done = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            threads.append(thread)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    return len(threads)


def fill(path: str, count: int = 200, size: int = 1 << 20, pause: float = 0.02) -> None:
    """Write files of `size` bytes."""
    block = bytes(1 << 20)
    for number in range(count):
        with open(f"{path}{number}", "wb") as file:
            for _ in range(size >> 20):
                file.write(block)
        time.sleep(pause)


def try_to_leave_its_cpus() -> None:
    with contextlib.suppress(OSError):
        change_affinity()


def deadlock() -> None:
    import threading

    one, other = threading.Lock(), threading.Lock()
    one.acquire()

    def wait() -> None:
        with other, one:
            pass

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while not other.locked():
        time.sleep(0)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            other.acquire()


def hold_the_lock(after: float, seconds: int) -> None:
    """Keep every other thread of the interpreter from running: a call into C that does not let go of its lock."""
    time.sleep(after)
    ctypes.PyDLL(None).sleep(seconds)


def leave_behind(seconds: str) -> None:
    """Start sleepers in three ways that are not noticed when a parent ends."""
    import subprocess

    subprocess.Popen(["sleep", seconds])
    subprocess.Popen(["sleep", seconds], start_new_session=True, preexec_fn=_ignore_signals)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _ignore_signals()
            os.execvp("sleep", ["sleep", seconds])
        os._exit(0)


def _ignore_signals() -> None:
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
