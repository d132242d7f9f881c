"""One group for all pods, in every hierarchy, under both versions; other groups are not touched."""

from pathlib import Path

import pytest

from fairlead_cli.local import cgroups
from fairlead_cli.local.errors import MachineUnfit

VERSION_1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mountinfo", "found"),
    [
        pytest.param(
            VERSION_1,
            [
                ("/sys/fs/cgroup/cpu,cpuacct", "cgroup"),
                ("/sys/fs/cgroup/systemd", "cgroup"),
                ("/sys/fs/cgroup/unified", "cgroup2"),
            ],
            id="version 1 with version 2 beside it",
        ),
        pytest.param(VERSION_2, [("/sys/fs/cgroup", "cgroup2")], id="version 2"),
        pytest.param("22 1 8:1 / / rw - ext4 /dev/sda rw\n", [], id="none"),
    ],
)
def test_hierarchies(mountinfo: str, found: list[tuple[str, str]]) -> None:
    assert cgroups.hierarchies(mountinfo) == [(Path(top), kind) for top, kind in found]


def test_version_1_gets_the_group_in_every_hierarchy_but_the_one_beside_it(tmp_path: Path) -> None:
    where = [(tmp_path / "cpu", "cgroup"), (tmp_path / "systemd", "cgroup"), (tmp_path / "unified", "cgroup2")]
    for top, _ in where:
        top.mkdir()

    cgroups.create(where)
    cgroups.create(where)

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")) == [
        "cpu/fairlead",
        "systemd/fairlead",
    ]


def test_version_2_passes_on_what_the_kubelet_needs_and_the_kernel_has(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpuset cpu memory\n")

    cgroups.create([(tmp_path, "cgroup2")])

    # A plain file keeps only the last write; of the kernel's own, each write adds one.
    assert control.read_text() == "+pids"
    assert (tmp_path / "fairlead").is_dir()


def test_a_machine_that_cannot_have_it_is_told_where_and_why(tmp_path: Path) -> None:
    with pytest.raises(MachineUnfit, match=r"(?s)control group below .*missing.*--privileged"):
        cgroups.create([(tmp_path / "missing", "cgroup")])
    with pytest.raises(MachineUnfit, match="mount /sys/fs/cgroup"):
        cgroups.create([])


def a_tree(top: Path) -> None:
    """With the pods of ours, and those of a real kubelet beside it."""
    for folder in ("fairlead/kubepods/burstable/pod1/abc", "kubepods/burstable/pod2", "k8s.io/x"):
        (top / folder).mkdir(parents=True)


def test_only_ours_is_removed_and_twice_does_no_harm(tmp_path: Path) -> None:
    a_tree(tmp_path)

    assert cgroups.remove([(tmp_path, "cgroup2")])
    assert cgroups.remove([(tmp_path, "cgroup2")])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["k8s.io", "kubepods"]
    assert (tmp_path / "kubepods/burstable/pod2").is_dir()


def test_a_group_that_stays_busy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "PATIENCE", 0.0)
    a_tree(tmp_path)
    # A file in a plain folder does what a process does in a real group.
    (tmp_path / "fairlead/kubepods/burstable/pod1/abc/busy").touch()

    assert not cgroups.remove([(tmp_path, "cgroup2")])


def test_processes_are_those_of_ours_in_any_hierarchy(tmp_path: Path) -> None:
    for top in ("memory", "pids"):
        a_tree(tmp_path / top)
    (tmp_path / "memory/fairlead/kubepods/burstable/pod1/abc/cgroup.procs").write_text("11\n12\n")
    (tmp_path / "pids/fairlead/kubepods/cgroup.procs").write_text("12\n13\n")
    (tmp_path / "pids/kubepods/burstable/pod2/cgroup.procs").write_text("99\n")

    found = cgroups.processes([(tmp_path / "memory", "cgroup"), (tmp_path / "pids", "cgroup")])

    assert found == {11, 12, 13}
