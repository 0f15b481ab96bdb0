"""What a worker sees of the host's files, devices and processes."""

from __future__ import annotations

import os
import pty
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Mount
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES
from sandbox.inside.contain.proc_view import MASKED

if TYPE_CHECKING:
    from tests.security.conftest import Greeting, Range

_SECRET = "a secret of the host"
_HARMLESS = {"null": [1, 3], "zero": [1, 5], "full": [1, 7], "random": [1, 8], "urandom": [1, 9], "pts/ptmx": [5, 2]}
# Everything off that hides a file from a worker at level landlock, where the host's files stay in place.
_BARE = ("landlock", "own_uid", "capabilities")


@pytest.fixture
def secret(common: Path) -> Path:
    """A file of the host below /tmp that every user may read."""
    path = common / "secret"
    path.write_text(_SECRET)
    path.chmod(0o644)
    return path


@pytest.fixture
def secret_at_home() -> Iterator[Path]:
    """A file in the home directory of whoever runs this."""
    path = Path.home() / f".sandbox-test-secret-{os.getpid()}"
    try:
        path.write_text(_SECRET)
    except OSError as error:
        pytest.skip(f"this user has no home to hide something in: {error}")
    yield path
    path.unlink()


def test_a_worker_sees_no_home_directory(lab: Range, secret_at_home: Path) -> None:
    gone = {"ENOENT"} if lab.level == NAMESPACES else {"EACCES"}
    assert lab.attack("read", str(secret_at_home)).error in gone
    assert lab.control("read", str(secret_at_home), isolation="none").value == _SECRET


@pytest.mark.needs_namespaces
def test_a_home_directory_holds_only_the_way_to_the_interpreter(lab: Range) -> None:
    parts = {part for path in lab.attack("interpreter").value for part in Path(path).parts}
    parts |= set(Path(__file__).parts)  # the worker's own code may lie in a checkout below it
    parts.add("user")  # the link to the workspace
    for home in ("/root", "/home", str(Path.home())):
        assert set(lab.attack("names", home).value or []) <= parts, home


@pytest.mark.needs_namespaces
def test_the_home_directory_of_other_sandboxes_programs_is_the_workspace(lab: Range) -> None:
    """Each session's own."""
    box = lab.box()
    box.run("open('/home/user/file', 'w').write('mine')")
    assert box.files.read("file") == b"mine"
    assert lab.attack("read", "/home/user/file", memory=512).error == "ENOENT", "another session sees it"
    assert lab.attack("create", "/home/other").error == "EROFS"


def test_a_worker_cannot_see_the_host_tmp(lab: Range, secret: Path) -> None:
    assert lab.attack("read", str(secret)).error == ("ENOENT" if lab.level == NAMESPACES else "EACCES")
    assert lab.control("read", str(secret), isolation="none").value == _SECRET


@pytest.mark.needs_namespaces
def test_a_worker_has_a_tmp_of_its_own(lab: Range) -> None:
    """Switched off, /tmp is the zygote's, which its workers share. For root's workers with their uids it is closed."""
    assert lab.attack("create", "/tmp/note").value == "x"
    assert lab.attack("read", "/tmp/note", env={"N": "1"}).error == "ENOENT"
    off = ("private_tmp", "own_uid", "user_namespace", "capabilities")
    assert lab.control("create", "/tmp/note", without=off).value == "x"
    assert lab.control("read", "/tmp/note", without=off, env={"N": "1"}).value == "x"


@pytest.mark.needs_namespaces
def test_a_worker_cannot_see_another_workspace(lab: Range) -> None:
    """Switched off, the others' directories are there, and for root's workers closed by their owners' uids."""
    host_path = str(lab.box(env={"N": "1"})._started.workspace_dir)
    inside = f"/.workspaces/{Path(host_path).name}"
    lab.attack("create", "note", env={"N": "1"})
    assert lab.attack("read", f"{host_path}/note").error == "ENOENT"
    assert lab.attack("names", inside).error == "ENOENT"
    assert lab.attack("names", "/.workspaces").value == []
    neighbour = Path(lab.control_box(without=("mount_namespace",), env={"N": "1"})._started.workspace_dir).name
    found = lab.control("names", "/.workspaces", without=("mount_namespace",))
    assert found.error == "EACCES" or neighbour in found.value
    assert lab.control("exists", f"/.workspaces/{neighbour}", without=("mount_namespace",)).value is True


