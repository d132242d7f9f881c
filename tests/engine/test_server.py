"""The runtime as one process tree on this machine: supervisor, front end and a real vLLM on the CPU. No cluster."""

import json
import os
import re
import signal
import subprocess
import time
from typing import Any

import pytest

from asking import until
from fairlead_runtime.guard_routes import ROUTES

from .environment import engine_python
from .serving import ENDLESS, LONG, MAX_MODEL_LEN, finish_reasons, freed, seen_in_the_engine, three_streams
from .starts import API_KEY, ROOT, Started

KEY = {"Authorization": f"Bearer {API_KEY}"}

pytestmark = pytest.mark.timeout(600)


ROUTES_OF_VLLM = """
import json
if __name__ == "__main__":
    from fairlead_runtime import engine_shim
    vllm = engine_shim.load()
    args = vllm.make_arg_parser(vllm.argument_parser()).parse_args(["--model", "x"])
    routes = vllm.build_app(args, ("generate",), None).routes
    print(json.dumps([[method, route.path] for route in routes for method in getattr(route, "methods", None) or ["GET"]]))
"""


@pytest.fixture(scope="session")
def routes_of_vllm(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """All routes of this vLLM's application, those of its development mode too."""
    script = tmp_path_factory.mktemp("routes") / "routes.py"
    script.write_text(ROUTES_OF_VLLM)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "runtime"), "VLLM_SERVER_DEV_MODE": "1"}
    result = subprocess.run(
        [engine_python(), "-P", str(script)], env=environment, capture_output=True, text=True, check=True, timeout=180
    )
    return [(method, path) for method, path in json.loads(result.stdout.splitlines()[-1])]


def test_no_route_of_vllm_answers_without_a_key(runtime: Started, routes_of_vllm: list[tuple[str, str]]) -> None:
    assert len(routes_of_vllm) > 40
    with runtime.client() as client:
        for method, path in routes_of_vllm:
            answer = client.request(method, path, headers={"Authorization": ""})
            assert answer.status_code == (200 if (method, path) == ("GET", "/health") else 401), (method, path)


def test_with_a_key_only_the_listed_routes_exist(runtime: Started, routes_of_vllm: list[tuple[str, str]]) -> None:
    with runtime.client() as client:
        served = {path for method, path in routes_of_vllm if client.request(method, path).status_code not in (404, 405)}

        assert served == set(ROUTES) - {"/generate", "/generate/batch"}
        assert {"/collective_rpc", "/metrics", "/docs", "/invocations", "/pause"}.isdisjoint(served)


@pytest.mark.parametrize("route", ["/generate", "/v1/completions", "/v1/chat/completions"])
def test_a_prompt_of_more_characters_than_any_tokens_hold_is_refused_before_it_is_tokenized(
    runtime: Started, route: str
) -> None:
    text = "word " * 200_000
    asked = {"messages": [{"role": "user", "content": text}]} if "chat" in route else {"prompt": text}
    with runtime.client() as client:
        answer = client.post(route, json={**asked, "max_tokens": 1})

    assert answer.status_code == 400
    assert re.search(r"contains \d{7} characters", answer.json()["error"]["message"])


#: Requests that go on until something ends them.
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "fairlead", "max_tokens": ENDLESS},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "fairlead"}], "max_tokens": ENDLESS},
    "/v1/responses": {"input": "fairlead", "max_output_tokens": ENDLESS},
}


@pytest.mark.parametrize("form", ["unary", "stream"])
@pytest.mark.parametrize("route", REQUESTS)
def test_a_deadline_frees_the_engine(runtime: Started, route: str, form: str) -> None:
    body = {**REQUESTS[route], "model": "tiny", "ignore_eos": True, "stream": form == "stream"}
    with freed(runtime):
        answer = seen_in_the_engine(runtime, route, body, {"X-Request-Timeout": "1"})

    assert answer.status_code == (504 if form == "unary" else 200)
    assert "deadline_exceeded" in answer.text
    assert "[DONE]" not in answer.text


def test_a_client_that_leaves_frees_the_engine(runtime: Started) -> None:
    body = {**LONG, "max_tokens": ENDLESS, "stream": True}
    with (
        freed(runtime),
        runtime.client() as client,
        client.stream("POST", "/v1/completions", json=body) as answer,
    ):
        next(answer.iter_lines())

    until(lambda: runtime.sample("fairlead_requests_in_flight") == 0, "the guard has left it too", 5)


def test_metrics_and_state_hold_both_sides(runtime: Started) -> None:
    with runtime.client() as client:
        tokens = runtime.sample("fairlead_generated_tokens_total")
        client.post("/generate", json={"prompt": "fairlead", "max_tokens": 5}).raise_for_status()

    assert runtime.sample("fairlead_generated_tokens_total") > tokens
    assert runtime.sample("fairlead_generated_tokens_total") == runtime.sample("vllm:generation_tokens_total")
    state = runtime.state()
    assert (state["phase"], state["ready"], state["model"]["maxModelLen"]) == ("ready", True, MAX_MODEL_LEN)
    assert state["memory"]["kvCacheTokens"] > MAX_MODEL_LEN


def test_state_tells_what_the_engine_is_busy_with_and_for_how_long_it_was_not(runtime: Started) -> None:
    def busy(name: str) -> int:
        return int(runtime.state()["inflight"][name])

    body = {**LONG, "max_tokens": ENDLESS, "stream": True}
    with runtime.client() as client, client.stream("POST", "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()  # kept: its end would end the request
        next(lines)
        until(lambda: busy("running") == 1, "the request is seen", 5)
        assert busy("idleSeconds") == 0
    until(lambda: busy("running") == 0 and busy("idleSeconds") >= 2, "idleness", 10)

    with runtime.client() as client:
        client.post("/generate", json={"prompt": "fairlead", "max_tokens": 1}).raise_for_status()
    until(lambda: busy("idleSeconds") < 2, "a short request counts, though it was never seen running", 3)


@pytest.mark.last
def test_a_killed_engine_ends_the_runtime_at_once_with_its_cause(runtime: Started) -> None:
    (engine,) = runtime.processes("EngineCore")
    with three_streams(runtime, tokens=MAX_MODEL_LEN - 48) as streams:
        os.kill(engine, signal.SIGKILL)
        killed = time.monotonic()
        code = runtime.process.wait(10)

    assert code not in (0, 70)
    assert time.monotonic() - killed < 5
    cut = [lines for lines in streams if finish_reasons(lines) == []]
    assert cut, "all streams were complete before the kill"
    assert all(any('"error"' in line for line in lines) for lines in cut), [lines[-2:] for lines in cut]
    assert runtime.record()["code"] == "EngineDied"
    assert "SIGKILL" in runtime.record()["message"]
