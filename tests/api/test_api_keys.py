"""spec.serving.apiKey: Generate, by an operator that may create Secrets and see none."""

import base64

import pytest

from api import pods
from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.operators import OperatorProcess

pytestmark = pytest.mark.usefixtures("operator")
GENERATE = {"apiKey": "Generate"}


def secret(kubectl: Kubectl, name: str) -> Manifest:
    """The Secret, once it is there."""
    return eventually(lambda: kubectl.get("secret", name), f"Secret {name}")


def told(kubectl: Kubectl) -> str:
    """The Secret's name as status has it."""
    return str(
        eventually(lambda: ((kubectl.get("infs", "mistral") or {}).get("status") or {}).get("apiKeySecretName"), "name")
    )


def missing(kubectl: Kubectl) -> dict[str, Manifest]:
    """All conditions, once they say that a pod waits for its key; {} until then."""
    found = conditions(kubectl.get("infs", "mistral"))
    return found if found.get("Accepted", {}).get("reason") == "APIKeyMissing" else {}


def test_a_key_is_made_mounted_and_told_by_name_only(kubectl: Kubectl, operator: OperatorProcess) -> None:
    applied = kubectl.apply(service(serving=GENERATE))

    made = secret(kubectl, told(kubectl))

    key = base64.b64decode(made["data"]["keys"]).decode().strip()
    assert len(key) >= 43
    assert made["metadata"]["ownerReferences"][0]["uid"] == applied["metadata"]["uid"]
    volumes = (kubectl.get("deployment", "mistral") or {})["spec"]["template"]["spec"]["volumes"]
    assert [v["secret"]["secretName"] for v in volumes if v["name"] == "api-keys"] == [made["metadata"]["name"]]
    assert eventually(lambda: conditions(kubectl.get("infs", "mistral"))["Secured"]["status"] == "True", "Secured")
    everything = kubectl("get", "infs,deployments,configmaps,controllerrevisions,events", "-o", "yaml")
    assert made["metadata"]["name"] in everything
    assert key not in everything + operator.log.read_text()


def test_a_key_stays_through_changes_of_the_service_and_of_the_secret(kubectl: Kubectl) -> None:
    kubectl.apply(service(serving=GENERATE))
    made = secret(kubectl, told(kubectl))
    own = base64.b64encode(b"a-key-of-my-own\n").decode()
    kubectl.patch("secret", made["metadata"]["name"], {"data": {"keys": own}})

    kubectl.apply(service(serving=GENERATE, replicas=2))

    eventually(lambda: (kubectl.get("deployment", "mistral") or {})["spec"]["replicas"] == 2, "two replicas")
    assert secret(kubectl, made["metadata"]["name"])["data"]["keys"] == own


def test_a_deleted_secret_is_made_again_for_the_pod_that_misses_it(kubectl: Kubectl) -> None:
    kubectl.apply(service(serving=GENERATE))
    made = secret(kubectl, told(kubectl))
    name = made["metadata"]["name"]
    kubectl.delete("secret", name)
    pod = pods.make(kubectl, "mistral", "a")
    pods.cannot_mount(kubectl, pod, f'MountVolume.SetUp failed for volume "api-keys" : secret "{name}" not found')

    pods.set_status(kubectl, pod, pods.creating(11))

    again = secret(kubectl, name)
    assert again["metadata"]["uid"] != made["metadata"]["uid"]
    assert again["data"] != made["data"]
    accepted = eventually(lambda: missing(kubectl), "why the pod does not start")
    assert "Stalled" not in accepted, "the operator has made it: nobody else needs to do anything"


def test_a_service_of_the_same_name_gets_a_secret_of_its_own(kubectl: Kubectl) -> None:
    kubectl.apply(service(serving=GENERATE))
    first = secret(kubectl, told(kubectl))
    kubectl.delete("infs", "mistral")
    # There is no garbage collector here, and what a predecessor left is waited for; its Secret is not in the way.
    left = "deployment,service,configmap,controllerrevision,networkpolicy"
    kubectl.delete_all(left, "fairlead.dev/service=mistral")

    kubectl.apply(service(serving=GENERATE))

    second = secret(kubectl, told(kubectl))
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert second["data"] != first["data"]
