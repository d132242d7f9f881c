"""Daemons outlive the command that starts them, are found again by any other, and are never mistaken for a stranger."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_cli.local import daemons as module
from fairlead_cli.local.daemons import MARK, Daemons
from fairlead_cli.local.errors import StartFailed
from fairlead_cli.local.progress import silent

# Python warns about a child that was not waited for; not waiting is what a daemon is about.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
SLEEP = ["/bin/sleep", "600"]


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemons]:
    """With a scope of this test; what it started is ended."""
    monkeypatch.setattr(module, "FAREWELL", 0.3)
    ours = Daemons(str(tmp_path), tmp_path / "logs")
    yield ours
    for name in list(ours.running()):
        ours.stop(name)


def test_a_daemon_is_found_again_and_stopped(ours: Daemons, tmp_path: Path) -> None:
    ours.start("etcd", SLEEP)
    again = Daemons(str(tmp_path), tmp_path / "logs")

    assert again.alive("etcd")
    again.stop("etcd")

    assert again.running() == {}


def test_a_daemon_gets_nothing_of_its_starters_environment(
    ours: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    note = tmp_path / "environment"
    ours.start("etcd", ["/bin/sh", "-c", f"env > {note}.new; mv {note}.new {note}; exec sleep 600"])
    ours.wait_until("etcd", note.exists, 20, silent)

    names = {line.split("=")[0] for line in note.read_text().splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", MARK}


def test_a_daemon_of_a_killed_command_is_found(ours: Daemons, tmp_path: Path) -> None:
    program = (
        "import os, signal\nfrom pathlib import Path\nfrom fairlead_cli.local.daemons import Daemons\n"
        f"Daemons({str(tmp_path)!r}, Path({str(tmp_path)!r})).start('etcd', {SLEEP})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL

    assert list(ours.running()) == ["etcd"]


def test_a_daemon_that_was_started_twice_is_stopped_twice(ours: Daemons) -> None:
    ours.start("etcd", SLEEP)
    ours.start("etcd", SLEEP)
    assert len(ours.running()["etcd"]) == 2

    ours.stop("etcd")

    assert ours.running() == {}


def test_one_that_does_not_listen_is_ended_all_the_same(ours: Daemons) -> None:
    ours.start("deaf", ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])

    ours.stop("deaf")

    assert not ours.alive("deaf")


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="a program of the same name that nobody marked"),
        pytest.param({MARK: "/another/home:sleep"}, id="one of another folder"),
        pytest.param({MARK: "{scope}0:sleep"}, id="one of a folder whose name begins like ours"),
    ],
)
def test_a_stranger_is_left_alone(ours: Daemons, tmp_path: Path, environment: dict[str, str]) -> None:
    marks = {name: value.format(scope=tmp_path) for name, value in environment.items()}
    stranger = subprocess.Popen(SLEEP, env=marks, start_new_session=True)
    try:
        assert ours.running() == {}
        ours.stop("sleep")

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_daemon_starts_is_not_taken_for_one(ours: Daemons, tmp_path: Path) -> None:
    note = tmp_path / "child"
    ours.start("containerd", ["/bin/sh", "-c", f"sleep 600 & echo $! > {note}.new; mv {note}.new {note}; wait"])
    ours.wait_until("containerd", note.exists, 20, silent)

    child = int(note.read_text())
    assert child not in ours.running()["containerd"]
    os.kill(child, signal.SIGKILL)


def test_a_daemon_that_ends_is_reported_with_its_last_words(ours: Daemons) -> None:
    ours.start("kubelet", ["/bin/sh", "-c", "echo no such cgroup; exit 1"])

    with pytest.raises(StartFailed, match=r"(?s)kubelet has ended.*no such cgroup"):
        ours.wait_until("kubelet", lambda: False, 20, silent)


def test_one_that_takes_too_long_is_reported_and_the_wait_was_not_silent(
    ours: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIGN_OF_LIFE", 0.0)
    lines: list[str] = []
    ours.start("kubelet", SLEEP)

    with pytest.raises(StartFailed, match="kubelet is not ready after 0 s"):
        ours.wait_until("kubelet", lambda: False, 0.2, lines.append)

    assert lines[0].startswith("waiting for kubelet")
