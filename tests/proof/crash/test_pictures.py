"""Two runs that ended alike have the same picture; whatever matters shows in it."""

from typing import Any

import httpx
import pytest

from proof.crash.pictures import Place, differences

SERVICE: dict[str, Any] = {
    "metadata": {"name": "mistral", "namespace": "one", "uid": "u1", "resourceVersion": "7"},
    "spec": {"replicas": 1},
    "status": {
        "url": "http://mistral.one.svc/v1",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
        "replicaStates": [{"pod": "mistral-a", "phase": "Ready", "startup": {"ready": 3}}],
    },
}
CONFIG: dict[str, Any] = {
    "metadata": {
        "name": "mistral-1",
        "namespace": "one",
        "ownerReferences": [{"name": "mistral", "uid": "u1"}],
        "managedFields": [{"manager": "fairlead"}],
    },
    "data": {"a": "b"},
}
POD: dict[str, Any] = {"metadata": {"name": "mistral-a", "labels": {"fairlead.dev/template": "t1"}}, "spec": {}}


def place(namespace: str, **items: list[dict[str, Any]]) -> Place:
    """A namespace with these objects, by plural."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": items.get(request.url.path.rpartition("/")[2], [])})

    return Place(httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer)), namespace)


def changed(obj: dict[str, Any], part: str, **changes: Any) -> dict[str, Any]:
    return {**obj, part: {**obj[part], **changes}}


ONE = place("one", inferenceservices=[SERVICE], configmaps=[CONFIG], pods=[POD]).picture()
OTHER_SERVICE = {
    "metadata": {"name": "mistral", "namespace": "two", "uid": "u2", "resourceVersion": "9"},
    "spec": {"replicas": 1},
    "status": {
        "url": "http://mistral.two.svc/v1",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-02-02T03:04:05Z"}],
        "replicaStates": [{"pod": "mistral-b", "phase": "Ready", "startup": {"ready": 4}}],
    },
}
OTHER_CONFIG = changed(CONFIG, "metadata", namespace="two", ownerReferences=[{"name": "mistral", "uid": "u2"}])


def test_times_and_identities_make_no_difference() -> None:
    two = place("two", inferenceservices=[OTHER_SERVICE], configmaps=[OTHER_CONFIG], pods=[POD]).picture()

    assert differences(two, ONE) == []


@pytest.mark.parametrize(
    ("items", "said"),
    [
        pytest.param({"configmaps": []}, "children.ConfigMap mistral-1", id="a child is missing"),
        pytest.param({"configmaps": [CONFIG, changed(CONFIG, "metadata", name="mistral-2")]}, "ConfigMap mistral-2", id="an orphan"),
        pytest.param({"configmaps": [changed(CONFIG, "data", a="c")]}, "data.a", id="other content"),
        pytest.param({"pods": [POD, POD]}, "pods.t1", id="a pod too many"),
        pytest.param({"pods": [changed(POD, "metadata", deletionTimestamp="now")]}, "pods.t1 terminating", id="a pod on its way out"),
        pytest.param({"inferenceservices": [changed(SERVICE, "status", url="x")]}, "status.url", id="another status"),
        pytest.param({"inferenceservices": []}, "services", id="no service"),
        pytest.param({"configmaps": [changed(CONFIG, "metadata", managedFields=[{"manager": "else"}])]}, "managers[0]", id="written by another"),
    ],
)  # fmt: skip
def test_what_matters_is_told(items: dict[str, Any], said: str) -> None:
    there = {"inferenceservices": [SERVICE], "configmaps": [CONFIG], "pods": [POD], **items}

    found = differences(place("one", **there).picture(), ONE)

    assert any(said in line for line in found), found
