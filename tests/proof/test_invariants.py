from typing import Any

import pytest

from proof.invariants import Past, Picture, violations


def obj(name: str, kind: str = "", uid: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "a", "name": name, "uid": uid or name, "generation": 2, **more.pop("metadata", {})}
    return {"kind": kind, "metadata": metadata, **more}


def service(*conditions: dict[str, Any], uid: str = "s", **status: Any) -> dict[str, Any]:
    return obj("m", uid=uid, status={"conditions": list(conditions), **status})


def child(name: str = "m", owner: str | None = "s", kind: str = "Deployment") -> dict[str, Any]:
    reference = {"kind": "InferenceService", "apiVersion": "fairlead.dev/v1alpha1", "uid": owner, "controller": True}
    metadata = {"labels": {"fairlead.dev/service": "m"}, "ownerReferences": [reference] if owner else []}
    return obj(name, kind, f"{kind}-{name}", metadata=metadata)


def pod(ready: str) -> dict[str, Any]:
    labels = {"labels": {"fairlead.dev/service": "m"}}
    return obj("p", metadata=labels, status={"conditions": [{"type": "Ready", "status": ready}]})


READY = {"type": "Ready", "status": "True", "observedGeneration": 2}


@pytest.mark.parametrize(
    ("pictures", "wrong"),
    [
        pytest.param([Picture([service(READY)], [child()], [pod("True")])], "", id="all is well"),
        pytest.param([Picture([service(READY)], [child()], [pod("False")])], "never had a Ready pod", id="ready without pods"),
        pytest.param([Picture((), [child(), child("n")])], "2 Deployments", id="two Deployments"),
        pytest.param([Picture((), [child(owner=None)])], "no owner", id="a child without owner"),
        pytest.param([Picture([service()]), Picture(), Picture((), [child()])], "had gone", id="a child made for a service that had gone"),
        pytest.param([Picture([service()], [child()]), Picture((), [child()])], "", id="a child that is still there is garbage"),
        pytest.param([Picture([service(observedGeneration=3)])], "generation 3 of 2", id="ahead of its generation"),
        pytest.param([Picture([service({**READY, "status": "False", "observedGeneration": 3})])], "Ready observed generation 3 of 2", id="a condition ahead"),
        pytest.param([Picture([service({"type": "Accepted", "status": "False", "reason": "NameTaken"})])], "NameTaken", id="refused"),
        pytest.param([Picture([service({"type": "Stalled", "status": "True", "message": "x"})])], "Stalled", id="stalled"),
        pytest.param([Picture([service({"type": "Scheduled", "status": "False", "message": "injected"})])], "injected error", id="the injected error is shown"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(pictures: list[Picture], wrong: str) -> None:
    past = Past()
    found = [one for picture in pictures for one in violations(picture, past)]

    assert len(found) == bool(wrong), found
    assert wrong in " ".join(found)
