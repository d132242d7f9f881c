"""What the operator makes, keeps, gives back and leaves alone."""

import json
from typing import Any

import pytest

from api import pods
from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.operators import OperatorProcess

pytestmark = pytest.mark.usefixtures("operator")
KINDS = ("deployment", "service", "configmap", "poddisruptionbudget", "controllerrevision", "networkpolicy")
#: Their names hold a hash.
HASHED = ("configmap", "controllerrevision")
OURS = "app.kubernetes.io/managed-by=fairlead"


def child(kubectl: Kubectl, kind: str, name: str = "mistral") -> Manifest | None:
    """The child of that kind; one whose name holds a hash is found by label."""
    if kind not in HASHED:
        return kubectl.get(kind, name)
    return next(iter(kubectl.items(kind, f"fairlead.dev/service={name}")), None)


def made(kubectl: Kubectl, kind: str) -> Manifest:
    """The child, once it is there."""
    return eventually(lambda: child(kubectl, kind), kind)


def reason(kubectl: Kubectl, condition: str, name: str = "mistral") -> str:
    """A condition's reason, "" while it is not there."""
    return str(conditions(kubectl.get("infs", name)).get(condition, {}).get("reason", ""))


@pytest.mark.parametrize("kind", KINDS)
def test_every_child_is_labelled_and_owned(kubectl: Kubectl, kind: str) -> None:
    applied = kubectl.apply(service(replicas=2))

    metadata = made(kubectl, kind)["metadata"]

    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "InferenceService",
            "name": "mistral",
            "uid": applied["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "inferenceservice",
        "app.kubernetes.io/instance": "mistral",
        "app.kubernetes.io/component": "engine",
        "app.kubernetes.io/part-of": "fairlead",
        "app.kubernetes.io/managed-by": "fairlead",
        "fairlead.dev/service": "mistral",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_child_comes_back(kubectl: Kubectl, kind: str) -> None:
    kubectl.apply(service(replicas=2))
    first = made(kubectl, kind)

    kubectl.delete(kind, first["metadata"]["name"])

    def renewed() -> bool:
        second = child(kubectl, kind)
        return second is not None and second["metadata"]["uid"] != first["metadata"]["uid"]

    eventually(renewed, f"a new {kind}")


@pytest.mark.parametrize("kind", ["deployment", "service", "poddisruptionbudget", "networkpolicy"])
def test_a_copy_of_a_child_that_names_the_same_owner_is_deleted(kubectl: Kubectl, kind: str) -> None:
    kubectl.apply(service(replicas=2))
    original = made(kubectl, kind)
    kept = {part: original["metadata"][part] for part in ("labels", "ownerReferences")}
    spec = {name: value for name, value in original["spec"].items() if not name.startswith("clusterIP")}
    copy = {**original, "metadata": {"name": "copy", **kept}, "spec": spec}
    copy.pop("status", None)

    kubectl.create(copy)

    eventually(lambda: kubectl.get(kind, "copy") is None, "the end of what nothing wants")
    assert child(kubectl, kind) is not None


@pytest.mark.parametrize(
    ("kind", "patch", "read"),
    [
        ("deployment", {"spec": {"replicas": 7}}, lambda obj: obj["spec"]["replicas"] == 2),
        ("deployment", {"metadata": {"labels": {"fairlead.dev/service": None}}}, lambda obj: OURS.split("=", maxsplit=1)[0] in obj["metadata"]["labels"] and "fairlead.dev/service" in obj["metadata"]["labels"]),
        ("service", {"spec": {"selector": {"fairlead.dev/service": "other"}}}, lambda obj: obj["spec"]["selector"] == {"fairlead.dev/service": "mistral"}),
        ("service", {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}}, lambda obj: [(port["name"], port["port"]) for port in obj["spec"]["ports"]] == [("http", 80)]),
        ("service", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "someone"}}}, lambda obj: obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "fairlead"),
        ("poddisruptionbudget", {"spec": {"maxUnavailable": 2}}, lambda obj: obj["spec"]["maxUnavailable"] == 1),
        ("networkpolicy", {"spec": {"ingress": [{}]}}, lambda obj: [[entry["port"] for entry in rule.get("ports", [])] for rule in obj["spec"]["ingress"]] == [[8000], [9090]]),
        ("configmap", {"metadata": {"labels": {"app.kubernetes.io/part-of": None}}}, lambda obj: obj["metadata"]["labels"].get("app.kubernetes.io/part-of") == "fairlead"),
        ("controllerrevision", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}, lambda obj: obj["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "fairlead"),
    ],
    ids=["replicas", "lost label", "selector", "another number for its port", "label that hides it from the watch", "budget", "a policy that opens everything", "lost label of an immutable ConfigMap", "label that hides a revision from the watch"],
)  # fmt: skip
def test_an_edited_child_is_brought_back(kubectl: Kubectl, kind: str, patch: Manifest, read: Any) -> None:
    kubectl.apply(service(replicas=2))
    name = made(kubectl, kind)["metadata"]["name"]
    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "status")

    kubectl.patch(kind, name, patch)

    eventually(lambda: read(kubectl.get(kind, name)), "our value")