def test_a_worker_cannot_see_another_workspace_at_level_landlock(lab: Range) -> None:
    other = lab.box(isolation=LANDLOCK, env={"N": "1"})._started.workspace_dir
    lab.attack("create", "note", isolation=LANDLOCK, env={"N": "1"})
    assert lab.attack("read", f"{other}/note", isolation=LANDLOCK).error == "EACCES"
    box = lab.control_box(isolation=LANDLOCK, without=_BARE, env={"N": "1"})
    lab.control("create", "note", isolation=LANDLOCK, without=_BARE, env={"N": "1"})
    path = f"{box._started.workspace_dir}/note"
    assert lab.control("read", path, isolation=LANDLOCK, without=_BARE).value == "x"


@pytest.mark.needs_namespaces
def test_a_worker_has_only_harmless_devices(lab: Range) -> None:
    """The terminals of the host, and everything that reaches hardware, are not there."""
    assert lab.attack("devices").value == {f"/dev/{name}": numbers for name, numbers in _HARMLESS.items()}
    controller, terminal = pty.openpty()
    path = os.ttyname(terminal)
    try:
        assert lab.attack("exists", path).error == "ENOENT"
        assert lab.control("exists", path, isolation="none").value is True
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.needs_namespaces
def test_a_worker_has_terminals_of_its_own(lab: Range) -> None:
    assert lab.attack("in_child", "open_terminal").value["code"] == 0
    assert lab.control("in_child", "open_terminal", without=("private_dev",)).value["code"] != 0


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("where", ["/workspace/device", "/tmp/device", "/dev/shm/device"])
def test_a_worker_cannot_make_a_device(lab: Range, where: str) -> None:
    """Memory, as /dev/mem. Refused by Landlock, by the user namespace and by the mount: one control for all."""
    assert lab.attack("make_device", where).error in {"EPERM", "EACCES"}
    if os.geteuid() != 0:
        pytest.skip("only the host's root can make a device anywhere")
    assert lab.control("make_device", Path(where).parent.name, isolation="none").error == ""


@pytest.mark.needs_namespaces
def test_a_worker_sees_no_process_but_its_own(lab: Range) -> None:
    assert lab.attack("pids").value == lab.attack("own_pids").value == [1]
    assert len(lab.control("pids", without=("proc_view",)).value) > 1


@pytest.mark.needs_namespaces
def test_the_masked_parts_of_proc_are_empty(lab: Range) -> None:
    there = [f"/proc/{name}" for name in MASKED if os.path.lexists(f"/proc/{name}")]
    files = [path for path in there if not os.path.isdir(path)]
    directories = [path for path in there if os.path.isdir(path)]
    assert files
    assert set(lab.attack("read_all", files).value.values()) == {""}
    assert [lab.attack("names", path).value for path in directories] == [[]] * len(directories)
    # Of the zygote's own /proc, a worker without rights may read some.
    assert any(lab.control("read_all", files, without=("proc_view",)).value.values())


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward"]
)
def test_a_worker_cannot_change_settings_of_the_kernel(lab: Range, path: str) -> None:
    assert lab.attack("write", path, "1").error in {"EACCES", "EPERM", "EROFS", "ENOENT"}
    if os.geteuid() == 0 and os.path.exists(path):
        before = Path(path).read_text()
        assert lab.control("write", path, before, isolation="none").error == ""  # as it was: nothing changes


@pytest.mark.parametrize("path", ["/proc/1/environ", "/proc/1/mem", "/proc/1/root/etc/shadow"])
def test_a_worker_cannot_look_into_the_hosts_first_process(lab: Range, path: str) -> None:
    if lab.level == NAMESPACES:
        # There it is the worker itself, whose root is the view.
        assert lab.attack("read", "/proc/1/root/etc/shadow").error == "ENOENT"
        assert "PATH" not in lab.attack("read", "/proc/1/environ").value
    else:
        assert lab.attack("read", path).error == "EACCES"


