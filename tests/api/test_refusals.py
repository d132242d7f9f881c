"""What the API server goes on refusing is told in the status, and goes on by itself when it is let; by real admission."""

import dataclasses
import math
import time
from collections.abc import Iterator

import pytest

from api import pods
from api.audit import Audit
from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.objects import RefusedError
from api.operators import OperatorProcess, operator_on
from api.scaled import pods_of
from fairlead_cli.local.controlplane import ControlPlane

#: Seconds between two tries at most.
WAIT = 1.0
#: The operator, which tells after seconds what it would tell after a minute.
HURRIED = f"""
import runpy
from fairlead_operator.controller import refusals, workqueue
refusals.LASTS, workqueue.LONGEST_BACKOFF = 3.0, {WAIT}
runpy.run_module("fairlead_operator", run_name="__main__")
"""
#: Tries that are looked at.
TRIES = 8
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "few"},
    "spec": {"hard": {"count/services": "0"}},
}


@pytest.fixture(scope="module")
def operator(managed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One for this file."""
    usual = operator_on(managed, tmp_path_factory.mktemp("operator"), "refusals")
    with dataclasses.replace(usual, program=("-c", HURRIED)) as process:
        process.ready()
        eventually(process.leads, "leadership")
        yield process
        assert process.end() == 0


@pytest.fixture
def kubectl(managed: ControlPlane, operator: OperatorProcess, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of its own."""
    assert operator.running
    return Kubectl(managed.kubectl, managed.kubeconfig, "default").within(request.node.name)


def condition(kubectl: Kubectl, kind: str) -> Manifest:
    """Of the service, {} while it is not there."""
    return conditions(kubectl.get("infs", "mistral")).get(kind, {})


def told(kubectl: Kubectl) -> str:
    """The message of UpToDate, once it tells of refusals."""

    def found() -> str:
        seen = condition(kubectl, "UpToDate")
        return str(seen["message"]) if seen.get("reason") == "WriteFailed" else ""

    return eventually(found, "WriteFailed")


def test_a_quota_is_told_and_the_service_goes_on_when_it_is_lifted(
    kubectl: Kubectl, operator: OperatorProcess, managed: ControlPlane
) -> None:
    kubectl.apply(QUOTA)
    eventually(lambda: (kubectl.get("resourcequota", "few") or {}).get("status", {}).get("hard"), "the quota in force")
    kubectl.apply(service())

    message = told(kubectl)

    assert "each try to apply Service mistral fails: 403 Forbidden" in message
    assert "exceeded quota: few" in message
    assert "raise the namespace's ResourceQuota" in message
    found = conditions(kubectl.get("infs", "mistral"))
    assert {found[kind]["reason"] for kind in ("Ready", "Available", "Reconciling")} == {"WriteFailed"}
    assert found["Accepted"]["status"] == "True"
    assert "Stalled" not in found

    following = Audit(managed.audit_log)
    eventually(lambda: "services" in written(following, kubectl), "the try after the one that told it, and its event")
    audit, begin = Audit(managed.audit_log), time.monotonic()
    eventually(lambda: len(written(audit, kubectl)) >= TRIES, "more tries")
    seconds = time.monotonic() - begin
    assert set(written(audit, kubectl)) == {"services"}, "a try changes no status, and tells no event"
    assert len(written(audit, kubectl)) <= math.ceil(seconds / WAIT) + 1

    kubectl.delete("resourcequota", "few")

    eventually(lambda: kubectl.get("deployment", "mistral"), "all that was missing")
    eventually(lambda: condition(kubectl, "UpToDate")["reason"] != "WriteFailed", "the end of it in the status")
    events = [event for event in kubectl.items("events.events.k8s.io") if event["reason"] == "WriteFailed"]
    assert [(event["type"], event.get("series")) for event in events] == [("Warning", None)]
    assert "exceeded quota: few" in events[0]["note"]
    warnings = [line for line in operator.log.read_text().splitlines() if "keeps refusing" in line]
    assert len([line for line in warnings if kubectl.namespace in line]) == 1


def written(audit: Audit, kubectl: Kubectl) -> list[str]:
    """What the operator has tried to write in the namespace."""
    return [write.resource for write in audit.writes() if write.namespace == kubectl.namespace]


def test_a_webhook_that_nobody_serves_is_told_while_the_pods_go_on_serving(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    pods.set_status(kubectl, pods_of(kubectl, 1)[0], pods.ready())
    eventually(lambda: condition(kubectl, "Ready").get("status") == "True", "Ready")
    kubectl.apply(webhook(kubectl.namespace))
    eventually(lambda: refuses(kubectl), "the webhook in force")
    kubectl.delete("service", "mistral")

    try:
        message = told(kubectl)
        available = condition(kubectl, "Available")
    finally:
        kubectl.delete("validatingwebhookconfiguration", kubectl.namespace)

    assert 'failed calling webhook "nobody.example.com"' in message
    assert "repair what serves that webhook" in message
    assert (available["status"], available["reason"]) == ("True", "Serving")
    eventually(lambda: condition(kubectl, "Ready")["status"] == "True", "Ready again")
    assert kubectl.get("service", "mistral") is not None


def webhook(namespace: str) -> Manifest:
    """It is to be asked about the namespace's Services, where nothing listens."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["services"], "operations": ["CREATE", "UPDATE"]}
    asked = {
        "name": "nobody.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [asked],
    }


def refuses(kubectl: Kubectl) -> bool:
    """Whether no Service can be made."""
    try:
        kubectl("create", "service", "clusterip", "probe", "--tcp=1:1", "--dry-run=server")
    except RefusedError:
        return True
    return False
