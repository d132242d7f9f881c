"""/generate and /generate/batch before a real engine: the model's own tokens, deadlines, and clients that leave."""

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from asking import until
from fairlead_runtime.guard_routes import ROUTES

from .serving import MAX_MODEL_LEN, READY_WITHIN, freed, seen_in_the_engine
from .starts import Started, configured, started

pytestmark = pytest.mark.timeout(400)

ASKED: dict[str, Any] = {"prompt": "fairlead is", "max_tokens": 12, "temperature": 0}
#: More than the engine can answer in the seconds that a test leaves it, and each item is short.
MANY: list[dict[str, Any]] = [{"prompt": "fairlead is", "max_tokens": 100}] * 512
#: Answers of hundreds of tokens mostly, and now and then a short one: eight at a time are never done at once.
LONG_ONE = {"prompt": "fairlead is", "max_tokens": 1800, "temperature": 2}


def test_generate_gives_the_text_of_the_openai_route(runtime: Started) -> None:
    with runtime.client() as client, runtime.openai() as openai_client:
        ours = client.post("/generate", json=ASKED).json()
        events = client.post("/generate", json={**ASKED, "stream": True}).text.split("\n\n")[:-2]
        theirs = openai_client.completions.create(model="tiny", **ASKED)

    assert theirs.usage is not None
    assert (ours["text"], ours["tokens_generated"]) == (theirs.choices[0].text, theirs.usage.completion_tokens)
    assert "".join(json.loads(event.removeprefix("data: "))["text"] for event in events) == ours["text"]


def test_defaults_and_the_limit_of_the_server_are_those_of_the_openai_route(tmp_path: Path) -> None:
    """A penalty that the tiny model's text does not outlast, and fewer tokens than are asked for."""
    override, asked = json.dumps({"repetition_penalty": 5.0, "max_new_tokens": 12}), {**ASKED, "max_tokens": 20}
    config = configured(extraArgs=["--enforce-eager", f"--override-generation-config={override}"])
    with started(tmp_path, config) as runtime:
        until(runtime.ready, "ready", READY_WITHIN)
        with runtime.client() as client:
            ours = client.post("/generate", json=asked).json()
        _, theirs = runtime.complete(**asked)

    assert (ours["text"], ours["tokens_generated"]) == (theirs["choices"][0]["text"], 12)
    assert ours["finish_reason"] == theirs["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({"prompt": "word " * (2 * MAX_MODEL_LEN)}, "prompt", id="a prompt longer than the model"),
        pytest.param({"prompt": "a", "max_tokens": MAX_MODEL_LEN}, "max_tokens", id="an answer longer than the model"),
        pytest.param({"prompt": "a", "stop": list("abcde")}, "stop", id="five stops"),
    ],
)
def test_limits_are_counted_in_the_models_tokens(runtime: Started, body: dict[str, Any], param: str) -> None:
    with runtime.client() as client:
        alone = client.post("/generate", json=body)
        first, item = client.post("/generate/batch", json=[ASKED, body]).json()

    assert (alone.status_code, alone.json()["error"]["param"]) == (400, param)
    assert (item["error"]["status"], item["error"]["param"]) == (400, f"[1].{param}")
    assert item["error"]["message"] == alone.json()["error"]["message"]
    assert first["text"]


def test_a_batch_gives_what_its_prompts_give_alone(runtime: Started) -> None:
    items = [{**ASKED, "prompt": prompt} for prompt in ("fairlead is", "A pod", "The key", "Ready means")]
    with runtime.client() as client:
        alone = [client.post("/generate", json=item).json()["text"] for item in items]
        together = client.post("/generate/batch", json=items).json()

    assert len(set(alone)) > 1
    assert [item["text"] for item in together] == alone


def eight_at_once(runtime: Started, ask: Callable[[httpx.Client], str]) -> list[str]:
    with runtime.client() as client, ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, [client] * 8))


@pytest.mark.parametrize("form", ["unary", "stream"])
def test_a_deadline_frees_the_engine(runtime: Started, form: str) -> None:
    def ask(client: httpx.Client) -> str:
        body, headers = {**LONG_ONE, "stream": form == "stream"}, {"X-Request-Timeout": "0.5"}
        return client.post("/generate", json=body, headers=headers).text

    with freed(runtime):
        told = eight_at_once(runtime, ask)

    assert any("deadline of 0.5 s" in text for text in told)


def stops_waiting(client: httpx.Client) -> str:
    with contextlib.suppress(httpx.ReadTimeout):
        client.post("/generate", json=LONG_ONE, timeout=0.5)
    return ""


def leaves_its_stream(client: httpx.Client) -> str:
    with client.stream("POST", "/generate", json={**LONG_ONE, "stream": True}) as answer:
        return next(answer.iter_lines())


@pytest.mark.parametrize("leave", [stops_waiting, leaves_its_stream])
def test_clients_that_leave_free_the_engine(runtime: Started, leave: Callable[[httpx.Client], str]) -> None:
    before = runtime.sample("fairlead_aborted_requests_total")
    with freed(runtime):
        eight_at_once(runtime, leave)

    until(lambda: runtime.sample("fairlead_requests_in_flight") == 0, "the guard has left them too", 5)
    assert runtime.sample("fairlead_aborted_requests_total") > before


def test_the_deadline_of_a_batch_frees_the_engine_and_keeps_what_is_answered(runtime: Started) -> None:
    with freed(runtime):
        answer = seen_in_the_engine(runtime, "/generate/batch", MANY, {"X-Request-Timeout": "4"})

    items = answer.json()
    assert (answer.status_code, len(items)) == (200, len(MANY))
    assert any(item.get("text") for item in items)
    assert {item["error"]["status"] for item in items if "error" in item} == {504}


def test_a_client_that_leaves_a_batch_frees_the_engine(runtime: Started) -> None:
    with freed(runtime), runtime.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/generate/batch", json=MANY, timeout=1)

    until(lambda: runtime.sample("fairlead_requests_in_flight") == 0, "the guard has left it too", 5)


def test_the_schema_has_every_served_route_and_no_other(runtime: Started) -> None:
    with runtime.client() as client:
        schema = client.get("/openapi.json").json()

    assert {(path, verb) for path, item in schema["paths"].items() for verb in item} == {
        (path, method.lower()) for path, method in ROUTES.items()
    }
    for item in schema["paths"].values():
        for operation in item.values():
            assert operation["summary"]
