"""The order of things: what is checked before anything starts, what is undone after what, and that twice does no harm."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead_cli.local import (
    binaries,
    cgroups,
    claim,
    cluster,
    containers,
    machine,
    mounts,
    neighbours,
    network,
    paths,
    podlogs,
    sysctls,
)
from fairlead_cli.local.cluster import Status
from fairlead_cli.local.errors import MachineUnfit, StartFailed, StopFailed


class Machine:
    """Every effect on this machine written down instead of had; what runs is a list of names."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.did: list[str] = []
        self.runs: list[str] = []
        self.refuses = False
        self.breaks_at = ""
        self.ready = False

    def note(self, what: str) -> None:
        if what == self.breaks_at:
            raise StartFailed(f"broken at {what}")
        self.did.append(what)

    def running(self) -> dict[str, list[int]]:
        return {name: [1] for name in self.runs}

    def alive(self, name: str) -> bool:
        return name in self.runs

    def stop(self, name: str) -> None:
        if name in self.runs:
            self.note(f"stop {name}")
            self.runs.remove(name)

    def refuse(self, _addresses: object) -> None:
        self.note("look around")
        if self.refuses:
            raise MachineUnfit("a kubelet runs")

    def start(self, _programs: object, _progress: object) -> None:
        claim.make(self.home)
        self.note("start")
        self.runs = list(cluster.COMPONENTS)
        self.ready = True


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    here = Machine(tmp_path / "home")
    monkeypatch.setenv("FAIRLEAD_HOME", str(here.home))
    monkeypatch.setattr(paths, "RUN", tmp_path / "run")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sysctls, "read", lambda: {"kernel/panic": "0"})
    monkeypatch.setattr(claim, "FOREIGN", ())

    def noted(what: str, answer: object = None) -> Callable[..., object]:
        def effect(*_arguments: object, **_options: object) -> object:
            here.note(what)
            return answer

        return effect

    monkeypatch.setattr(cluster, "_daemons", lambda: here)
    monkeypatch.setattr(cluster, "_node_is_ready", lambda _kubectl: here.ready)
    monkeypatch.setattr(cluster, "_start", here.start)
    monkeypatch.setattr(neighbours, "refuse", here.refuse)
    monkeypatch.setattr(machine, "prepare", noted("prepare the machine"))
    monkeypatch.setattr(binaries, "at_hand", lambda name: Path("/usr/local/bin") / name)
    monkeypatch.setattr(binaries, "ensure", noted("build programs", {}))
    monkeypatch.setattr(containers, "end", noted("end containers"))
    monkeypatch.setattr(mounts, "clear", noted("unmount and delete"))
    monkeypatch.setattr(podlogs, "unlink", noted("take away links to logs"))
    monkeypatch.setattr(network, "disconnect", noted("take away links and rules"))
    monkeypatch.setattr(cgroups, "mounted", list)
    monkeypatch.setattr(cgroups, "remove", noted("remove control groups", answer=True))
    monkeypatch.setattr(sysctls, "restore", noted("restore settings"))
    return here


def test_on_a_fresh_machine_nothing_is_undone_and_all_is_checked_before_anything_is_built(here: Machine) -> None:
    cluster.up()

    assert here.did == ["prepare the machine", "look around", "build programs", "start"]


def test_a_machine_in_use_is_left_as_it_is(here: Machine) -> None:
    here.refuses = True

    with pytest.raises(MachineUnfit, match="a kubelet runs"):
        cluster.up()

    assert here.did == ["prepare the machine", "look around"]
    assert claim.read() is None


def test_up_twice_starts_once(here: Machine) -> None:
    first = cluster.up()
    here.did.clear()

    assert cluster.up() == first
    assert here.did == ["prepare the machine"]


def test_down_undoes_in_the_one_order_that_works(here: Machine) -> None:
    cluster.up()
    here.did.clear()

    cluster.down()

    assert here.did == [
        *("stop coredns", "stop kube-proxy", "stop kubelet"),
        *("stop kube-scheduler", "stop kube-controller-manager", "stop kube-apiserver", "stop etcd"),
        *("end containers", "stop containerd", "end containers", "unmount and delete"),
        *("take away links to logs", "take away links and rules", "remove control groups", "restore settings"),
    ]
    assert claim.read() is None


def test_down_where_nothing_was_up_touches_nothing(here: Machine) -> None:
    cluster.down()

    assert here.did == []


def test_down_twice(here: Machine) -> None:
    cluster.up()
    cluster.down()
    here.did.clear()

    cluster.down()

    assert here.did == []


@pytest.mark.parametrize("dead", [*cluster.COMPONENTS, "everything"])
def test_up_on_a_half_dead_cluster_takes_it_down_before_it_looks_around(here: Machine, dead: str) -> None:
    cluster.up()
    here.runs = [name for name in here.runs if dead not in {name, "everything"}]
    here.did.clear()

    cluster.up()

    order = [what for what in here.did if what in {"restore settings", "look around", "start"}]
    assert order == ["restore settings", "look around", "start"]
    assert cluster.status().running


