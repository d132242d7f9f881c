"""What is said, and what is installed, when a machine lacks something; nothing is started on one that is unfit."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairlead_cli import __main__
from fairlead_cli.images.machine import IMAGES, check_disk
from fairlead_cli.local import binaries, machine
from fairlead_cli.local.errors import MachineUnfit
from fairlead_cli.local.machine import NODE, Needs
from fairlead_cli.local.progress import silent


def a_machine(
    monkeypatch: pytest.MonkeyPatch,
    *,
    uid: int = 0,
    lacks: tuple[str, ...] = (),
    apt_says: int = 0,
    installs: bool = True,
) -> list[list[str]]:
    """Pretend; returns the commands that are run there."""
    ran: list[list[str]] = []
    lacked = set(lacks)

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        if installs and "install" in command:
            lacked.clear()
        return subprocess.CompletedProcess(command, apt_says, "", "E: no such package")

    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name in lacked else f"/usr/bin/{name}")
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path in NODE.headers or exists(path))
    monkeypatch.setattr(subprocess, "run", run)
    return ran


@pytest.mark.parametrize("needs", [pytest.param((NODE,), id="the node"), pytest.param((NODE, IMAGES), id="the demo")])
def test_where_all_is_there_nothing_is_installed(monkeypatch: pytest.MonkeyPatch, needs: tuple[Needs, ...]) -> None:
    ran = a_machine(monkeypatch)

    machine.prepare(*needs, progress=silent)

    assert ran == []


def test_root_on_debian_gets_what_is_missing_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = a_machine(monkeypatch, lacks=("buildah", "ss", "ip", "conntrack"))
    lines: list[str] = []

    machine.prepare(NODE, IMAGES, progress=lines.append)

    assert [command[-1] for command in ran] == ["update", "iproute2"]
    assert {"--yes", "buildah", "conntrack", "iproute2"} <= set(ran[1])
    assert lines == ["installing buildah, conntrack, iproute2"]


def test_what_was_installed_and_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch, lacks=("iptables",), installs=False)

    with pytest.raises(MachineUnfit, match=r"apt-get installed iptables, .* found neither on PATH"):
        machine.prepare(NODE, progress=silent)


def test_roots_programs_are_found_after_a_plain_su(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def which(_name: str, path: str = "") -> str:
        asked.append(path)
        return "/usr/sbin/found"

    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games")
    monkeypatch.setattr(shutil, "which", which)

    machine.missing([NODE])

    assert {path.removeprefix(os.environ["PATH"]) for path in asked} == {":/usr/local/sbin:/usr/sbin:/sbin"}


def test_apt_gets_own_words_are_shown_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch, lacks=("buildah",), apt_says=100)

    with pytest.raises(MachineUnfit, match=r"(?s)apt-get .*update` failed.*no such package"):
        machine.prepare(IMAGES, progress=silent)


COMMANDS = [
    pytest.param(["cluster", "up"], ["the local cluster"], id="cluster up"),
    pytest.param(["images", "build"], ["building images"], id="images build"),
    pytest.param(["demo"], ["the local cluster", "building images"], id="demo"),
]


def told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> str:
    """What the command ends with; a test fails when it comes as far as to build anything."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["fairlead", *arguments])
    monkeypatch.setattr(binaries, "ensure", lambda *_names, **_options: pytest.fail("programs were built"))
    monkeypatch.setattr("fairlead_cli.images.building.Store", lambda *_: pytest.fail("images were built"))
    with pytest.raises(SystemExit, match=r"^1$"):
        __main__.main()
    return capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "works"), COMMANDS)
def test_without_root_one_message_says_everything(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    works: list[str],
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=10**12))
    ran = a_machine(monkeypatch, uid=1000, lacks=("iptables", "buildah"))

    message = told(monkeypatch, tmp_path, capsys, arguments)

    assert all(f"root: {work} needs it" in message for work in works)
    assert "sudo" in message
    assert "apt-get install" in message
    assert ("iptables" in message) == ("the local cluster" in works)
    assert ("buildah" in message) == ("building images" in works)
    assert ran == []


@pytest.mark.parametrize(("arguments", "works"), COMMANDS)
def test_without_apt_get_one_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    works: list[str],
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=10**12))
    ran = a_machine(monkeypatch, lacks=("apt-get", "iptables", "mmdebstrap"))

    message = told(monkeypatch, tmp_path, capsys, arguments)

    assert ("Debian or Ubuntu: building images needs it" in message) == ("building images" in works)
    assert ("iptables" in message) == ("the local cluster" in works)
    assert "apt-get install" not in message
    assert ran == []


def test_another_system_than_linux_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")

    with pytest.raises(MachineUnfit, match="Linux: this is Darwin"):
        machine.prepare(NODE, progress=silent)


def test_a_full_disk_is_told_before_a_first_build_and_not_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=3 * 10**9))
    folder = tmp_path / "cache" / "images"

    with pytest.raises(MachineUnfit, match=r"3 GB free.*25 GB.*FAIRLEAD_HOME"):
        check_disk(folder)

    (folder / "layout").mkdir(parents=True)
    check_disk(folder)
