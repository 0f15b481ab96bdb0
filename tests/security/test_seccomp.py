"""The system call filter: every refused call, and for each the same call with its refusal switched off.

What is refused everywhere is attacked by test_probes.py. Calls are made with arguments that are wrong in every way. A
refused call answers with the refusal's error; one that gets past the filter answers with what the kernel says to such
arguments. Several calls are refused by the kernel too, for want of a capability and with the same EPERM, before it
looks at the arguments: then the control switches that layer off as well, and where only the host's root would get
further, it runs as that, without isolation.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyseccomp
import pytest

from sandbox.attack.probes.kernel import ARGUMENTS, CAPABLE, NOT_TRIED, WRONG
from sandbox.engine import isolation
from sandbox.engine.filters import number_of
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES, REFUSALS, SIGNAL_OWNERS, SIGNALS, Refusal

if TYPE_CHECKING:
    from tests.security.conftest import Range

    Victim = subprocess.Popen[bytes]

# At level landlock: a worker that is the engine's own user, with all that it may do.
_AS_THE_ENGINE = ("landlock", "own_uid", "capabilities")
_EVERYWHERE = [row for row in REFUSALS if not row.when and not row.without_cgroups and len(row.levels) == 2]
_UNCOUNTED = [row for row in REFUSALS if row.without_cgroups and LANDLOCK in row.levels]
_AT_LANDLOCK = [row for row in (*REFUSALS, SIGNALS) if not row.when and row.levels == (LANDLOCK,)]
_STREAM = int(socket.SOCK_STREAM)


def row_named(name: str) -> Refusal:
    return next(row for row in (*REFUSALS, SIGNALS, SIGNAL_OWNERS) if row.name == name)


def known(row: Refusal) -> list[str]:
    return [call for call in row.calls if number_of(call) is not None]


def probe(call: str) -> list[int]:
    return [number_of(call) or 0, *ARGUMENTS.get(call, WRONG)]


def answer_of(row: Refusal) -> str:
    """What a refused call answers: the name of an errno, or the 0 of a pretended success."""
    return errno.errorcode[row.error] if row.error else "0"


def options_for(row: Refusal) -> dict[str, Any]:
    """How a sandbox is made in which the row is in force."""
    options: dict[str, Any] = {}
    if len(row.levels) == 1:
        options["isolation"] = row.levels[0]
    if row.without_cgroups:
        options["without"] = ("cgroup",)
    return options


def control_options(row: Refusal, *also: str) -> dict[str, Any]:
    options = options_for(row)
    return {**options, "without": (*options.get("without", ()), f"seccomp.{row.name}", *also)}


def assert_refused(lab: Range, name: str) -> None:
    """Every call of the row is refused, and the first that the kernel has gets through without it."""
    row = row_named(name)
    answers = lab.attack("calls", [probe(call) for call in known(row)], **options_for(row)).value
    assert dict(zip(known(row), answers, strict=True)) == dict.fromkeys(known(row), answer_of(row))
    without = lab.control("calls", [probe(call) for call in known(row)], **control_options(row)).value
    assert lab.control_box(**control_options(row)).enforced.count("seccomp") == 1, "the rest of the filter is off too"
    through = [call for call, answer in zip(known(row), without, strict=True) if answer != answer_of(row)]
    if not through:
        assert _gets_through_somewhere(lab, row, known(row)[0]), "the attack never worked"


def _gets_through_somewhere(lab: Range, row: Refusal, call: str) -> bool:
    """Switch off what else refuses the call with the same error. Skips where nobody here could get further."""
    if lab.control_box(**control_options(row)).isolation == NAMESPACES:
        further = lab.control("calls", [probe(call)], **control_options(row, *CAPABLE)).value
        if further[0] != answer_of(row):
            return True
    if os.geteuid() != 0:
        pytest.skip(f"{call}: only the host's root would get past the kernel's own check")
    if call in NOT_TRIED:
        pytest.skip(f"{call}: as the host's root it would take effect")
    return bool(lab.control("calls", [probe(call)], isolation="none").value[0] != answer_of(row))


# --- every call by itself -------------------------------------------------------------------------------------------


def each_call_of(rows: list[Refusal]) -> list[object]:
    return [pytest.param(row, call, id=f"{row.name}-{call}") for row in rows for call in known(row)]


@pytest.mark.parametrize(("row", "call"), each_call_of([*_EVERYWHERE, *_UNCOUNTED]))
def test_without_its_refusal_a_call_reaches_the_kernel(lab: Range, row: Refusal, call: str) -> None:
    found = lab.control("calls", [probe(call)], **control_options(row)).value
    assert found[0] != answer_of(row) or _gets_through_somewhere(lab, row, call)


@pytest.mark.usefixtures("needs_level_landlock")
@pytest.mark.parametrize(("row", "call"), each_call_of([row for row in _AT_LANDLOCK if row is not SIGNALS]))
def test_without_its_refusal_a_call_reaches_the_kernel_at_level_landlock(lab: Range, row: Refusal, call: str) -> None:
    assert lab.control("calls", [probe(call)], **control_options(row)).value[0] != answer_of(row)


# --- the proofs of the policy's rows --------------------------------------------------------------------------------


def test_userfaultfd_is_for_user_mode_only(lab: Range) -> None:
    number = number_of("userfaultfd") or 0
    user_mode_only = 1 | os.O_CLOEXEC
    refused, allowed = lab.attack("calls", [[number, os.O_CLOEXEC], [number, user_mode_only]]).value
    assert refused == "EPERM"
    assert allowed == "ENOSYS" or int(allowed) > 2
    row = row_named("userfaultfd")
    # The kernel asks for a capability first, unless vm.unprivileged_userfaultfd is set.
    found = lab.control("calls", [[number, os.O_CLOEXEC]], **control_options(row)).value[0]
    assert found != "EPERM" or _gets_through_somewhere(lab, row, "userfaultfd")


def test_a_crash_starts_no_program_on_the_host(lab: Range) -> None:
    """A core limit of 1 is what the kernel takes as "start no handler"; 0 would not do, and must not be settable."""
    assert lab.attack("core_limit").value == [1, 1]
    assert lab.attack("set_core_limit", 0).error == "EPERM"
    assert lab.attack("calls", [probe("setrlimit")]).value == ["EPERM"]
    # The older call is not refused by the row under test, and the other way round.
    assert lab.control("set_core_limit", 0, without=("seccomp.core_limit",)).error == ""
    assert lab.control("calls", [probe("setrlimit")], without=("seccomp.old_core_limit",)).value == ["EFAULT"]


def test_files_in_memory_that_nobody_counts_are_refused(lab: Range) -> None:
    assert_refused(lab, "uncounted_memory")


@pytest.mark.needs_namespaces
def test_shared_memory_that_nobody_counts_is_refused(lab: Range) -> None:
    assert_refused(lab, "uncounted_shared_memory")


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one cpu only")
def test_a_worker_cannot_leave_its_cpus(lab: Range) -> None:
    cpus = os.cpu_count()
    assert lab.attack("change_affinity", without=("cgroup",)).error == "EPERM"
    assert lab.control("change_affinity", without=("cgroup", "seccomp.cpu_affinity")).value == cpus


# --- what only the level without namespaces refuses -----------------------------------------------------------------


def test_a_landlock_worker_has_no_sockets(lab: Range) -> None:
    assert_refused(lab, "all_sockets")
    assert lab.attack("socket_of", socket.AF_INET, _STREAM, isolation=LANDLOCK).error == "EACCES"
    made = lab.control("socket_of", socket.AF_INET, _STREAM, isolation=LANDLOCK, without=("seccomp.all_sockets",))
    assert made.error == ""


def test_a_landlock_worker_with_the_host_s_network_has_no_unix_sockets(lab: Range) -> None:
    assert_refused(lab, "unix_sockets")
    assert lab.attack("socket_of", socket.AF_UNIX, _STREAM, isolation=LANDLOCK, network="host").error == "EACCES"
    off = ("seccomp.unix_sockets",)
    made = lab.control("socket_of", socket.AF_UNIX, _STREAM, isolation=LANDLOCK, network="host", without=off)
    assert made.error == ""


def test_a_landlock_worker_cannot_send_to_a_socket_of_the_host(lab: Range, common: Path) -> None:
    """A pair of datagram sockets needs no socket call, and either end can send to any path."""
    path = str(common / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        os.chmod(path, 0o777)
        server.setblocking(False)
        kinds = [[number_of("socketpair") or 0, int(socket.AF_UNIX), kind | 0o2000000, 0, -1] for kind in (2, 3)]
        assert lab.attack("calls", kinds, isolation=LANDLOCK).value == ["EACCES", "EACCES"]
        assert lab.attack("datagram_by_pair", path, isolation=LANDLOCK).error == "EACCES"
        with pytest.raises(BlockingIOError):
            server.recv(64)
        off = ("seccomp.datagram_pairs",)
        assert lab.control("datagram_by_pair", path, isolation=LANDLOCK, without=off).error == ""
        assert server.recv(64) == b"from inside"


def test_a_landlock_worker_has_no_system_v_ipc(lab: Range) -> None:
    assert_refused(lab, "sysv_ipc")


def test_a_landlock_worker_cannot_change_another_process(lab: Range, victim: Victim) -> None:
    row = row_named("other_processes")
    probes = [[number_of(call) or 0, victim.pid, *WRONG[1:]] for call in row.calls]
    assert set(lab.attack("calls", probes, isolation=LANDLOCK).value) == {"EPERM"}
    assert lab.attack("change_affinity", victim.pid, isolation=LANDLOCK).error == "EPERM"
    assert set(lab.control("calls", probes, **control_options(row, "seccomp.cpu_affinity")).value) <= {
        "EINVAL",
        "EFAULT",
    }


def test_a_landlock_worker_cannot_change_priorities(lab: Range) -> None:
    assert_refused(lab, "priorities")


def test_a_landlock_worker_cannot_change_modes(lab: Range) -> None:
    assert_refused(lab, "file_modes")
    lab.attack("create", "plain", isolation=LANDLOCK)
    assert lab.attack("mode_after_chmod", "plain", 0o611, isolation=LANDLOCK).value == 0o644
    off = control_options(row_named("file_modes"))
    lab.control("create", "plain", **off)
    assert lab.control("mode_after_chmod", "plain", 0o611, **off).value == 0o611


def test_a_landlock_worker_cannot_change_owners(lab: Range) -> None:
    assert_refused(lab, "file_owners")


def test_a_landlock_worker_cannot_change_file_flags(lab: Range) -> None:
    requests = (0x40086602, 0x40046602, 0x401C5820, 0x40087602, 0x40806685)
    probes = [[number_of("ioctl") or 0, -1, request, 0] for request in requests]
    assert set(lab.attack("calls", probes, isolation=LANDLOCK).value) == {errno.errorcode[errno.ENOTSUP]}
    assert set(lab.control("calls", probes, **control_options(row_named("file_flags"))).value) == {"EBADF"}


def test_a_landlock_worker_cannot_watch_directories(lab: Range, common: Path) -> None:
    assert lab.attack("watch", str(common), isolation=LANDLOCK).error == "EACCES"
    assert lab.control("watch", str(common), **control_options(row_named("watches"))).value is True


@pytest.fixture
def old_landlock(monkeypatch: pytest.MonkeyPatch, lab: Range) -> Iterator[None]:
    """Have the next control's engine believe in a kernel whose Landlock does not know signals."""
    lab.box(isolation=LANDLOCK)
    lab.end_controls()
    monkeypatch.setattr(isolation, "landlock_abi", lambda: 5)
    yield
    lab.end_controls()


