"""Secrets are planted where a service uses them; then all that people are shown of it is searched, also after its engine died.

tests/api/test_secrets.py does the same with made-up words of an engine. Here a kubelet, containerd and a real engine have their say.
"""

import base64
import json
import os
import signal
from typing import Any

import pytest

from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local.stack import Stack
from fairlead_runtime.config import API_KEYS_PATH, HUB_TOKEN_PATH

from . import pods, shown
from .conftest import ENGINE_WITHIN, KEYS, apply, secret, service
from .test_serving import post

pytestmark = pytest.mark.timeout(900)

HUB_TOKEN = "hf_PlantedTokenOfTheHub"
#: Seconds for a scripted engine, which takes ten when nothing else is busy.
READY_WITHIN = 150
#: What a client sends that may not come in: nobody may read in a log what it tried.
GUESS = "planted-guess-of-a-key"
#: By place, what is there in any case: a place that was not really read shows no secret either.
SIGNS = {
    "the API": "terminated:",
    "kubectl describe": "Last State:",
    "the engine's log": "",
    "the log of the engine that died": "",
    "the engine's metrics": "fairlead_requests_total",
    "the engine's state": '"phase"',
    "the operator's log": "reconciled",
    "the operator's metrics": "fairlead_leader",
    "the kubelet's pods": '"terminated":',
    "the audit log": "audit.k8s.io",
    "containerd's containers": "/etc/fairlead/",
    "the processes' environment": "PYTHONSAFEPATH=1",
    "the processes' command lines": "fairlead_runtime",
}


def died_once(kubectl: Kubectl, name: str, process: bytes) -> dict[str, Any]:
    """Its only pod, once its engine has died and another one runs in the same pod. It is killed if nobody did so before."""
    (pod,) = pods.of(kubectl, name)
    if not pods.restarts(pod):
        for pid in pods.processes(pod, process):
            os.kill(pid, signal.SIGKILL)
    pods.wait(kubectl, name, ENGINE_WITHIN, lambda found: any(map(runs_again, found)), "an engine that runs again")
    (pod,) = pods.of(kubectl, name)
    return pod


def runs_again(pod: dict[str, Any]) -> bool:
    (row,) = pod["status"]["containerStatuses"]
    return "running" in row["state"] and "terminated" in row["lastState"] and pods.ready(pod)


def check(local: Stack, kubectl: Kubectl, pod: dict[str, Any], mounted: str, secrets: tuple[str, ...]) -> None:
    """Nothing is seen by a search that sees each where it is meant to be."""
    places = shown.places(local.cluster, kubectl, pod)

    read = {place for place, text in places.items() if text and SIGNS.get(place, "") in text}
    assert read == places.keys() > SIGNS.keys()
    given = [planted for planted in secrets if planted != GUESS]
    assert shown.seen({"the files": mounted}, secrets) == [f"{planted} in the files" for planted in given]
    assert shown.seen(places, secrets) == []


def test_keys_of_a_real_engine_are_shown_nowhere(local: Stack, served: str, kubectl: Kubectl) -> None:
    """The watchdog's test let it die; alone, this one does."""
    assert post(f"{served}/generate", b"{}", GUESS)[0] == 401
    pod = died_once(kubectl, "speaker", b"VLLM::EngineCore")

    keys = shown.mounted(pod, b"fairlead_runtime.server", API_KEYS_PATH)

    check(local, kubectl, pod, keys, (*KEYS, GUESS))


def test_a_key_that_is_made_and_a_hub_s_token_are_shown_nowhere(
    local: Stack, kubectl: Kubectl, scripted: dict[str, Any]
) -> None:
    apply(kubectl, secret("hub", token=HUB_TOKEN))
    # A commit is asked of no hub, and the scripted engine reads no model.
    model = {"revision": "0" * 40, "tokenSecretRef": {"name": "hub", "key": "token"}}
    apply(kubectl, service("sealed", "hf://org/model", **scripted, model=model, serving={"apiKey": "Generate"}))
    try:
        kubectl.run("wait", "--for=condition=Ready", "infs/sealed", f"--timeout={READY_WITHIN}s")
        status = kubectl.get("infs", "sealed")["status"]
        made = base64.b64decode(kubectl.get("secret", status["apiKeySecretName"])["data"]["keys"]).decode().strip()
        address = f"http://{kubectl.get('service', 'sealed')['spec']['clusterIP']}/generate"
        question = json.dumps({"prompt": "a", "max_tokens": 1}).encode()
        assert (post(address, question, made)[0], post(address, question, GUESS)[0]) == (200, 401)
        pod = died_once(kubectl, "sealed", b"fairlead_runtime.server")

        files = "".join(
            shown.mounted(pod, b"fairlead_runtime.server", file) for file in (API_KEYS_PATH, HUB_TOKEN_PATH)
        )

        check(local, kubectl, pod, files, (made, HUB_TOKEN, GUESS))
    finally:
        kubectl.run("delete", "infs", "sealed", "--wait=false")
