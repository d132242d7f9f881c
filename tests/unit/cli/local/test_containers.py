"""Containers of our containerd end with everything in them; those of another do not."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead_cli.local import cgroups, containers
from fairlead_cli.local.errors import StopFailed

#: Starts a child, says its process id, and waits: a shim and its container.
SHIM = "sleep 600 & echo $!; wait"
Shim = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "mounted", list)


@pytest.fixture
def shim() -> Iterator[Shim]:
    """Starts what looks like a shim of the containerd at a socket."""
    started: list[subprocess.Popen[str]] = []

    def start(socket: Path) -> "subprocess.Popen[str]":
        command = ["containerd-shim-runc-v2", "-c", SHIM, "-address", str(socket)]
        process = subprocess.Popen(command, executable="/bin/sh", stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def child_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_only_ours_end_with_what_is_below_them(shim: Shim, tmp_path: Path) -> None:
    ours, theirs = shim(tmp_path / "ours.sock"), shim(tmp_path / "theirs.sock")
    our_child, their_child = child_of(ours), child_of(theirs)
    try:
        containers.end(tmp_path / "ours.sock")

        assert not runs(ours.pid)
        assert not runs(our_child)
        assert runs(theirs.pid)
        assert runs(their_child)
    finally:
        containers.end(tmp_path / "theirs.sock")


def test_what_lost_its_shim_is_found_by_its_control_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as orphan:
        monkeypatch.setattr(cgroups, "processes", lambda _where: {orphan.pid} if runs(orphan.pid) else set())

        containers.end(tmp_path / "ours.sock")

        assert orphan.wait() == -9


def test_one_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as stuck:
        monkeypatch.setattr(cgroups, "processes", lambda _where: {stuck.pid})
        monkeypatch.setattr(containers, "PATIENCE", 0.0)

        with pytest.raises(StopFailed, match=f"do not end: {stuck.pid}; try again"):
            containers.end(tmp_path / "ours.sock")
        stuck.kill()