@pytest.mark.usefixtures("old_landlock")
def test_a_landlock_worker_cannot_signal_the_host(lab: Range, victim: Victim) -> None:
    """Where Landlock does not keep signals inside, the filter does.

    Landlock is off in both, since this kernel's does, and so is the uid of its own, with which root's workers could
    not signal root either.
    """
    calls = [probe(call) for call in known(SIGNALS)]
    alone = _AS_THE_ENGINE
    assert set(lab.control("calls", calls, isolation=LANDLOCK, without=alone).value) == {"EPERM"}
    assert lab.control("kill", victim.pid, isolation=LANDLOCK, without=alone).error == "EPERM"
    assert victim.poll() is None
    assert lab.control("kill", victim.pid, isolation=LANDLOCK, without=(*alone, "seccomp.signals")).error == ""
    assert victim.wait(10) == -signal.SIGTERM


@pytest.mark.usefixtures("old_landlock")
def test_a_landlock_worker_cannot_have_the_kernel_signal_the_host(lab: Range, victim: Victim) -> None:
    alone = _AS_THE_ENGINE
    assert lab.control("have_signalled", victim.pid, isolation=LANDLOCK, without=alone).error == "EPERM"
    assert victim.poll() is None
    off = (*alone, "seccomp.signal_owners")
    assert lab.control("have_signalled", victim.pid, isolation=LANDLOCK, without=off).error == ""
    assert victim.wait(10) == -signal.SIGTERM


