"""Whether an apply would change anything."""

from copy import deepcopy
from typing import Any

import pytest

from fairlead_operator.core.intent import additions, differs, exclusive, in_the_way, is_another_template, leftovers
from fairlead_operator.core.names import Manifest
from unit.operator.builders import service

INTENT = service().child("Deployment")


def _live(**changes: Any) -> Manifest:
    """The intent as the API server gives it back: defaulted, with other people's additions."""
    live = deepcopy(INTENT)
    live["metadata"] |= {"resourceVersion": "7", "annotations": {"deployment.kubernetes.io/revision": "1"}}
    live["metadata"]["labels"]["team"] = "a"
    live["spec"]["template"]["spec"] |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always"}
    live["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] = "16384Mi"
    live["status"] = {"replicas": 1}
    return {**live, **changes}


def _changed(path: list[Any], value: Any) -> Manifest:
    live: Any = _live()
    node = live
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    result: Manifest = live
    return result


def test_defaults_quantities_and_other_peoples_additions_do_not_count() -> None:
    assert differs(INTENT, _live()) is None


@pytest.mark.parametrize(
    ("part", "intent", "live"),
    [
        pytest.param("tolerations", [{"key": "a", "value": ""}], [{"key": "a"}], id="the value of a toleration"),
        pytest.param("affinity", {"podAffinity": {"x": [], "y": {}, "z": None}}, {"podAffinity": {}}, id="in an affinity"),
    ],
)  # fmt: skip
def test_what_the_api_server_leaves_out_is_no_difference(part: str, intent: Any, live: Any) -> None:
    asked = {"spec": {"template": {"spec": {part: intent}}}}

    assert differs(asked, {"spec": {"template": {"spec": {part: live}}}}) is None


def test_a_variable_without_a_value_is_no_difference() -> None:
    container = {"name": "engine", "env": [{"name": "A", "value": ""}]}

    assert differs({"containers": [container]}, {"containers": [{**container, "env": [{"name": "A"}]}]}) is None


@pytest.mark.parametrize(
    ("intent", "live"),
    [
        pytest.param({"nodeSelector": {"value": ""}}, {"nodeSelector": {}}, id="a label without a value"),
        pytest.param({"volumes": [{"name": "a", "emptyDir": {}}]}, {"volumes": [{"name": "a", "hostPath": {}}]}, id="an empty folder"),
    ],
)  # fmt: skip
def test_what_is_empty_and_means_something_is_missed(intent: Manifest, live: Manifest) -> None:
    assert differs(intent, live) is not None


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param(_changed(["spec", "replicas"], 2), "spec.replicas", id="a number"),
        pytest.param(
            _changed(["metadata", "labels", "app.kubernetes.io/managed-by"], "x"),
            "metadata.labels.app.kubernetes.io/managed-by",
            id="a label of ours",
        ),
        pytest.param(
            _changed(["spec", "template", "spec", "containers", 0, "image"], "x"),
            "spec.template.spec.containers[engine].image",
            id="the image",
        ),
        pytest.param(
            _changed(["spec", "template", "spec", "containers", 0, "env", 0, "value"], "x"),
            "spec.template.spec.containers[engine].env[HOME].value",
            id="a variable",
        ),
        pytest.param(
            _changed(["spec", "template", "spec", "containers", 0, "resources", "limits", "memory"], "1Gi"),
            "spec.template.spec.containers[engine].resources.limits.memory",
            id="a limit",
        ),
        pytest.param(
            _changed(["spec", "template", "spec", "volumes"], []),
            "spec.template.spec.volumes[config]",
            id="a volume that is gone",
        ),
        pytest.param(
            _changed(["spec", "template", "spec", "tolerations"], []),
            "spec.template.spec.tolerations",
            id="an atomic list",
        ),
        pytest.param(
            _changed(["metadata", "ownerReferences"], []), "metadata.ownerReferences[mistral]", id="the owner"
        ),
    ],
)
def test_the_first_difference_is_named(live: Manifest, expected: str) -> None:
    assert differs(INTENT, live) == expected