@pytest.mark.parametrize(
    ("probes", "kept"),
    [
        pytest.param([False, False, True], True, id="one that is late to answer is kept"),
        pytest.param([False], False, id="one that never answers is not"),
    ],
)
def test_up_waits_for_the_node_of_a_cluster_all_of_whose_programs_run(
    here: Machine, monkeypatch: pytest.MonkeyPatch, probes: list[bool], *, kept: bool
) -> None:
    cluster.up()
    here.did.clear()
    monkeypatch.setattr(cluster, "POLL", 0.0)
    monkeypatch.setattr(cluster, "PATIENCE", 60.0 if kept else 0.0)
    monkeypatch.setattr(cluster, "_node_is_ready", lambda _kubectl: probes.pop(0) if len(probes) > 1 else probes[0])

    cluster.up()

    assert ("stop kubelet" not in here.did) is kept
    assert ("start" not in here.did) is kept


def test_up_gets_a_kubectl_to_ask_a_cluster_that_runs_where_its_own_is_gone(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.up()
    here.did.clear()
    monkeypatch.setattr(cluster, "POLL", 0.0)
    monkeypatch.setattr(
        binaries, "at_hand", lambda name: Path("/built") / name if "build programs" in here.did else None
    )

    cluster.up()

    assert here.did == ["prepare the machine", "build programs"]


def test_a_start_that_fails_is_undone(here: Machine) -> None:
    here.breaks_at = "start"

    with pytest.raises(StartFailed, match="broken at start"):
        cluster.up()

    assert here.did[-1] == "restore settings"
    assert claim.read() is None


@pytest.mark.parametrize(
    "step", ["stop kubelet", "end containers", "unmount and delete", "take away links and rules", "restore settings"]
)
def test_a_down_that_was_cut_short_goes_on_with_the_next(here: Machine, step: str) -> None:
    cluster.up()
    here.breaks_at = step
    with pytest.raises(StartFailed):
        cluster.down()
    assert claim.read() is not None

    here.breaks_at = ""
    here.did.clear()
    cluster.down()

    assert here.did[-1] == "restore settings"
    assert claim.read() is None
    assert here.runs == []


def test_groups_in_use_keep_the_claim(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.up()
    monkeypatch.setattr(cgroups, "remove", lambda _where: False)

    with pytest.raises(StopFailed, match="still in use; try again"):
        cluster.down()

    assert claim.read() is not None


@pytest.mark.parametrize("command", [cluster.up, cluster.down])
def test_a_cluster_of_another_folder_is_named_and_left_alone(
    here: Machine, monkeypatch: pytest.MonkeyPatch, command: Callable[[], object]
) -> None:
    cluster.up()
    here.did.clear()
    monkeypatch.setenv("FAIRLEAD_HOME", "/another/home")

    with pytest.raises(MachineUnfit, match=f"FAIRLEAD_HOME={here.home} fairlead cluster down"):
        command()

    assert [what for what in here.did if what != "prepare the machine"] == []


@pytest.mark.parametrize(
    ("command", "what"),
    [pytest.param(cluster.down, "stop it", id="down"), pytest.param(cluster.status, "see it", id="status")],
)
@pytest.mark.parametrize("readable", [pytest.param(True, id="the claim is read"), pytest.param(False, id="it is not")])
def test_others_than_root_are_told_that_only_root_can(
    here: Machine, monkeypatch: pytest.MonkeyPatch, command: Callable[[], object], what: str, *, readable: bool
) -> None:
    cluster.up()
    here.did.clear()
    here.runs = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if not readable:
        monkeypatch.setattr(claim, "read", forbidden)

    with pytest.raises(MachineUnfit, match=f"only root can {what}.*sudo"):
        command()

    assert here.did == []


def forbidden() -> None:
    raise PermissionError


def test_where_no_cluster_is_others_than_root_are_told_that(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert not cluster.status().running
    cluster.down()

    assert here.did == []


@pytest.mark.parametrize(
    ("dead", "node_ready", "running"),
    [
        pytest.param("", True, True, id="all run and the node is ready"),
        pytest.param("", False, False, id="all run, the node is not ready"),
        pytest.param("kube-proxy", True, False, id="one is dead"),
    ],
)
def test_status(here: Machine, dead: str, node_ready: bool, running: bool) -> None:  # noqa: FBT001
    here.runs = [name for name in cluster.COMPONENTS if name != dead]
    here.ready = node_ready

    seen = cluster.status()

    assert seen == Status({name: name != dead for name in cluster.COMPONENTS}, node_ready)
    assert seen.running is running


@pytest.mark.parametrize("kubectl", [Path("/somewhere/else/kubectl"), None])
def test_the_node_is_asked_by_the_kubectl_at_hand_and_without_one_it_is_not(
    here: Machine, monkeypatch: pytest.MonkeyPatch, kubectl: Path | None
) -> None:
    cluster.up()
    asked: list[Path] = []

    def ready(program: Path) -> bool:
        asked.append(program)
        return True

    monkeypatch.setattr(binaries, "at_hand", lambda _name: kubectl)
    monkeypatch.setattr(cluster, "_node_is_ready", ready)

    assert cluster.status().running is (kubectl is not None)
    assert asked == ([kubectl] if kubectl else [])
