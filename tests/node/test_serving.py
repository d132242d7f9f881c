"""From kubectl apply to an answer, on a real kubelet with a real vLLM."""

import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import pytest

from fairlead_cli.demo.kubectl import Kubectl
from proof.results import FULL
from serving.load import Clients, under

from . import operator_pod, pods
from .conftest import ENGINE_WITHIN, KEYS

pytestmark = pytest.mark.timeout(900)
KEY = KEYS[0]
#: Four streams and one whole answer at a time. They pause, since an engine that decodes without end leaves one that starts no CPU.
CLIENTS = Clients(pooled=2, fresh=1, library=1, whole=1, tokens=(60, 90), scripted=False, key=KEY, pause=2)


def client(address: str, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=60)


def post(url: str, body: bytes, key: str | None = KEY) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urlopen(Request(url, body, headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")


def get(url: str) -> int:
    try:
        with urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        return refused.code


def test_the_openai_client_gets_an_answer_in_words(served: str) -> None:
    with client(served) as openai_client:
        answer = openai_client.chat.completions.create(
            model="speaker", messages=[{"role": "user", "content": "What is fairlead?"}], temperature=0, max_tokens=64
        )

    assert "fairlead" in str(answer.choices[0].message.content)
    assert answer.choices[0].finish_reason in {"stop", "length"}


def test_a_stream_carries_the_same_text_as_the_unary_answer_and_ends_properly(served: str) -> None:
    question: Any = {
        "model": "speaker",
        "messages": [{"role": "user", "content": "What is a KV cache?"}],
        "temperature": 0,
        "max_tokens": 40,
    }
    with client(served) as openai_client:
        unary = openai_client.chat.completions.create(**question)
        chunks = list(openai_client.chat.completions.create(**question, stream=True))

    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == unary.choices[0].message.content
    assert choices[-1].finish_reason == unary.choices[0].finish_reason


def test_generate_answers_with_its_own_figures(served: str) -> None:
    code, answer = post(f"{served}/generate", json.dumps({"prompt": "fairlead is", "max_tokens": 8}).encode())

    assert code == 200
    assert 1 <= answer["tokens_generated"] <= 8
    assert answer["model"] == "speaker"
    assert answer["latency_seconds"] > 0
    assert answer["tokens_per_second"] > 0
    assert answer["request_id"]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        pytest.param(b"{", "body", id="bad JSON"),
        pytest.param(b'{"prompt": ""}', "prompt", id="an empty prompt"),
        pytest.param(b'{"prompt": "a", "max_tokens": 5000}', "max_tokens", id="more tokens than the model has"),
        pytest.param(b'{"prompt": "a", "temperature": 2.5}', "temperature", id="a temperature out of range"),
        pytest.param(b'{"prompt": "a", "stop": ["1", "2", "3", "4", "5"]}', "stop", id="more than four stops"),
    ],
)
def test_a_bad_request_is_refused_naming_the_parameter(served: str, body: bytes, parameter: str) -> None:
    code, answer = post(f"{served}/generate", body)

    assert code == 400
    assert parameter in json.dumps(answer)


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize("route", ["/generate", "/v1/chat/completions", "/v1/completions", "/tokenize"])
def test_without_a_right_key_every_route_is_closed(served: str, route: str, key: str | None) -> None:
    assert post(f"{served}{route}", b"{}", key)[0] == 401


def test_health_needs_no_key_and_the_metrics_are_not_on_the_serving_port(served: str) -> None:
    assert get(f"{served}/health") == 200
    assert get(f"{served}/metrics") in {401, 404}


def test_every_key_of_the_secret_is_good(served: str) -> None:
    assert post(f"{served}/generate", b'{"prompt": "a", "max_tokens": 1}', KEYS[1])[0] == 200


def test_the_pod_shows_its_own_metrics_beside_the_engines(served: str, kubectl: Kubectl) -> None:
    pod = kubectl.get("pods", "-l", "fairlead.dev/service=speaker")["items"][0]
    with urlopen(f"http://{pod['status']['podIP']}:9090/metrics", timeout=10) as answer:
        text = answer.read().decode()

    for name in ("vllm:generation_tokens_total", "fairlead_requests_total", "fairlead_startup_phase_seconds"):
        assert name in text


@pytest.mark.counted
@pytest.mark.timeout(2400)
def test_a_real_engine_loses_nothing_when_it_is_scaled_rolled_out_and_evicted(
    served: str, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    """What tests/node/test_loss.py counts with a scripted engine, with vLLM: as much as two cores bear beside engines that start."""
    kubectl.run("scale", "infs/speaker", "--replicas=2")
    kubectl.run("wait", "--for=jsonpath={.status.readyReplicas}=2", "infs/speaker", f"--timeout={ENGINE_WITHIN}s")
    kubectl.run("wait", "--for=condition=Ready", "infs/speaker", "--timeout=60s")

    def under_load(what: str, event: Callable[[], None]) -> None:
        with (
            pods.answers_come_after_starts(kubectl, "speaker"),
            under((served.removeprefix("http://"), 80), "speaker", CLIENTS) as counts,
        ):
            event()
        with capsys.disabled():
            print(f"\n{counts.figures(f'{what}, vLLM')}", flush=True)
        assert (len(counts.lost), counts.lost[:5]) == (0, [])

    def roll_out(strategy: str, sequences: int) -> None:
        former = pods.names(pods.of(kubectl, "speaker"))
        change = {"spec": {"rollout": {"strategy": strategy}, "engine": {"maxNumSeqs": sequences}}}
        kubectl.run("patch", "infs", "speaker", "--type=merge", "-p", json.dumps(change))
        begun = lambda found: bool(pods.names(found) - former)  # noqa: E731
        pods.wait(kubectl, "speaker", ENGINE_WITHIN, begun, "a new pod")
        operator_pod.kill(kubectl)
        pods.wait_ready(kubectl, "speaker", 2 * ENGINE_WITHIN, 2, without=former)
        operator_pod.wait_to_lead(kubectl)

    def evict() -> None:
        evicted = min(pods.names(pods.of(kubectl, "speaker")))
        pods.evict(kubectl, evicted)
        pods.wait_ready(kubectl, "speaker", ENGINE_WITHIN, 2, without={evicted})

    def scale_down() -> None:
        kubectl.run("scale", "infs/speaker", "--replicas=1")
        pods.wait_ready(kubectl, "speaker", ENGINE_WITHIN, 1)

    under_load("rollout (Surge) of 2 replicas, operator killed", lambda: roll_out("Surge", 64))
    if FULL:  # two starts more
        under_load("rollout (Replace) of 2 replicas, operator killed", lambda: roll_out("Replace", 63))
    under_load("eviction of 1 of 2 replicas", evict)
    under_load("scale-down from 2 to 1", scale_down)
    kubectl.run("wait", "--for=jsonpath={.status.replicas}=1", "infs/speaker", "--timeout=120s")
    assert get(f"{served}/health") == 200


def test_the_status_tells_what_runs(served: str, kubectl: Kubectl) -> None:
    assert served
    found = kubectl.get("infs", "speaker")["status"]

    assert found["url"] == "http://speaker.node-tests.svc/v1"
    assert found["selector"] == "fairlead.dev/service=speaker"
    assert "Ready" in kubectl.run("describe", "infs", "speaker")