@pytest.mark.needs_namespaces
def test_everything_but_three_directories_is_read_only(lab: Range) -> None:
    paths = ["/", "/usr", "/etc", "/run", "/home", "/root", "/var/tmp", *lab.attack("interpreter").value]
    for path in paths:
        assert lab.attack("create", f"{path}/new" if os.path.isdir(path) else path).error in {"EROFS", "EACCES"}, path
        # Without the second lock it is the mount that refuses.
        assert lab.control("is_read_only", path, without=("landlock",)).value is True, path
    for path in ("/workspace", "/tmp", "/dev/shm"):
        assert lab.attack("create", f"{path}/new").value == "x"


@pytest.mark.needs_namespaces
def test_a_mounted_directory_is_read_only_unless_it_is_asked_for(lab: Range, common: Path) -> None:
    (common / "data").write_text("data")
    (common / "data").chmod(0o666)
    shown: dict[str, Any] = {"files": {"/data": str(common)}}
    assert lab.attack("read", "/data/data", **shown).value == "data"
    for attack in (
        ("write", "/data/data"),
        ("create", "/data/new"),
        ("truncate", "/data/data"),
        ("remove", "/data/data"),
    ):
        assert lab.attack(*attack, **shown).error in {"EROFS", "EACCES"}, attack
        assert lab.control(*attack, without=("landlock",), **shown).error == "EROFS", attack
    assert (common / "data").read_text() == "data"
    assert lab.attack("create", "/data/new", files={"/data": Mount(str(common), writable=True)}).value == "x"


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("target", ["/data", "/home/user/data", "/home/user", "/var/tmp/data", "/workspace/data"])
def test_making_room_for_a_directory_opens_nothing_else(lab: Range, common: Path, target: str) -> None:
    """Mount points are made in a root of the session's own, which is read-only again afterwards."""
    (common / "data").write_text("data")
    shown: dict[str, Any] = {"files": {target: str(common)}}
    assert lab.attack("read", f"{target}/data", **shown).value == "data"
    assert lab.attack("read", f"{target}/data").error == "ENOENT", "another session sees it"
    for path in ("/new", "/home/new", "/var/new", "/var/tmp/new"):
        assert lab.control("create", path, without=("landlock",), **shown).error == "EROFS", path


def test_a_worker_cannot_connect_to_a_socket_file_of_the_host(lab: Range, common: Path, greeting: Greeting) -> None:
    """As Docker's, which makes anybody root who can write to it."""
    path = str(common / "docker.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o777)
        server.listen()
        server.setblocking(False)
        refused = "ENOENT" if lab.level == NAMESPACES else "EACCES"
        assert lab.attack("connect", path, int(socket.AF_UNIX)).error == refused
        with pytest.raises(BlockingIOError):
            server.accept()
        server.setblocking(True)
        with greeting(server):
            assert lab.control("connect", path, int(socket.AF_UNIX), isolation="none").value == "hello"


@pytest.mark.parametrize("target", ["/etc/shadow", "/etc/passwd", "/root", "/proc/self/root/etc/shadow"])
def test_a_link_in_the_workspace_leads_nowhere_on_the_host(lab: Range, target: str) -> None:
    """Neither the worker nor the engine follows it out: a sandbox's own /etc/passwd is not the host's."""
    box = lab.box()
    box.run(f"import os\nif os.path.lexists('link'): os.unlink('link')\nos.symlink({target!r}, 'link')")
    with pytest.raises(OSError, match="link"):
        box.files.read("link")
    inside = lab.attack("follow_link_to", target)
    assert inside.error or "sandbox:x:1000" in inside.value


@pytest.mark.needs_namespaces
def test_a_hard_link_cannot_bring_a_file_into_the_workspace(lab: Range) -> None:
    assert lab.attack("link_to", "/usr/bin/env", "/workspace/env").error in {"EXDEV", "EACCES", "EPERM"}
    assert lab.attack("create", "here").value == "x"
    assert lab.attack("link_to", "here", "/workspace/there").value == "x"


def test_a_fifo_among_the_artifacts_does_not_stop_the_engine(lab: Range) -> None:
    box = lab.new_box()
    make = "os.makedirs('artifacts', exist_ok=True); os.mkfifo('artifacts/f'); os.symlink('/etc/shadow', 'artifacts/s')"
    execution = box.run(f"import os; {make}")
    assert [artifact.name for artifact in execution.artifacts] == []
    assert box.run("1 + 1").text == "2"
    box.delete()
