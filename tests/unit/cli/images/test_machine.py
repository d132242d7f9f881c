"""What is said, and what is installed, when a machine lacks something."""

import os
import shutil
import subprocess

import pytest

from fairlead_cli.images import machine
from fairlead_cli.local.errors import MachineUnfit


def a_machine(monkeypatch: pytest.MonkeyPatch, *, uid: int, lacks: tuple[str, ...]) -> list[list[str]]:
    """Pretend; returns the commands that are run there."""
    ran: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(shutil, "which", lambda name: None if name in lacks else f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_where_all_is_there_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = a_machine(monkeypatch, uid=0, lacks=())

    machine.install()

    assert machine.requirements() == []
    assert ran == []


def test_root_on_debian_gets_what_is_missing_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = a_machine(monkeypatch, uid=0, lacks=("buildah",))

    machine.install()

    assert machine.requirements() == []
    assert ran[-1][-1] == "buildah"
    assert "-y" in ran[-1]


def test_a_user_is_told_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = a_machine(monkeypatch, uid=1000, lacks=("buildah", "mmdebstrap"))

    with pytest.raises(MachineUnfit, match=r"(?s)root.*apt-get install buildah mmdebstrap"):
        machine.install()

    assert ran == []


def test_another_system_is_told_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch, uid=0, lacks=("apt-get", "mmdebstrap"))

    told = " ".join(machine.requirements())

    assert "Debian or Ubuntu" in told
    assert "mmdebstrap" in told