_POD = "/spec/template/spec"
_BESIDE = {"name": "beside", "image": "example.com/beside:1"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(f"{_POD}/containers/0", {**_BESIDE, "volumeMounts": [{"name": "tmp", "mountPath": "/x"}]}, id="a container before ours"),
        pytest.param(f"{_POD}/initContainers", [_BESIDE], id="an init container"),
        pytest.param(f"{_POD}/volumes/0", {"name": "host", "hostPath": {"path": "/"}}, id="a volume"),
        pytest.param(f"{_POD}/containers/0/env/-", {"name": "VLLM_API_KEY", "value": "x"}, id="a variable"),
        pytest.param(f"{_POD}/containers/0/volumeMounts/-", {"name": "tmp", "mountPath": "/x"}, id="a mount"),
        pytest.param(f"{_POD}/containers/0/ports/0/containerPort", 8001, id="another number for a port"),
    ],
)  # fmt: skip
def test_what_was_added_to_the_pods_is_removed(kubectl: Kubectl, path: str, value: Any) -> None:
    kubectl.apply(service())
    before = made(kubectl, "deployment")["spec"]["template"]
    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "status")

    kubectl("patch", "deployment", "mistral", "--type=json", "-p", json.dumps([{"op": "add", "path": path, "value": value}]))  # fmt: skip

    eventually(lambda: made(kubectl, "deployment")["spec"]["template"] == before, "our template")


