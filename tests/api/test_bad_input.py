"""What a spec may not reach for: the second name of everything that would open the pod is refused before any pod exists."""

from typing import Any

import pytest

from api.cluster import Kubectl, conditions, eventually, service

pytestmark = pytest.mark.usefixtures("operator")


def _args(*arguments: str) -> dict[str, Any]:
    return {"engine": {"extraArgs": list(arguments)}}


def _env(name: str, value: str = "1") -> dict[str, Any]:
    return {"engine": {"env": [{"name": name, "value": value}]}}


@pytest.mark.parametrize(
    ("spec", "item"),
    [
        pytest.param(_args("--port=9999"), "--port", id="another port"),
        pytest.param(_args("--host", "0.0.0.0"), "--host", id="another address"),
        pytest.param(_args("--api_key=mine"), "api", id="a key of one's own, in another spelling"),
        pytest.param(_args("--enable-auto-tool-choice", "--uds=/tmp/x"), "--uds", id="a socket, behind a harmless argument"),
        pytest.param(_env("VLLM_SERVER_DEV_MODE"), "VLLM_SERVER_DEV_MODE", id="development mode"),
        pytest.param(_env("VLLM_API_KEY"), "VLLM_API_KEY", id="a key by variable"),
        pytest.param(_env("LD_PRELOAD", "/x.so"), "LD_PRELOAD", id="code loaded by the linker"),
        pytest.param(_env("PYTHONPATH", "/x"), "PYTHONPATH", id="code loaded by Python"),
        pytest.param(_env("VLLM_PLUGINS", "x"), "VLLM_PLUGINS", id="code loaded by the engine"),
        pytest.param(_env("VLLM_PORT", "1"), "VLLM_PORT", id="another port by variable"),
    ],
)  # fmt: skip
def test_what_would_open_the_pod_is_refused_and_named(kubectl: Kubectl, spec: dict[str, Any], item: str) -> None:
    kubectl.apply(service(**spec))

    eventually(
        lambda: conditions(kubectl.get("infs", "mistral")).get("Accepted", {}).get("status") == "False", "a verdict"
    )

    found = conditions(kubectl.get("infs", "mistral"))
    assert found["Accepted"]["reason"] == found["Stalled"]["reason"] == found["Ready"]["reason"] == "DeniedArgument"
    assert item in found["Accepted"]["message"]
    assert kubectl.get("deployment", "mistral") is None
    assert kubectl.items("configmap", "fairlead.dev/service=mistral") == []
