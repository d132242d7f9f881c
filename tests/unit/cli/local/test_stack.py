"""Programs and images are made side by side, and what fails first is said first."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairlead_cli import images
from fairlead_cli.local import binaries, cluster, stack
from fairlead_cli.local.errors import LocalError, MachineUnfit, StartFailed


@pytest.fixture
def did(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was done, in order, on a machine where everything works at once."""
    did: list[str] = []
    running = SimpleNamespace(kubeconfig=tmp_path / "kubeconfig")
    programs = {name: tmp_path / name for name in ("kubectl", "helm")}
    monkeypatch.setattr(images, "prepare", lambda _progress, *_needs: did.append("prepare"))
    monkeypatch.setattr(images, "build", lambda **_options: {})
    monkeypatch.setattr(images, "load", lambda *_arguments, **_options: did.append("load"))

    def up(_progress: object) -> SimpleNamespace:
        did.append("up")
        return running

    monkeypatch.setattr(cluster, "up", up)
    monkeypatch.setattr(binaries, "ensure", lambda *_names, **_options: programs)
    monkeypatch.setattr(stack, "install", lambda *_arguments: did.append("install"))
    return did


def test_the_machine_is_looked_at_before_anything_starts(did: list[str]) -> None:
    stack.up(did.append)

    assert [step for step in did if step in {"prepare", "up", "load", "install"}] == [
        "prepare",
        "up",
        "load",
        "install",
    ]


def test_a_machine_that_is_unfit_builds_nothing(did: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(*_arguments: object) -> None:
        raise MachineUnfit("no root")

    monkeypatch.setattr(images, "prepare", unfit)
    monkeypatch.setattr(images, "build", lambda **_options: pytest.fail("images were built"))

    with pytest.raises(MachineUnfit):
        stack.up(did.append)

    assert did == []


def test_a_cluster_that_fails_is_said_while_images_are_still_built(
    did: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = threading.Event()

    def build(**_options: object) -> dict[str, object]:
        assert said.wait(20)
        return {}

    def up(_progress: object) -> None:
        raise StartFailed("etcd has ended (log: x):\nmany lines")

    def say(line: str) -> None:
        did.append(line)
        said.set()

    monkeypatch.setattr(images, "build", build)
    monkeypatch.setattr(cluster, "up", up)

    with pytest.raises(LocalError, match="many lines"):
        stack.up(say)

    assert did[-1] == "etcd has ended (log: x): (ends when the images that are being built are done)"
