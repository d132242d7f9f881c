"""Services are planned before they have a pod, by a hub that is on this machine."""

import json
from typing import Any

import pytest

from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.operators import OperatorProcess
from hub_server import REPOSITORY, HubServer

pytestmark = pytest.mark.usefixtures("operator")


def planned(kubectl: Kubectl, name: str = "mistral") -> dict[str, Any]:
    found: dict[str, Any] = (kubectl.get("infs", name) or {}).get("status", {}).get("memory", {}).get("planned", {})
    return found


def asking(memory: str | None, name: str = "mistral", **spec: Any) -> Manifest:
    """A service of the hub's model that asks for so much accelerator memory."""
    placement = {"minAcceleratorMemory": memory} if memory else {}
    return service(name, model={"uri": f"hf://{REPOSITORY}"}, placement=placement, **spec)


def refused(kubectl: Kubectl) -> Manifest:
    """The condition, once it is there."""

    def look() -> Manifest | None:
        accepted = conditions(kubectl.get("infs", "mistral")).get("Accepted", {})
        return accepted if accepted.get("reason") == "DoesNotFit" else None

    return eventually(look, "DoesNotFit")


def test_what_cannot_fit_is_refused_with_numbers_and_no_pod_is_asked_for(kubectl: Kubectl) -> None:
    kubectl.apply(asking("16Gi"))

    message = refused(kubectl)["message"]

    assert "131.4 GiB" in message
    assert "spec.placement.minAcceleratorMemory" in message
    assert "spec.parallelism.tensor" in message
    assert kubectl.get("deployment", "mistral") is None
    assert planned(kubectl)["weightsBytes"] > 131 * 2**30


def test_what_was_refused_is_not_started_by_a_restart_of_the_operator(
    kubectl: Kubectl, operator: OperatorProcess, model_hub: HubServer
) -> None:
    """It has read neither nodes nor models yet when it looks at the service for the first time."""
    kubectl.apply(asking("16Gi"))
    refused(kubectl)
    assert operator.end() == 0
    model_hub.asked.clear()
    before = operator.log.stat().st_size

    def looked_at() -> bool:
        with operator.log.open() as log:
            log.seek(before)
            lines = [json.loads(line) for line in log if '"reconciled"' in line and line.endswith("\n")]
        return any(line["service"] == f"{kubectl.namespace}/mistral" for line in lines)

    operator.start().ready()
    eventually(looked_at, "a look by the new one")
    # The second look, when the model was read.
    eventually(lambda: any("config.json" in path for path in model_hub.asked), "the model")

    assert kubectl.items("deployment") == kubectl.items("controllerrevision") == []


def test_a_larger_accelerator_is_taken_and_the_plan_is_there_before_any_pod(kubectl: Kubectl) -> None:
    kubectl.apply(asking("16Gi"))
    refused(kubectl)

    kubectl.apply(asking("280Gi"))

    eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")
    told = eventually(lambda: planned(kubectl) if planned(kubectl).get("kvCacheTokens") else None, "the plan")
    assert told["acceleratorBytes"] == 280 * 2**30
    assert told["maxConcurrency"] >= 2


@pytest.mark.parametrize(
    ("memory", "annotations", "uri"),
    [
        pytest.param("16Gi", {"fairlead.dev/skip-plan": "true"}, f"hf://{REPOSITORY}", id="the user knows better"),
        pytest.param(None, {}, f"hf://{REPOSITORY}", id="nobody says how large the accelerators are"),
        pytest.param("16Gi", {}, "hf://org/absent", id="the hub does not show the model"),
        pytest.param("16Gi", {}, "pvc://models/large", id="the model is where only the pod can read it"),
    ],
)
def test_what_is_not_known_or_not_wanted_refuses_nothing(
    kubectl: Kubectl, memory: str | None, annotations: dict[str, str], uri: str
) -> None:
    manifest = asking(memory)
    manifest["metadata"]["annotations"] = annotations
    manifest["spec"]["model"] = {"uri": uri}

    kubectl.apply(manifest)

    eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")


def test_an_annotation_has_what_was_refused_started_and_its_pods_told(kubectl: Kubectl) -> None:
    kubectl.apply(asking("16Gi"))
    refused(kubectl)

    kubectl("annotate", "infs", "mistral", "fairlead.dev/skip-plan=true")

    made = eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")
    volumes = made["spec"]["template"]["spec"]["volumes"]
    (mounted,) = [volume["configMap"]["name"] for volume in volumes if volume["name"] == "config"]
    assert json.loads((kubectl.get("configmap", mounted) or {})["data"]["config.json"])["skipPlan"] is True


def test_a_model_is_read_once_for_all_services(kubectl: Kubectl, model_hub: HubServer) -> None:
    for number in range(4):
        kubectl.apply(asking("280Gi", f"copy-{number}"))
    for number in range(4):
        eventually(lambda: planned(kubectl, f"copy-{number}"), f"the plan of {number}")  # noqa: B023

    assert sum(1 for path in model_hub.asked if path == f"/{REPOSITORY}/resolve/main/config.json") == 1


@pytest.mark.parametrize(
    ("draft", "models"),
    [pytest.param(REPOSITORY, 2, id="read"), pytest.param("org/absent", 1, id="the hub does not show it")],
)
def test_a_second_model_that_guesses_is_counted_where_it_can_be_read(kubectl: Kubectl, draft: str, models: int) -> None:
    speculative = {"method": "draft_model", "model": f"hf://{draft}", "tokens": 3}

    kubectl.apply(asking("600Gi", engine={"speculative": speculative}))

    told = eventually(lambda: planned(kubectl), "the plan")
    assert told["weightsBytes"] // (131 * 2**30) == models
    eventually(lambda: kubectl.get("deployment", "mistral"), "the Deployment")
