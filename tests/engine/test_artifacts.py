"""Artifacts: copies of hostile files, each whole or named as left out, together no larger than the limit."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sandbox.engine.artifacts import ArtifactStore, NoRoom
from sandbox.engine.scan import scan
from sandbox.engine.workspaces import Workspace
from sandbox.protocol import messages as m

Swapping = Callable[[Path, Path], AbstractContextManager[object]]
AtWork = Callable[[Path, str], AbstractContextManager[object]]
LIMIT = 8 << 20
pytestmark = pytest.mark.usefixtures("no_new_descriptors")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", LIMIT)


def make(workspace: Workspace, path: str | bytes, content: bytes = b"x") -> None:
    place = workspace.path / os.fsdecode(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def collect(store: ArtifactStore, workspace: Workspace, execution: int = 1) -> tuple[list[m.ArtifactInfo], list[str]]:
    """Collect what a look finds below `artifacts/`, as the engine does."""
    paths = sorted(path for path in scan(workspace.fd).files if path.startswith("artifacts/"))
    found, warnings = store.collect(execution, workspace.fd, paths)
    m.encode(m.ArtifactsListed(tuple(found)))
    m.encode(m.Failed("x", "".join(warnings)))
    for artifact in found:
        copy = Path(artifact.path)
        assert copy.resolve().is_relative_to(store.directory / str(execution))
        assert copy.stat().st_size == artifact.size
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == artifact.sha256
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    return found, warnings


def test_a_file_becomes_an_artifact(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/tables/a.csv", b"1,2\n")
    make(workspace, "elsewhere.csv")
    (artifact,), warnings = collect(store, workspace, execution=3)
    assert (artifact.id, artifact.name, artifact.mime) == ("3/tables/a.csv", "tables/a.csv", "text/csv")
    assert (artifact.size, artifact.execution, warnings) == (4, 3, [])
    assert store.all == [artifact]


def test_a_copy_is_out_of_reach_of_the_original(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/a", b"first")
    (first,), _ = collect(store, workspace, 1)
    make(workspace, "artifacts/a", b"second")
    (second,), _ = collect(store, workspace, 2)
    assert (Path(first.path).read_bytes(), Path(second.path).read_bytes()) == (b"first", b"second")


def test_links_are_not_followed(store: ArtifactStore, workspace: Workspace, outside: Path) -> None:
    make(workspace, "secret", b"within the workspace")
    (workspace.path / "artifacts").mkdir()
    for name, target in {
        "in": "../secret",
        "out": str(outside / "secret"),
        "proc": "/proc/self/root/etc/hostname",
    }.items():
        (workspace.path / "artifacts" / name).symlink_to(target)
    found, warnings = collect(store, workspace)
    assert found == []
    assert sorted(warnings) == [
        f"artifacts/{name} was not collected: it is a link, or lies below links that lead to each other"
        for name in ("in", "out", "proc")
    ]


def test_a_linked_directory_is_not_collected(store: ArtifactStore, workspace: Workspace, outside: Path) -> None:
    (workspace.path / "artifacts").symlink_to(outside)
    assert collect(store, workspace) == ([], [])
    found, warnings = store.collect(1, workspace.fd, ["artifacts/secret"])
    assert found == []
    assert "it is a link" in warnings[0]


def test_what_is_no_regular_file_is_left_out_without_waiting(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/file")
    os.mkfifo(workspace.path / "artifacts" / "fifo")
    (workspace.path / "artifacts" / "directory").mkdir()
    before = Path.cwd()
    os.chdir(workspace.path / "artifacts")
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket")
    finally:
        os.chdir(before)
    assert [artifact.name for artifact in collect(store, workspace)[0]] == ["file"]
    paths = ["artifacts/fifo", "artifacts/directory", "artifacts/socket", "artifacts/gone"]
    found, warnings = store.collect(2, workspace.fd, paths)
    assert found == []
    assert [warning.partition(": ")[2] for warning in warnings] == [
        "it is not a regular file", "is a directory", "it is not a regular file", "no such file or directory",
    ]  # fmt: skip


@pytest.mark.needs_root
def test_a_device_is_left_out(store: ArtifactStore, workspace: Workspace) -> None:
    (workspace.path / "artifacts").mkdir()
    os.mknod(workspace.path / "artifacts" / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    found, warnings = store.collect(1, workspace.fd, ["artifacts/zero"])
    assert (found, warnings) == ([], ["artifacts/zero was not collected: it is not a regular file"])


def test_odd_names_become_text_and_stay_apart(store: ArtifactStore, workspace: Workspace) -> None:
    names = [
        b"a\xff.csv",
        b"a\xfe.csv",
        b"line\nbreak",
        b"x" * 255,
        b"\xff" * 80,
        b"...",
        b"-rf",
        b"d\xff/in",
        b"d\xfe/in",
        b"d\xfd",
    ]
    for number, name in enumerate(names):
        make(workspace, b"artifacts/" + name, str(number).encode())
    found, warnings = collect(store, workspace)
    assert len({artifact.path for artifact in found}) == len({artifact.id for artifact in found}) == len(found)
    assert {"a\ufffd.csv", "a\ufffd-2.csv", "line\nbreak", "x" * 255, "...", "-rf"} <= {a.name for a in found}
    assert len(found) + len(warnings) == len(names)
    assert {Path(a.path).read_bytes() for a in found} <= {str(n).encode() for n in range(len(names))}


def test_a_name_too_long_as_text_is_left_out_and_named(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, b"artifacts/" + b"\xff" * 200)
    found, (warning,) = collect(store, workspace)
    assert found == []
    assert warning.endswith("was not collected: file name too long")


@pytest.mark.parametrize("path", ["artifacts/../../x", "artifacts/./../x", "artifacts//etc/x", "../x", "/etc/x"])
def test_no_name_leads_out_of_the_store(store: ArtifactStore, workspace: Workspace, path: str) -> None:
    """A look yields no such path; but if it ever did."""
    store.collect(1, workspace.fd, [path])
    assert store.all == []
    assert not store.directory.exists() or all(p.is_relative_to(store.directory) for p in store.directory.rglob("*"))


def test_all_artifacts_together_keep_to_the_limit(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/a", bytes(5 << 20))
    make(workspace, "artifacts/b", bytes(4 << 20))
    make(workspace, "artifacts/c", bytes(1 << 20))
    found, warnings = collect(store, workspace)
    assert [artifact.name for artifact in found] == ["a", "c"]
    assert warnings == [
        "artifacts/b was not collected: it has 4194304 bytes, and of the 8 MB of disk= for the artifacts of a session "
        "3145728 bytes are left"
    ]
    found, warnings = collect(store, workspace, execution=2)
    assert [artifact.name for artifact in found] == ["c"]
    assert len(warnings) == 2


def test_a_file_of_exactly_what_is_left_is_kept(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/a", bytes(LIMIT))
    assert len(collect(store, workspace)[0]) == 1
    make(workspace, "artifacts/a", b"")
    assert len(collect(store, workspace, 2)[0]) == 1


def test_a_sparse_file_stays_sparse_and_counts_whole(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/sparse", b"begin")
    os.truncate(workspace.path / "artifacts" / "sparse", LIMIT)
    make(workspace, "artifacts/huge")
    os.truncate(workspace.path / "artifacts" / "huge", 1 << 40)
    (artifact,), (warning,) = collect(store, workspace)
    assert artifact.size == LIMIT
    assert Path(artifact.path).stat().st_blocks * 512 <= 2 << 20
    assert "huge was not collected: it has 1099511627776 bytes" in warning


def test_the_number_of_files_in_one_execution_is_bounded(store: ArtifactStore, workspace: Workspace) -> None:
    for number in range(1005):
        make(workspace, f"artifacts/{number:04}", b"")
    found, warnings = collect(store, workspace)
    assert len(found) == 1000
    assert warnings == ["5 files were not collected: at most 1000 in one execution"]


def test_figures_are_kept_with_a_name_of_their_own(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/figure-1.png", b"made by the code")
    first = store.add_figure(1, "image/png", b"first")
    second = store.add_figure(1, "image/svg+xml", b"second")
    third = store.add_figure(1, "image/unheard-of", b"third")
    assert [artifact.name for artifact in (first, second, third)] == ["figure-1.png", "figure-2.svg", "figure-3.bin"]
    (collected,), _ = collect(store, workspace)
    assert collected.name == "figure-1-2.png"
    assert [Path(artifact.path).read_bytes() for artifact in store.all] == [
        b"first", b"second", b"third", b"made by the code",
    ]  # fmt: skip
    assert store.add_figure(2, "image/png", b"x").name == "figure-1.png"


def test_figures_count_for_the_disk_of_a_session(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_most_bytes", 100)
    store.add_figure(1, "image/png", b"x" * 60)
    with pytest.raises(NoRoom, match=r"it has 41 bytes, .* 40 bytes are left"):
        store.add_figure(1, "image/png", b"x" * 41)
    assert len(store.all) == 1


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.csv", "text/csv"),
        ("a.tar.gz", "application/gzip"),
        ("a.CSV", "text/csv"),
        ("no extension", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("http:/[x].html", "text/html"),
        (".png", "application/octet-stream"),
    ],
)
def test_the_type_comes_from_the_extension(store: ArtifactStore, workspace: Workspace, name: str, mime: str) -> None:
    make(workspace, f"artifacts/{name}")
    (artifact,), _ = collect(store, workspace)
    assert artifact.mime == mime


def test_removing_the_store_removes_every_copy(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/a/b/c")
    collect(store, workspace)
    store.remove()
    assert not store.directory.exists()
    store.remove()


# --- while code is at work ------------------------------------------------------------------------------------------


def test_nothing_outside_is_collected_while_links_are_swapped_in(
    store: ArtifactStore, workspace: Workspace, outside: Path, swapping: Swapping
) -> None:
    make(workspace, "artifacts/secret", b"mine")
    (workspace.path / "b").symlink_to(outside)
    contents = set()
    with swapping(workspace.path / "artifacts", workspace.path / "b"):
        for execution in range(2000):
            found, _ = store.collect(execution, workspace.fd, ["artifacts/secret"])
            contents |= {Path(artifact.path).read_bytes() for artifact in found}
    assert contents <= {b"mine"}


def test_nothing_outside_is_collected_while_a_file_and_a_link_change_places(
    store: ArtifactStore, workspace: Workspace, outside: Path, swapping: Swapping
) -> None:
    make(workspace, "artifacts/a", b"mine")
    (workspace.path / "artifacts" / "b").symlink_to(outside / "secret")
    contents = set()
    with swapping(workspace.path / "artifacts" / "a", workspace.path / "artifacts" / "b"):
        for execution in range(2000):
            found, _ = store.collect(execution, workspace.fd, ["artifacts/a"])
            contents |= {Path(artifact.path).read_bytes() for artifact in found}
    assert contents <= {b"mine"}


CHANGING = """
def step(n):
    if n % 3 == 0:
        with contextlib.suppress(OSError):
            os.unlink("file")
    with open("file", "ab" if n % 3 == 1 else "wb") as file:
        file.truncate(n % 7 * 300000)
        file.write(b"x" * (n % 5 * 100000))
