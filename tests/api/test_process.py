"""The operator as a process: one writer at a time, and silence when nothing changes."""

import dataclasses
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import access, pods
from api.access import SYSTEM
from api.audit import Audit
from api.cluster import Kubectl, accepted, conditions, eventually, service
from api.conftest import install_crd
from api.operators import OperatorProcess, leading, operator_on
from fairlead_cli.local import controlplane
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_cli.local.health import free_ports
from fairlead_operator.controller.metrics import OUTCOMES


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that no operator serves yet."""
    with controlplane.start(tmp_path_factory.mktemp("quiet"), progress=print) as plane:
        for manifest in access.manifests(SYSTEM):
            Kubectl(plane.kubectl, plane.kubeconfig, SYSTEM).apply(manifest)
        yield plane


@pytest.fixture
def kubectl(quiet: ControlPlane, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a namespace of its own; no InferenceService is left to the next test's operator."""
    admin = Kubectl(quiet.kubectl, quiet.kubeconfig, "default")
    install_crd(admin)
    namespace = f"test-{abs(hash(request.node.name)) % 10**8}"
    inside = admin.new_namespace(namespace)
    yield inside
    inside.delete_all("infs")


def test_a_missing_crd_is_named_and_waited_for(quiet: ControlPlane, tmp_path: Path) -> None:
    """Runs first in this file, before any other test installs the CRD."""
    admin = Kubectl(quiet.kubectl, quiet.kubeconfig, "default")
    with operator_on(quiet, tmp_path, "early") as operator:
        eventually(lambda: "install the CRD" in operator.get("/readyz")[1], "the reason")
        assert operator.get("/readyz")[0] == 503
        assert operator.get("/livez")[0] == 200
        assert "inferenceservices.fairlead.dev" in operator.log.read_text()
        assert operator.end() == 0, "it can be stopped while it waits"
        operator.start()
        eventually(lambda: "install the CRD" in operator.get("/readyz")[1], "the reason")

        install_crd(admin)

        operator.ready()
        assert operator.end() == 0


def test_settings_that_are_wrong_are_named(quiet: ControlPlane, tmp_path: Path) -> None:
    with operator_on(quiet, tmp_path, "wrong", FAIRLEAD_WORKERS="many") as operator:
        assert operator.process is not None
        assert operator.process.wait(timeout=30) == 2
        assert "FAIRLEAD_WORKERS" in operator.log.read_text()