def _replace(path: str, value: Any) -> Manifest:
    return {"op": "replace", "path": path, "value": value}


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        pytest.param("poddisruptionbudget", [{"op": "remove", "path": "/spec/maxUnavailable"}, {"op": "add", "path": "/spec/minAvailable", "value": 1}], id="the other number of a budget"),
        pytest.param("deployment", [_replace(f"{_POD}/volumes/0", {"name": "VOLUME", "hostPath": {"path": "/"}})], id="another source of a volume"),
        pytest.param("deployment", [{"op": "remove", "path": f"{_POD}/containers/0/livenessProbe/httpGet"}, {"op": "add", "path": f"{_POD}/containers/0/livenessProbe/exec", "value": {"command": ["true"]}}], id="another way to probe"),
        pytest.param("deployment", [_replace(f"{_POD}/containers/0/env/0", {"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})], id="another place to take a variable from"),
        pytest.param("deployment", [{"op": "add", "path": "/spec/paused", "value": True}], id="no rollout any more"),
    ],
)  # fmt: skip
def test_what_excludes_ours_gives_way(kubectl: Kubectl, kind: str, operations: list[Manifest]) -> None:
    """An apply beside it is refused, and that is nothing that the service's owner could correct."""
    kubectl.apply(service(replicas=2))
    before = made(kubectl, kind)["spec"]
    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "status")
    volume = before.get("template", {"spec": {"volumes": [{"name": ""}]}})["spec"]["volumes"][0]["name"]

    kubectl("patch", kind, "mistral", "--type=json", "-p", json.dumps(operations).replace("VOLUME", volume))

    eventually(lambda: made(kubectl, kind)["spec"] == before, "our spec")
    assert reason(kubectl, "Accepted") == "Valid"


def test_a_former_rollout_that_is_undone_by_hand_leaves_nothing(kubectl: Kubectl) -> None:
    """kubectl puts the former template back whole, and what only that one asked for is kubectl's from then on."""
    former = {"nodeSelector": {"pool/gpu": "a"}, "priorityClassName": "system-node-critical"}
    kubectl.apply(service(placement=former))
    old = made(kubectl, "deployment")["spec"]["template"]
    kubectl.patch("infs", "mistral", {"spec": {"placement": None}})
    eventually(lambda: made(kubectl, "deployment")["spec"]["template"] != old, "another template")
    wanted = made(kubectl, "deployment")["spec"]["template"]
    assert "nodeSelector" not in wanted["spec"]

    kubectl("patch", "deployment", "mistral", "--type=json", "-p", json.dumps([_replace("/spec/template", old)]))

    eventually(lambda: made(kubectl, "deployment")["spec"]["template"] == wanted, "our template, and nothing beside it")


@pytest.mark.parametrize("kind", KINDS)
def test_other_peoples_labels_and_annotations_stay(kubectl: Kubectl, kind: str) -> None:
    kubectl.apply(service(replicas=2))
    name = made(kubectl, kind)["metadata"]["name"]
    kubectl.patch(kind, name, {"metadata": {"labels": {"team": "nlp"}, "annotations": {"note": "keep"}}})

    kubectl.patch("infs", "mistral", {"spec": {"replicas": 3}})
    kubectl.patch(kind, name, {"metadata": {"labels": {"app.kubernetes.io/part-of": "x"}}})
    restored = eventually(
        lambda: (found := kubectl.get(kind, name)) and found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "fairlead" and found,
        "our label",
    )  # fmt: skip

    assert restored["metadata"]["labels"]["team"] == "nlp"
    assert restored["metadata"]["annotations"]["note"] == "keep"


def test_kubectl_scale_reaches_the_deployment(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    made(kubectl, "deployment")

    kubectl("scale", "infs/mistral", "--replicas=3")

    eventually(lambda: made(kubectl, "deployment")["spec"]["replicas"] == 3, "three replicas")
    assert made(kubectl, "poddisruptionbudget")["spec"]["maxUnavailable"] == 1
    kubectl("scale", "infs/mistral", "--replicas=1")
    eventually(lambda: kubectl.get("poddisruptionbudget", "mistral") is None, "the budget's end")


def test_scale_shows_a_selector_that_finds_the_pods(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    pod = pods.make(kubectl, "mistral", "a")

    selector = eventually(lambda: (kubectl.get("infs", "mistral") or {}).get("status", {}).get("selector"), "selector")

    assert [item["metadata"]["name"] for item in kubectl.items("pod", selector)] == [pod]


@pytest.mark.parametrize(
    ("patch", "expected"), [({"suspend": True}, "Suspended"), ({"replicas": 0}, "ScaledToZero")], ids=["suspend", "0"]
)
def test_no_replicas_wanted(kubectl: Kubectl, patch: Manifest, expected: str) -> None:
    kubectl.apply(service())
    made(kubectl, "deployment")

    kubectl.patch("infs", "mistral", {"spec": patch})
    eventually(lambda: made(kubectl, "deployment")["spec"]["replicas"] == 0, "no replicas")
    pods.report(kubectl, "mistral", 0, 0)

    eventually(lambda: reason(kubectl, "Available") == expected, expected)
    eventually(lambda: conditions(kubectl.get("infs", "mistral"))["Ready"]["status"] == "True", "Ready")
    assert kubectl.get("service", "mistral") is not None


def test_a_foreign_object_of_the_name_is_never_touched(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "mistral", "--tcp=1:1")
    foreign = kubectl.get("service", "mistral")

    kubectl.apply(service())

    eventually(lambda: reason(kubectl, "Accepted") == "NameTaken", "NameTaken")
    assert kubectl.get("service", "mistral") == foreign
    assert kubectl.get("deployment", "mistral") is None
    assert child(kubectl, "configmap") is None
    assert "Service mistral" in conditions(kubectl.get("infs", "mistral"))["Accepted"]["message"]


def test_a_freed_name_is_taken_without_another_word(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "mistral", "--tcp=1:1")
    kubectl.apply(service())
    eventually(lambda: reason(kubectl, "Accepted") == "NameTaken", "NameTaken")

    kubectl.delete("service", "mistral")

    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "Valid")
    assert made(kubectl, "service")["spec"]["ports"][0]["port"] == 80


def test_a_successor_waits_for_its_predecessors_children(kubectl: Kubectl) -> None:
    """No garbage collector runs here, so what it will delete stays until the test deletes it."""
    kubectl.apply(service())
    old = made(kubectl, "deployment")
    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "status")
    kubectl.delete("infs", "mistral")
    kubectl.apply(service())

    for kind in ("service", "configmap", "controllerrevision", "networkpolicy", "deployment"):
        kubectl.delete_all(kind, OURS)

    def succeeded() -> bool:
        new = kubectl.get("deployment", "mistral")
        return new is not None and new["metadata"]["uid"] != old["metadata"]["uid"]

    eventually(succeeded, "a Deployment of the successor")


def test_a_rejected_spec_touches_nothing_that_runs(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    before = made(kubectl, "deployment")
    eventually(lambda: reason(kubectl, "Accepted") == "Valid", "status")

    kubectl.patch("infs", "mistral", {"spec": {"engine": {"extraArgs": ["--api-key=x"]}}})

    eventually(lambda: conditions(kubectl.get("infs", "mistral"))["Accepted"]["status"] == "False", "the rejection")
    verdict = conditions(kubectl.get("infs", "mistral"))["Accepted"]
    assert verdict["observedGeneration"] == 2
    assert "spec." in verdict["message"]
    assert made(kubectl, "deployment")["metadata"]["generation"] == before["metadata"]["generation"]
    assert len(kubectl.items("configmap", "fairlead.dev/service=mistral")) == 1


def test_what_only_the_api_server_can_judge_becomes_a_condition(kubectl: Kubectl) -> None:
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Likes"}]}]}}}  # fmt: skip

    kubectl.apply(service(placement={"affinity": affinity}))

    eventually(lambda: reason(kubectl, "Accepted") == "InvalidSpec", "InvalidSpec")
    assert "spec.placement.affinity" in conditions(kubectl.get("infs", "mistral"))["Accepted"]["message"]


def test_an_old_config_stays_while_a_pod_mounts_it(kubectl: Kubectl) -> None:
    kubectl.apply(service(engine={"maxModelLen": 1024}))
    old = made(kubectl, "configmap")["metadata"]["name"]
    pod = pods.make(kubectl, "mistral", "old")

    kubectl.patch("infs", "mistral", {"spec": {"engine": {"maxModelLen": 2048}}})

    eventually(lambda: len(kubectl.items("configmap", OURS)) == 2, "the new config beside the old one")
    eventually(lambda: conditions(kubectl.get("infs", "mistral"))["Accepted"]["observedGeneration"] == 2, "status")
    assert kubectl.get("configmap", old) is not None
    kubectl.delete("pod", pod, gracePeriodSeconds=0)
    eventually(lambda: kubectl.get("configmap", old) is None, "the old config's end")


def test_an_old_config_stays_while_a_replica_set_with_replicas_names_it(kubectl: Kubectl) -> None:
    kubectl.apply(service(engine={"maxModelLen": 1024}))
    old = made(kubectl, "configmap")["metadata"]["name"]
    template = made(kubectl, "deployment")["spec"]["template"]
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "mistral-old", "labels": template["metadata"]["labels"]},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"fairlead.dev/service": "mistral"}}, "template": template},
    }
    kubectl.create(replica_set)

    kubectl.patch("infs", "mistral", {"spec": {"engine": {"maxModelLen": 2048}}})
    eventually(lambda: conditions(kubectl.get("infs", "mistral"))["Accepted"]["observedGeneration"] == 2, "status")
    assert kubectl.get("configmap", old) is not None

    kubectl("scale", "replicaset/mistral-old", "--replicas=0")
    kubectl.patch("infs", "mistral", {"spec": {"replicas": 2}})
    eventually(lambda: kubectl.get("configmap", old) is None, "the old config's end")


def test_the_template_changes_with_the_spec_alone(kubectl: Kubectl) -> None:
    kubectl.apply(service())
    first = made(kubectl, "deployment")["spec"]["template"]["metadata"]["labels"]["fairlead.dev/template"]

    kubectl("scale", "infs/mistral", "--replicas=2")
    eventually(lambda: made(kubectl, "deployment")["spec"]["replicas"] == 2, "scale")
    assert made(kubectl, "deployment")["spec"]["template"]["metadata"]["labels"]["fairlead.dev/template"] == first

    kubectl.patch("infs", "mistral", {"spec": {"engine": {"seed": 1}}})
    eventually(
        lambda: made(kubectl, "deployment")["spec"]["template"]["metadata"]["labels"]["fairlead.dev/template"] != first,
        "a new template",
    )


def test_two_namespaces_do_not_mix(kubectl: Kubectl, operator: OperatorProcess) -> None:
    other = kubectl.new_namespace(f"{kubectl.namespace}-b")
    kubectl.apply(service())
    other.apply(service(replicas=2))

    eventually(lambda: made(other, "deployment")["spec"]["replicas"] == 2, "two replicas there")

    assert made(kubectl, "deployment")["spec"]["replicas"] == 1
    assert operator.running