"""


def test_files_that_grow_shrink_and_vanish_are_copied_as_they_were_read(
    store: ArtifactStore, workspace: Workspace, at_work: AtWork
) -> None:
    (workspace.path / "artifacts").mkdir()
    collected = 0
    with at_work(workspace.path / "artifacts", CHANGING):
        for execution in range(300):
            found, _ = collect(store, workspace, execution)
            collected += len(found)
            for artifact in found:
                Path(artifact.path).unlink()
            store.all.clear()
            store._bytes = 0
    assert collected > 0


def test_a_file_that_only_grows_ends_where_it_ended(store: ArtifactStore, workspace: Workspace) -> None:
    make(workspace, "artifacts/log", bytes(4 << 20))
    stop = threading.Event()

    def grow() -> None:
        with (workspace.path / "artifacts" / "log").open("ab") as file:
            while not stop.is_set() and file.tell() < 1 << 30:
                file.write(bytes(1 << 16))

    thread = threading.Thread(target=grow)
    thread.start()
    found, _ = store.collect(1, workspace.fd, ["artifacts/log"])
    stop.set()
    thread.join()
    assert all(artifact.size <= LIMIT for artifact in found)


def test_a_copy_that_fails_leaves_no_part_behind(
    store: ArtifactStore, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(workspace, "artifacts/a", bytes(3 << 20))

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        found, (warning,) = store.collect(1, workspace.fd, ["artifacts/a"])
    assert found == []
    assert warning == "artifacts/a was not collected: no space left on device"
    assert [path for path in store.directory.rglob("*") if path.is_file()] == []
    assert len(collect(store, workspace, 2)[0]) == 1