def test_every_child_equals_itself() -> None:
    assert [differs(manifest, deepcopy(manifest)) for manifest in service().replicas(2).objects] == [None] * 5


POD = "/spec/template/spec"


def _joined(*insertions: tuple[list[Any], int, Any]) -> Manifest:
    live: Any = _live()
    for path, index, item in insertions:
        node = live["spec"]["template"]["spec"]
        for step in path[:-1]:
            node = node[step]
        node.setdefault(path[-1], []).insert(index, item)
    result: Manifest = live
    return result


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param(_live(), [], id="labels, annotations and defaults are none"),
        pytest.param(_joined((["containers"], 1, {"name": "x"})), [f"{POD}/containers/1"], id="a container"),
        pytest.param(_joined((["initContainers"], 0, {"name": "x"})), [f"{POD}/initContainers/0"], id="an init container"),
        pytest.param(_joined((["volumes"], 1, {"name": "x"})), [f"{POD}/volumes/1"], id="a volume among ours"),
        pytest.param(
            _joined((["containers", 0, "env"], 0, {"name": "X"}), (["containers", 0, "env"], 2, {"name": "Y"})),
            [f"{POD}/containers/0/env/2", f"{POD}/containers/0/env/0"],
            id="variables, the last one first",
        ),
        pytest.param(
            _joined(
                (["containers", 0, "volumeMounts"], 0, {"name": "x", "mountPath": "/x"}),
                (["volumes"], 0, {"name": "x"}),
                (["containers"], 0, {"name": "x", "env": [{"name": "X"}]}),
            ),
            [f"{POD}/containers/1/volumeMounts/0", f"{POD}/containers/0", f"{POD}/volumes/0"],
            id="the inner ones before a container before ours",
        ),
    ],
)  # fmt: skip
def test_what_was_added_to_the_pods_is_found(live: Manifest, expected: list[str]) -> None:
    assert additions(INTENT, live) == expected


def test_no_child_has_additions_of_its_own() -> None:
    assert [additions(manifest, deepcopy(manifest)) for manifest in service().replicas(2).objects] == [[]] * 5


SERVICE = service().child("Service")
PORT = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        pytest.param([PORT], {}, id="as it is to be"),
        pytest.param([{**PORT, "port": 81}], {"/spec/ports": [PORT]}, id="another number"),
        pytest.param([{**PORT, "protocol": "UDP"}], {"/spec/ports": [PORT]}, id="another protocol"),
        pytest.param([PORT, {"name": "more", "port": 9000}], {}, id="one more of another name"),
        pytest.param([{**PORT, "name": "other"}], {}, id="another name: the API server gives it ours"),
        pytest.param([], {}, id="none"),
    ],
)
def test_a_port_of_ours_with_another_number_is_in_the_way(ports: list[Any], expected: Any) -> None:
    assert in_the_way(SERVICE, {**SERVICE, "spec": {**SERVICE["spec"], "ports": ports}}) == expected


def test_so_it_is_in_a_container_of_ours_and_in_no_other() -> None:
    live = _live()
    containers = live["spec"]["template"]["spec"]["containers"]
    ours = INTENT["spec"]["template"]["spec"]["containers"][0]["ports"]
    containers[0]["ports"] = [{**ours[0], "containerPort": 1}, *ours[1:]]
    containers.insert(0, {"name": "beside", "ports": [{"name": ours[0]["name"], "containerPort": 2}]})

    assert in_the_way(INTENT, live) == {"/spec/template/spec/containers/1/ports": ours}


def test_no_child_is_in_its_own_way() -> None:
    assert [in_the_way(manifest, deepcopy(manifest)) for manifest in service().replicas(2).objects] == [{}] * 5


@pytest.mark.parametrize(("paused", "expected"), [(False, None), (True, "spec.paused")])
def test_a_deployment_that_somebody_paused_goes_on(*, paused: bool, expected: str | None) -> None:
    live = _changed(["spec", "paused"], paused)
    if not paused:
        del live["spec"]["paused"]  # as the API server leaves it out

    assert differs(INTENT, live) == expected


