"""Nothing is deleted through a mount."""

import subprocess
from pathlib import Path

import pytest

from fairlead_cli.local import mounts
from fairlead_cli.local.errors import StopFailed


class Mounts:
    """A machine on which `umount` takes a line out of mountinfo, unless it is stuck."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.points: list[str] = []
        self.asked: list[str] = []
        self.stuck: set[str] = set()

    def add(self, *points: str) -> None:
        self.points += points
        self._write()

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        assert command[:2] == ("umount", "--lazy")
        self.asked.append(command[2])
        if command[2] not in self.stuck:
            self.points.remove(command[2])
        self._write()
        return subprocess.CompletedProcess(command, 0, "", "")

    def _write(self) -> None:
        written = [point.replace(" ", "\\040") for point in self.points]
        self.file.write_text("".join(f"9 1 0:9 / {point} rw - tmpfs tmpfs rw\n" for point in written))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mounts:
    machine = Mounts(tmp_path / "mountinfo")
    machine.add("/", "/home")
    monkeypatch.setattr(mounts, "MOUNTINFO", machine.file)
    monkeypatch.setattr(mounts, "call", machine.call)
    return machine


def test_what_is_mounted_below_goes_first_the_latest_before_what_it_stands_on(machine: Mounts, tmp_path: Path) -> None:
    kubelet = tmp_path / "kubelet"
    (kubelet / "pods").mkdir(parents=True)
    machine.add(f"{kubelet}", f"{kubelet}/pods/a b", f"{kubelet}/pods/jürgen", f"{tmp_path}/kubelets")

    mounts.clear(kubelet)

    assert machine.asked == [f"{kubelet}/pods/jürgen", f"{kubelet}/pods/a b", f"{kubelet}"]
    assert machine.points == ["/", "/home", f"{tmp_path}/kubelets"]
    assert not kubelet.exists()


def test_while_a_mount_stays_nothing_is_deleted(machine: Mounts, tmp_path: Path) -> None:
    kubelet, etcd = tmp_path / "kubelet", tmp_path / "etcd"
    etcd.mkdir()
    (kubelet / "volume").mkdir(parents=True)
    (kubelet / "volume" / "the user's own file").touch()
    machine.add(f"{kubelet}/volume")
    machine.stuck = {f"{kubelet}/volume"}

    with pytest.raises(StopFailed, match=r"cannot be taken away: .*kubelet/volume"):
        mounts.clear(etcd, kubelet)

    assert (kubelet / "volume" / "the user's own file").exists()
    assert etcd.exists()


def test_files_links_and_what_is_not_there(machine: Mounts, tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")

    mounts.clear(tmp_path / "socket", tmp_path / "link", tmp_path / "missing")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "mountinfo"]
