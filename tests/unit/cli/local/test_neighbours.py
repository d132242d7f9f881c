"""A machine that others use is refused before anything is started, with what was found and what to do."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_cli.local import health, neighbours, network
from fairlead_cli.local.errors import MachineUnfit

OTHER_NETWORK = "net:[1]"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What this machine's programs print, by command: nothing at first; and a /proc without processes."""
    answers = {"ip": "[]"}

    def call(*command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, answers.get(command[0], ""), "")

    for module in (neighbours, network):
        monkeypatch.setattr(module, "call", call)
    monkeypatch.setattr(neighbours, "PROC", tmp_path)
    process(tmp_path, "self", "python", tmp_path / "host")
    return answers


def process(proc: Path, pid: str, name: str, network_of: Path) -> None:
    (proc / pid / "ns").mkdir(parents=True)
    (proc / pid / "comm").write_text(f"{name}\n")
    network_of.touch()
    os.link(network_of, proc / pid / "ns" / "net")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def refused(*addresses: tuple[str, str, int]) -> str:
    with pytest.raises(MachineUnfit) as refusal:
        neighbours.refuse(addresses)
    assert "nothing was started" in str(refusal.value)
    return str(refusal.value)


def test_a_machine_of_its_own_is_taken(answers: dict[str, str]) -> None:
    neighbours.refuse([("kube-apiserver", "10.97.0.1", health.free_ports(1)[0])])


def test_a_kubelet_of_this_machine(answers: dict[str, str], tmp_path: Path) -> None:
    process(tmp_path, "4711", "kubelet", tmp_path / "host")

    assert "a kubelet runs as process 4711; use that cluster by its kubeconfig, or stop it first" in refused()


def test_a_kubelet_in_a_container_with_its_own_network_is_no_neighbour(answers: dict[str, str], tmp_path: Path) -> None:
    process(tmp_path, "4711", "kubelet", tmp_path / "container")

    neighbours.refuse([])


@pytest.mark.parametrize("family", ["iptables", "ip6tables"])
def test_chains_of_another_kubernetes(answers: dict[str, str], family: str) -> None:
    answers[f"{family}-save"] = "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"

    assert f"{family} has rules of another Kubernetes, in chains such as KUBE-SERVICES" in refused()


@pytest.mark.parametrize(
    ("destination", "ours"),
    [
        pytest.param("10.98.0.0/16", "10.98.0.0/24", id="around the pods' network"),
        pytest.param("10.99.3.0/24", "10.99.0.0/16", id="inside of the services' network"),
        pytest.param("10.97.0.1", "10.97.0.1/32", id="the API server's address"),
        pytest.param("10.0.0.0/8", "10.98.0.0/24", id="around everything, though no text begins alike"),
    ],
)
def test_a_route_that_overlaps(answers: dict[str, str], destination: str, ours: str) -> None:
    answers["ip"] = json.dumps([{"dst": destination, "dev": "tun0"}])

    assert f"by tun0 overlaps {ours}" in refused()


@pytest.mark.parametrize("destination", ["10.9.0.0/24", "10.98.1.0/24", "110.98.0.0/24", "172.17.0.0/16"])
def test_a_route_that_does_not_overlap(answers: dict[str, str], destination: str) -> None:
    answers["ip"] = json.dumps([{"dst": destination, "dev": "docker0"}])

    neighbours.refuse([])


def test_a_taken_port_names_who_has_it(answers: dict[str, str], taken: int) -> None:
    answers["ss"] = f'LISTEN 0 5 127.0.0.1:{taken} 0.0.0.0:* users:(("k3s-server",pid=99,fd=3))'

    message = refused(("etcd", "127.0.0.1", taken))

    assert f"port {taken} of 127.0.0.1, which etcd needs, is taken by k3s-server (process 99)" in message


def test_a_port_of_an_address_that_comes_later_is_not_taken_by_a_listener_on_loopback(
    answers: dict[str, str], taken: int
) -> None:
    neighbours.refuse([("coredns", "10.97.0.1", taken)])


def test_a_listener_on_all_addresses_takes_the_port_of_each(answers: dict[str, str]) -> None:
    with socket.create_server(("", 0)) as listener:
        assert "which coredns needs" in refused(("coredns", "10.97.0.1", listener.getsockname()[1]))


def test_everything_is_told_at_once_and_shortly(answers: dict[str, str], tmp_path: Path, taken: int) -> None:
    process(tmp_path, "4711", "kubelet", tmp_path / "host")
    answers["ip"] = json.dumps([{"dst": f"10.98.0.{number}", "dev": "veth"} for number in range(1, 10)])

    message = refused(("etcd", "127.0.0.1", taken))

    assert "kubelet" in message
    assert "etcd" in message
    assert message.count("overlaps") == neighbours.SHOWN
    assert "and 5 more of this kind" in message