FORMER = (
    service()
    .spec(
        "placement",
        nodeSelector={"pool/gpu": "a", "zone": "b"},
        priorityClassName="high",
        runtimeClassName="nvidia",
        supplementalGroups=[1],
        affinity={"podAntiAffinity": {}},
    )
    .top(imagePullSecrets=[{"name": "one"}, {"name": "two"}])
)
WANTED = service().spec("placement", nodeSelector={"zone": "c"}).top(imagePullSecrets=[{"name": "two"}])


def test_what_a_former_template_asked_for_is_found() -> None:
    former = FORMER.child("Deployment")
    former["spec"]["template"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "gpus"
    for part in ("limits", "requests"):
        former["spec"]["template"]["spec"]["containers"][0]["resources"][part]["amd.com/gpu"] = "1"

    found = leftovers(WANTED.child("Deployment"), former)

    assert found == [
        *(f"{POD}/{name}" for name in ("affinity", "priorityClassName", "runtimeClassName")),
        f"{POD}/securityContext/supplementalGroups",
        f"{POD}/nodeSelector/pool~1gpu",
        "/spec/template/metadata/labels/kueue.x-k8s.io~1queue-name",
        f"{POD}/containers/0/resources/limits/amd.com~1gpu",
        f"{POD}/containers/0/resources/requests/amd.com~1gpu",
        f"{POD}/imagePullSecrets/0",
    ]


def test_no_template_leaves_anything_of_its_own() -> None:
    for each in (FORMER, WANTED):
        assert leftovers(each.child("Deployment"), each.child("Deployment")) == []


@pytest.mark.parametrize(
    ("intent", "live", "expected"),
    [
        pytest.param(WANTED.child("Deployment"), FORMER.child("Deployment"), True, id="another spec"),
        pytest.param(WANTED.child("Deployment"), WANTED.replicas(3).child("Deployment"), False, id="another number of pods"),
        pytest.param(WANTED.child("Service"), WANTED.child("Service"), False, id="not of pods"),
    ],
)  # fmt: skip
def test_another_template_is_told_by_its_hash(intent: Manifest, live: Manifest, expected: bool) -> None:  # noqa: FBT001
    assert is_another_template(intent, live) == expected


def test_other_peoples_labels_and_annotations_stay_where_all_else_is_replaced() -> None:
    live = _live()
    restarted = {"kubectl.kubernetes.io/restartedAt": "now"}
    labels = {"team": "a", "kueue.x-k8s.io/queue-name": "a queue of a former spec"}
    live["spec"]["template"]["metadata"] = {"labels": labels, "annotations": restarted}

    (template,) = exclusive(INTENT, live).values()

    ours = INTENT["spec"]["template"]["metadata"]
    assert template["metadata"]["labels"] == {"team": "a", **ours["labels"]}
    assert template["metadata"]["annotations"] == {**restarted, **ours["annotations"]}
    assert template["spec"] == INTENT["spec"]["template"]["spec"]


def test_parts_of_what_both_ask_for_are_found_too() -> None:
    former = service().model("pvc://models/a").spec("placement", affinity={"nodeAffinity": {}, "podAntiAffinity": {}})
    wanted = service().model("pvc://models").spec("placement", affinity={"podAntiAffinity": {}})
    ours, theirs = (each.child("Deployment") for each in (wanted, former))
    ours["spec"]["template"]["spec"]["affinity"] = {"podAntiAffinity": {}}
    more: dict[str, Any] = {
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
        "nodeAffinity": {},
    }
    theirs["spec"]["template"]["spec"]["affinity"] = more
    mounts = theirs["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    (index,) = [number for number, mount in enumerate(mounts) if "subPath" in mount]

    assert leftovers(ours, theirs) == [
        f"{POD}/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution",
        f"{POD}/affinity/nodeAffinity",
        f"{POD}/containers/0/volumeMounts/{index}/subPath",
    ]


def test_a_nameless_pull_secret_is_a_strangers() -> None:
    live = WANTED.child("Deployment")
    live["spec"]["template"]["spec"]["imagePullSecrets"].append({})

    assert leftovers(WANTED.child("Deployment"), live) == [f"{POD}/imagePullSecrets/1"]