# --- the filter as a whole ------------------------------------------------------------------------------------------


def test_the_filter_is_in_force_in_a_worker_and_in_its_commands(lab: Range) -> None:
    assert lab.attack("own_status").value["Seccomp"] == "2"
    assert lab.control("own_status", without=("seccomp",)).value["Seccomp"] == "0"
    for box, mode in ((lab.box(), "2"), (lab.control_box(without=("seccomp",)), "0")):
        status = box.command.run("/bin/cat", ["/proc/self/status"]) if lab.level == NAMESPACES else None
        assert status is None or f"Seccomp:\t{mode}" in status.stdout


def test_a_call_that_the_compiler_does_not_know_is_refused(lab: Range) -> None:
    """A newer kernel opens nothing by itself. mseal, statmount, setxattrat, ... are harmless, and serve as examples."""
    newer = [number for number in range(453, 470) if _name(number) is None]
    if not newer:
        pytest.skip("this libseccomp knows every call of this kernel")
    probes = [[number, *WRONG] for number in newer]
    there = lab.control("calls", probes, without=("seccomp",)).value
    if set(there) == {"ENOSYS"}:
        pytest.skip("this kernel has no call that libseccomp does not know")
    assert set(lab.attack("calls", probes).value) == {"ENOSYS"}


def _name(number: int) -> str | None:
    try:
        return str(pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, number))
    except (ValueError, OSError):
        return None


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other architectures lack old calls")
def test_no_call_of_a_refusal_is_misspelt() -> None:
    """It would be left out of the filter without a word. What is here is unknown to this architecture or compiler."""
    elsewhere = {"umount", "clock_settime64", "clock_adjtime64", "stime"}
    newer = {
        "open_tree_attr",
        "setxattrat",
        "removexattrat",
        "file_setattr",
        "fchmodat2",
        "memfd_secret",
        "quotactl_fd",
    }
    unknown = {call for row in (*REFUSALS, SIGNALS, SIGNAL_OWNERS) for call in row.calls if number_of(call) is None}
    assert unknown <= elsewhere | newer
