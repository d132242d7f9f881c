"""An engine that hangs in its pod is found, said, and started again by itself."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from fairlead_cli.demo.kubectl import Kubectl

from . import pods
from .conftest import ENGINE_WITHIN, wait_for_reason
from .test_serving import post

pytestmark = pytest.mark.timeout(900)

ENGINE = b"VLLM::EngineCore"
REASON = "EngineStalled"
#: Seconds from the hang to the end of the container: 60 without a step, 10 for the canary, the rest for a busy machine.
FOUND_WITHIN = 120


# The specs that cannot work come to their ends meanwhile: all that happens here takes a minute of waiting.
@pytest.mark.usefixtures("wrong")
def test_an_engine_that_hangs_is_found_and_started_again(
    served: str, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    # A replica that another test took away may still finish.
    pods.wait_ready(kubectl, "speaker", ENGINE_WITHIN, 1)
    (before,) = pods.of(kubectl, "speaker")
    question = json.dumps({"prompt": "fairlead is", "max_tokens": 8}).encode()

    for pid in pods.processes(before, ENGINE):
        os.kill(pid, signal.SIGSTOP)
    stopped = time.time()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, f"{served}/generate", question)
        condition = wait_for_reason(kubectl, "speaker", "EngineHealthy", REASON)
    # The status tells the end before the kubelet has started the container again, which makes that end its last one.
    pods.wait(
        kubectl,
        "speaker",
        ENGINE_WITHIN,
        lambda found: any(pods.restarts(pod) > pods.restarts(before) for pod in found),
        "a restart",
    )
    (hung,) = pods.of(kubectl, "speaker")
    ended = hung["status"]["containerStatuses"][0]["lastState"]["terminated"]
    found = datetime.fromisoformat(ended["finishedAt"]).timestamp() - stopped
    with capsys.disabled():
        print(f"\nSIGSTOP of the engine: found after {found:.0f} s")

    # Its deadline came first. It must not hide the hang.
    assert asked.result()[0] == 504
    assert condition["status"] == "False"
    assert "is stopped" in condition["message"]
    assert ended["exitCode"] == 70
    assert found < FOUND_WITHIN

    kubectl.run("wait", "--for=condition=Ready", "infs/speaker", f"--timeout={ENGINE_WITHIN}s")
    (after,) = pods.of(kubectl, "speaker")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert pods.restarts(after) == pods.restarts(before) + 1
    assert post(f"{served}/generate", question)[0] == 200
    # What happened stays readable.
    failure = kubectl.get("infs", "speaker")["status"]["lastFailure"]
    assert (failure["code"], failure["pod"]) == (REASON, before["metadata"]["name"])
    told = kubectl.get("events", f"--field-selector=involvedObject.name=speaker,reason={REASON}")["items"]
    assert [event["type"] for event in told] == ["Warning"] * len(told) != []
