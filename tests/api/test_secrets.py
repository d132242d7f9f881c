"""Secrets are planted where a service uses them; then everything that people and logs are shown is searched for them."""

import base64
from typing import Any

import pytest

from api import pods
from api.cluster import Kubectl, Manifest, conditions, eventually, service
from api.operators import OperatorProcess

API_KEY = "planted-api-key-of-the-team"
HUB_TOKEN = "hf_PlantedTokenOfTheHub"
PASSWORD = "planted-password-of-the-proxy"
PLANTED = (API_KEY, HUB_TOKEN, PASSWORD)
SPEC: dict[str, Any] = {
    "model": {"uri": "hf://org/model", "tokenSecretRef": {"name": "hub", "key": "token"}},
    "serving": {"apiKeySecretRef": {"name": "keys", "key": "keys"}},
    "engine": {"env": [{"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}]},
}
#: What people are shown. Secrets themselves are not among it.
SHOWN = "infs,deployments,services,configmaps,controllerrevisions,networkpolicies,events,events.events.k8s.io"


def plant(kubectl: Kubectl, name: str, key: str, value: str) -> None:
    data = {key: base64.b64encode(value.encode()).decode()}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})


def template(kubectl: Kubectl) -> Manifest:
    found = eventually(lambda: kubectl.get("deployment", "mistral"), "Deployment")
    pod: Manifest = found["spec"]["template"]["spec"]
    return pod


@pytest.fixture
def planted(kubectl: Kubectl) -> Kubectl:
    plant(kubectl, "keys", "keys", API_KEY)
    plant(kubectl, "hub", "token", HUB_TOKEN)
    plant(kubectl, "proxy", "url", f"http://user:{PASSWORD}@proxy.test")
    kubectl.apply(service(**SPEC))
    return kubectl


@pytest.mark.usefixtures("operator")
def test_pods_name_secrets_and_hold_none(planted: Kubectl) -> None:
    (container,) = template(planted)["containers"]
    proxy = next(variable for variable in container["env"] if variable["name"] == "HTTPS_PROXY")
    mounted = {v["name"]: v["secret"]["secretName"] for v in template(planted)["volumes"] if "secret" in v}

    assert proxy == {"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}
    assert mounted == {"api-keys": "keys", "hub-token": "hub"}
    # As variables they would be in every listing of the environment, and in what a crash dumps.
    assert not {"HF_TOKEN", "VLLM_API_KEY", "HUGGING_FACE_HUB_TOKEN"} & {each["name"] for each in container["env"]}


def test_what_an_engine_blurts_out_at_its_end_is_told_without_secrets(
    planted: Kubectl, operator: OperatorProcess
) -> None:
    blurted = (
        f"starting the engine\nHF_TOKEN={HUB_TOKEN}\nAuthorization: Bearer {API_KEY}\n"
        f"proxy http://user:{PASSWORD}@proxy.test\nlast line of the log"
    )
    pod = pods.make(planted, "mistral", "a")
    pods.set_status(planted, pod, pods.killed(blurted))

    def healthy() -> Manifest:
        return conditions(planted.get("infs", "mistral")).get("EngineHealthy", {})

    eventually(lambda: "last line of the log" in str(healthy().get("message")), "the engine's last words")
    eventually(lambda: "EngineDied" in planted("get", "events.events.k8s.io", "-o", "yaml"), "an event")
    everything = planted("get", SHOWN, "-o", "yaml") + planted("describe", "infs") + operator.log.read_text()
    everything += operator.get("/metrics")[1]

    assert [secret for secret in PLANTED if secret in everything] == []
    encoded = [base64.b64encode(secret.encode()).decode() for secret in PLANTED]
    assert [secret for secret in encoded if secret in everything] == []
