"""`fairlead cluster down` leaves the machine as `up` found it, whatever was killed in between.

Run by hand, as root, on a machine whose cluster is down: `.venv/bin/python -m pytest tests/local`. It starts the real
cluster of FAIRLEAD_HOME, about 15 s each time, and leaves it down.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local import binaries, claim, cluster, node, sysctls
from fairlead_cli.local.errors import MachineUnfit
from local import snapshot
from local.snapshot import Snapshot

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts a real node"),
    pytest.mark.timeout(300),
    # Python warns about a child that was not waited for; not waiting is what a daemon is about.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
#: Values that no program of the node sets, so that a test sees whether those of before come back.
UNUSUAL = {
    "vm/overcommit_memory": "0",
    "kernel/panic": "7",
    "kernel/keys/root_maxkeys": "1000001",
    "net/ipv4/ip_forward": "0",
}
FAIRLEAD = Path(sys.executable).parent / "fairlead"
POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: trace}}
spec:
  automountServiceAccountToken: true
  containers:
  - name: pause
    image: {node.PAUSE_IMAGE}
    imagePullPolicy: Never
    resources: {{requests: {{cpu: 10m}}}}
    volumeMounts: [{{name: shared, mountPath: /shared}}]
  volumes: [{{name: shared, emptyDir: {{medium: Memory}}}}]
"""


def say(line: str) -> None:
    print(line, flush=True)


@pytest.fixture(autouse=True)
def before() -> Iterator[Snapshot]:
    """The machine before; what a failed test left is taken away, and the settings come back."""
    assert claim.read() is None, "a cluster runs, or was not taken down: fairlead cluster down"
    values = sysctls.read()
    for name, value in UNUSUAL.items():
        (sysctls.PROC / name).write_text(value)
    try:
        yield snapshot.take()
    finally:
        cluster.down(say)
        for name, value in values.items():
            if (path := sysctls.PROC / name).exists() and path.read_text().strip() != value:
                path.write_text(value)


def start_a_pod() -> None:
    """One with its own network and a mounted volume, so that there is something to leave behind."""
    kubectl = Kubectl(binaries.ensure("kubectl")["kubectl"], cluster.running().kubeconfig)
    eventually(lambda: "default" in kubectl.run("get", "serviceaccounts", "-o", "name"))
    kubectl.run("apply", "-f", "-", given=POD)
    kubectl.run("wait", "--for=condition=Ready", "pod/trace", "--timeout=60s")


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kill(*names: str) -> None:
    running = cluster._daemons().running()
    for name in names:
        for pid in running[name]:
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not set(names) & set(cluster._daemons().running()))


def assert_as(before: Snapshot) -> None:
    """Line by line, so that a failure names what was left."""
    after = snapshot.take()
    for what, value in before.items():
        assert after[what] == value, what


def test_up_twice_and_down_twice(before: Snapshot) -> None:
    first = cluster.up(say)
    start_a_pod()
    processes = cluster._daemons().running()

    assert cluster.up(say) == first
    assert cluster._daemons().running() == processes
    cluster.down(say)
    cluster.down(say)

    assert_as(before)


@pytest.mark.parametrize("name", ["containerd", "kubelet", "etcd", "kube-apiserver", "kube-proxy"])
def test_a_killed_component_then_down(before: Snapshot, name: str) -> None:
    cluster.up(say)
    start_a_pod()

    kill(name)
    cluster.down(say)

    assert_as(before)


def test_everything_killed_then_up_then_down(before: Snapshot) -> None:
    cluster.up(say)
    start_a_pod()

    kill(*cluster.COMPONENTS)
    cluster.up(say)
    assert cluster.status().running
    cluster.down(say)

    assert_as(before)


@pytest.mark.parametrize("reached", [None, "etcd", "kube-apiserver", "containerd", "kubelet", "kube-proxy"])
@pytest.mark.parametrize("then", ["down", "up, then down"])
def test_up_killed_midway(before: Snapshot, reached: str | None, then: str) -> None:
    """Killed as soon as the claim stands, or as the named program runs."""
    starting = subprocess.Popen([str(FAIRLEAD), "cluster", "up"], start_new_session=True)
    if reached is None:
        eventually(lambda: claim.read() is not None)
    else:
        eventually(lambda: cluster._daemons().alive(reached))
    starting.kill()
    starting.wait()

    if then == "up, then down":
        cluster.up(say)
        assert cluster.status().running
    cluster.down(say)

    assert_as(before)


@pytest.mark.parametrize("gone", ["kube-proxy", "etcd", "containerd"])
def test_down_killed_midway_then_down(before: Snapshot, gone: str) -> None:
    """Killed as soon as the named program has ended; the kernel's part of the work is still to be done."""
    cluster.up(say)
    start_a_pod()
    stopping = subprocess.Popen([str(FAIRLEAD), "cluster", "down"], start_new_session=True)
    eventually(lambda: not cluster._daemons().alive(gone))
    stopping.kill()
    stopping.wait()

    cluster.down(say)

    assert_as(before)


def test_a_machine_that_is_a_node_already_is_refused_and_left_alone(before: Snapshot) -> None:
    chain = ("iptables", "-w", "-t", "nat")
    subprocess.run([*chain, "-N", "KUBE-SERVICES"], check=True)
    group = Path("/sys/fs/cgroup/memory/kubepods")
    group.mkdir()
    try:
        changed = snapshot.take()

        with pytest.raises(MachineUnfit, match="KUBE-SERVICES"):
            cluster.up(say)
        cluster.down(say)

        assert_as(changed)
    finally:
        group.rmdir()
        subprocess.run([*chain, "-X", "KUBE-SERVICES"], check=True)
    assert_as(before)


def test_a_value_that_somebody_changed_meanwhile_stays(before: Snapshot) -> None:
    cluster.up(say)
    (sysctls.PROC / "kernel/panic").write_text("3")

    cluster.down(say)

    settings = before["kernel settings"]
    assert isinstance(settings, dict)
    settings["kernel/panic"] = "3"
    assert_as(before)