def test_twenty_resyncs_and_a_restart_write_nothing(quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.apply(service(replicas=2))
    kubectl.apply(service("other", engine={"extraArgs": ["--api-key=x"]}))
    with operator_on(quiet, tmp_path, "idle", FAIRLEAD_RESYNC_SECONDS="0.2") as operator:
        names = [pods.make(kubectl, "mistral", suffix) for suffix in "ab"]
        pods.set_status(kubectl, names[0], pods.ready())
        pods.set_status(kubectl, names[1], pods.failed("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "1"))
        pods.report(kubectl, "mistral", 2, 1)
        eventually(lambda: conditions(kubectl.get("infs", "mistral")).get("EngineHealthy", {}).get("reason") == "KVCacheTooSmall", "status")  # fmt: skip
        eventually(lambda: accepted(kubectl, "other"), "status of the rejected one")
        settled = resyncs(operator) + 5
        eventually(lambda: resyncs(operator) >= settled, "quiet")
        audit = Audit(quiet.audit_log)
        begin = resyncs(operator)

        eventually(lambda: resyncs(operator) >= begin + 20, "twenty resyncs")

        assert audit.writes() == []
        assert operator.end() == 0
        operator.start().ready()
        eventually(operator.leads, "leadership")
        eventually(lambda: resyncs(operator) >= 3, "resyncs after the restart")
        assert audit.writes() == []
        assert operator.end() == 0


def resyncs(operator: OperatorProcess) -> float:
    """Reconciles of the accepted service so far."""
    return operator.metric('fairlead_reconcile_duration_seconds_count{outcome="Done"}') or 0


@pytest.mark.parametrize("style", ["json", "text"])
def test_each_reconcile_is_one_line(quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path, style: str) -> None:
    with leading(quiet, tmp_path, style, FAIRLEAD_LOG_FORMAT=style) as operator:
        kubectl.apply(service())
        kubectl.apply(service("denied", engine={"extraArgs": ["--api-key=x"]}))
        eventually(
            lambda: {"Done", "Rejected"} <= {line["outcome"] for line in lines(operator, style)}, "both outcomes"
        )

        before = len(lines(operator, style))
        counted = sum(
            operator.metric(f'fairlead_reconcile_duration_seconds_count{{outcome="{o}"}}') or 0 for o in OUTCOMES
        )
        after = lines(operator, style)

    assert before <= counted <= len(after)
    refused = next(line for line in after if line["outcome"] == "Rejected")
    assert refused.keys() >= {"service", "outcome", "generation", "seconds", "changes", "why"}
    assert refused["service"] == f"{kubectl.namespace}/denied"
    assert "--api-key" in refused["why"]


def lines(operator: OperatorProcess, style: str) -> list[dict[str, Any]]:
    """The fields of the lines that tell of a reconcile."""
    read = json.loads if style == "json" else lambda line: dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))
    return [read(line) for line in operator.log.read_text().splitlines() if "reconciled" in line]


def test_the_standby_takes_over_from_a_killed_leader(quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:
    with operator_on(quiet, tmp_path, "first") as first, operator_on(quiet, tmp_path, "second") as second:
        eventually(lambda: first.leads() or second.leads(), "a leader")
        leader, standby = (first, second) if first.leads() else (second, first)
        standby.ready()
        kubectl.apply(service())
        eventually(lambda: accepted(kubectl), "status")
        assert not standby.leads()
        assert wrote(standby) == 0

        leader.end(signal.SIGKILL)
        kubectl.apply(service("later"))

        eventually(lambda: accepted(kubectl, "later"), "status by the standby", within=60)
        assert standby.leads()
        lease = Kubectl(kubectl.program, kubectl.kubeconfig, SYSTEM).get("lease", "fairlead-operator")
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == standby.name
        assert standby.end() == 0


def test_a_leader_that_was_paused_writes_nothing_when_it_goes_on(
    quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    """A frozen process, a machine that swaps, a suspended guest: when it goes on, another leads, and there is work to do."""
    names = ("paused", "successor")
    for manifest in access.bindings(names, SYSTEM):
        dataclasses.replace(kubectl, namespace=SYSTEM).apply(manifest)
    quick = {"FAIRLEAD_RESYNC_SECONDS": "0.2"}
    first, second = (
        dataclasses.replace(operator_on(quiet, tmp_path, name, **quick), kubeconfig=quiet.user(name)) for name in names
    )
    with first as paused:
        eventually(paused.leads, "a leader")
        kubectl.apply(service())
        eventually(lambda: accepted(kubectl), "status")
        with second as successor:
            successor.ready()
            paused.send(signal.SIGSTOP)
            eventually(successor.leads, "the successor", within=25)
            audits = {name: Audit(quiet.audit_log, name) for name in names}

            for replicas in range(2, 6):
                kubectl.patch("infs", "mistral", {"spec": {"replicas": replicas}})
            paused.send(signal.SIGCONT)

            eventually(lambda: not paused.running, "the end of the one that was paused", within=25)
            assert paused.end() == 1
            eventually(lambda: accepted(kubectl), "status by the successor")
            assert audits["paused"].writes() == []
            assert audits["successor"].writes() != []
            assert successor.end() == 0


def wrote(operator: OperatorProcess) -> int:
    """Successful applies by this process."""
    lines = operator.get("/metrics")[1].splitlines()
    return sum('verb="apply"' in line for line in lines if line.startswith("fairlead_api_requests_total"))


def test_a_leader_that_is_asked_to_stop_hands_over_at_once(
    quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    with operator_on(quiet, tmp_path, "going") as going:
        eventually(going.leads, "a leader")
        with operator_on(quiet, tmp_path, "coming") as coming:
            coming.ready()
            kubectl.apply(service())
            eventually(lambda: accepted(kubectl), "status")

            assert going.end() == 0

            eventually(coming.leads, "the new leader, before the Lease would have expired", within=13)
            assert coming.end() == 0


def test_a_stolen_lease_ends_the_process(quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:
    with operator_on(quiet, tmp_path, "robbed") as robbed:
        eventually(robbed.leads, "a leader")
        system = Kubectl(kubectl.program, kubectl.kubeconfig, SYSTEM)
        system.patch("lease", "fairlead-operator", {"spec": {"holderIdentity": "thief", "renewTime": None}})

        eventually(lambda: not robbed.running, "the end", within=30)

        assert robbed.process is not None
        assert robbed.process.wait(timeout=5) == 1
        robbed.process = None
        system.patch("lease", "fairlead-operator", {"spec": {"holderIdentity": ""}})


def test_it_serves_the_namespaces_it_is_told_and_needs_no_more_rights(
    quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    """With a Role in each of two namespaces and none beside: no request is refused, and a third namespace is left alone."""
    elsewhere = dataclasses.replace(kubectl, namespace="default")
    two = dataclasses.replace(kubectl, namespace=f"{kubectl.namespace}-two")
    own = f"{kubectl.namespace}-system"
    for namespace in (two.namespace, own):
        kubectl.new_namespace(namespace)
    for served in (kubectl, two):
        for manifest in access.local_manifests("local", served.namespace, own):
            dataclasses.replace(kubectl, namespace=manifest["metadata"]["namespace"]).apply(manifest)
    settings = {
        "FAIRLEAD_WATCH_NAMESPACES": f"{kubectl.namespace},{two.namespace}",
        "FAIRLEAD_ALLOWED_IMAGES": "registry.example.com/team",
    }
    denied: dict[str, dict[str, Any]] = {
        "denied": {"image": "registry.example.com/other/runtime:2"},
        "model": {"model": {"uri": "oci://elsewhere.example.com/mistral:7b"}},
    }
    log = tmp_path / "local.log"
    with OperatorProcess(quiet.user("local"), log, own, "local", free_ports(1)[0], settings) as operator:
        operator.ready()
        elsewhere.apply(service("foreign"))
        kubectl.apply(service())
        two.apply(service("allowed", image="registry.example.com/team/runtime:2"))
        for name, spec in denied.items():
            two.apply(service(name, **spec))

        eventually(lambda: accepted(kubectl), f"status in the first, see {log}")
        eventually(lambda: verdict(two, "allowed", "Accepted") == "Valid", "status in the second")
        eventually(lambda: {verdict(two, name, "Accepted") for name in denied} == {"DeniedArgument"}, "the refusals")
        assert all(two.get("deployment", name) is None for name in denied)
        pod = pods.make(kubectl, "mistral", "a", node=None)
        pods.set_status(kubectl, pod, pods.unschedulable())
        eventually(
            lambda: verdict(kubectl, "mistral", "Scheduled") == "InsufficientAccelerators", "the scheduler's words"
        )

        words = conditions(kubectl.get("infs", "mistral"))["Scheduled"]["message"]
        assert "are free" not in words, "it may not see nodes, and does not try"
        assert 'code="403"' not in operator.get("/metrics")[1]
        assert "forbidden" not in log.read_text().lower()
        assert conditions(elsewhere.get("infs", "foreign")) == {}
        assert elsewhere.get("deployment", "foreign") is None
        assert operator.end() == 0
    elsewhere.delete("infs", "foreign")
    two.delete_all("infs")


def test_one_of_its_namespaces_that_is_gone_keeps_it_from_no_other(
    quiet: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    """A namespace takes its Role along: all that is asked of it is forbidden from then on."""
    own, gone = f"{kubectl.namespace}-system", f"{kubectl.namespace}-gone"
    kubectl.new_namespace(own)
    for manifest in access.local_manifests("left", kubectl.namespace, own):
        dataclasses.replace(kubectl, namespace=manifest["metadata"]["namespace"]).apply(manifest)
    settings = {"FAIRLEAD_WATCH_NAMESPACES": f"{gone},{kubectl.namespace}"}
    log = tmp_path / "left.log"
    with OperatorProcess(quiet.user("left"), log, own, "left", free_ports(1)[0], settings) as operator:
        operator.ready()
        kubectl.apply(service())

        eventually(lambda: accepted(kubectl), f"status in the one that is there, see {log}")

        assert f"namespace {gone} cannot be read" in log.read_text()
        assert operator.end() == 0


def verdict(kubectl: Kubectl, name: str, condition: str) -> str:
    """A condition's reason, "" while it is not there."""
    return str(conditions(kubectl.get("infs", name)).get(condition, {}).get("reason", ""))
