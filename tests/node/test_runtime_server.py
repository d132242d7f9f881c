"""The runtime as one process tree on this machine: supervisor, front end and a real vLLM on the CPU. No cluster.

The engine's Python is the one that runs the tests if it has vLLM, else FAIRLEAD_ENGINE_PYTHON.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "model" / "weights"
KEY = {"Authorization": "Bearer sesame"}
MAX_MODEL_LEN = 512
#: Seconds until an engine on two busy cores is ready.
READY_WITHIN = 240
#: Long enough to be running when something happens to it; ends by length, never by the model's own end token.
LONG: dict[str, Any] = {"model": "tiny", "prompt": "fairlead", "max_tokens": 450, "ignore_eos": True}

pytestmark = pytest.mark.timeout(600)


def engine_python() -> str:
    if importlib.util.find_spec("vllm"):
        return sys.executable
    python = os.environ.get("FAIRLEAD_ENGINE_PYTHON", "")
    if not python:
        pytest.skip("no vLLM here; FAIRLEAD_ENGINE_PYTHON can name a Python that has it")
    return python


@dataclass
class Runtime:
    process: "subprocess.Popen[bytes]"
    port: int
    management: int
    termination: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=KEY, timeout=120, trust_env=False)

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key="sesame", max_retries=0)

    def managed(self, path: str) -> tuple[int, str]:
        """GET on the management port; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.management, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError:
                return 0, ""

    def sample(self, name: str) -> float:
        """The sum of one metric over its labels."""
        lines = self.managed("/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def processes(self, name: str) -> list[int]:
        """Pids in this runtime's tree whose command line holds `name`."""
        found, parents = [], [self.process.pid]
        while parents:
            parent = parents.pop()
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                parents += [int(pid) for pid in children.read_text().split()]
            with contextlib.suppress(FileNotFoundError):
                if name in Path(f"/proc/{parent}/cmdline").read_text():
                    found.append(parent)
        return found


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Runtime]:
    """A runtime that is ready; killed at the end if it still runs."""
    config = {
        "model": {"servedName": "tiny", "path": str(MODEL)},
        "engine": {
            "maxModelLen": MAX_MODEL_LEN,
            "maxNumSeqs": 8,
            "kvCacheMemoryBytes": 128 * 1024 * 1024,
            "extraArgs": ["--enforce-eager"],
        },
        "device": "CPU",
        "serving": {"requireApiKey": True, "requestTimeoutSeconds": 60, "drainSeconds": 60},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "keys").write_text("sesame\n")
    ports = free_port(), free_port()
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "runtime"),
        "FAIRLEAD_CONFIG": str(folder / "config.json"),
        "FAIRLEAD_API_KEYS": str(folder / "keys"),
        "FAIRLEAD_SERVING_PORT": str(ports[0]),
        "FAIRLEAD_MANAGEMENT_PORT": str(ports[1]),
        "FAIRLEAD_TERMINATION_PATH": str(folder / "termination"),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [engine_python(), "-P", "-m", "fairlead_runtime"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    runtime = Runtime(process, *ports, folder / "termination")

    def ready_or_gone() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-4000:]
        return runtime.managed("/readyz")[0] == 200

    try:
        wait_until(ready_or_gone, READY_WITHIN, "ready")
        yield runtime
    finally:
        if process.poll() is None:
            process.terminate()
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with running(tmp_path_factory.mktemp("runtime")) as runtime:
        yield runtime


@pytest.fixture
def own_runtime(tmp_path: Path) -> Iterator[Runtime]:
    """For tests that end it."""
    with running(tmp_path) as runtime:
        yield runtime


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


def test_no_route_of_vllm_answers_without_a_key(runtime: Runtime, routes_of_vllm: list[tuple[str, str]]) -> None:
    assert len(routes_of_vllm) > 40
    with runtime.client() as client:
        for method, path in routes_of_vllm:
            answer = client.request(method, path, headers={"Authorization": ""})
            assert answer.status_code == (200 if (method, path) == ("GET", "/health") else 401), (method, path)


def test_with_a_key_only_the_listed_routes_exist(runtime: Runtime, routes_of_vllm: list[tuple[str, str]]) -> None:
    with runtime.client() as client:
        served = {path for method, path in routes_of_vllm if client.request(method, path).status_code not in (404, 405)}

        assert served == set(client.get("/openapi.json").json()["paths"]) - {"/generate"} | {"/openapi.json"}
        assert {"/collective_rpc", "/metrics", "/docs", "/invocations", "/pause"}.isdisjoint(served)


def test_the_openai_client_unary_and_streaming(runtime: Runtime) -> None:
    with runtime.openai() as client:
        unary = client.completions.create(model="tiny", prompt="fairlead is", max_tokens=12, temperature=0)
        chunks = list(
            client.completions.create(
                model="tiny",
                prompt="fairlead is",
                max_tokens=12,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        )

    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in choices) == unary.choices[0].text
    assert choices[-1].finish_reason == unary.choices[0].finish_reason
    assert chunks[-1].usage is not None
    assert unary.usage is not None
    assert chunks[-1].usage.completion_tokens == unary.usage.completion_tokens


def test_generate_gives_the_text_of_the_openai_route(runtime: Runtime) -> None:
    asked: dict[str, Any] = {"prompt": "fairlead is", "max_tokens": 12, "temperature": 0}
    with runtime.client() as client, runtime.openai() as openai_client:
        ours = client.post("/generate", json=asked).json()
        events = client.post("/generate", json={**asked, "stream": True}).text.split("\n\n")[:-2]
        theirs = openai_client.completions.create(model="tiny", **asked)

    assert theirs.usage is not None
    assert (ours["text"], ours["tokens_generated"]) == (theirs.choices[0].text, theirs.usage.completion_tokens)
    assert "".join(json.loads(event.removeprefix("data: "))["text"] for event in events) == ours["text"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({"prompt": "word " * 2000}, "prompt", id="a prompt longer than the model"),
        pytest.param({"prompt": "a", "max_tokens": MAX_MODEL_LEN}, "max_tokens", id="an answer longer than the model"),
        pytest.param({"prompt": "a", "stop": list("abcde")}, "stop", id="five stops"),
    ],
)
def test_limits_are_counted_in_the_models_tokens(runtime: Runtime, body: dict[str, Any], param: str) -> None:
    with runtime.client() as client:
        answer = client.post("/generate", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("form", ["unary", "stream"])
@pytest.mark.parametrize("route", ["/v1/completions", "/v1/chat/completions"])
def test_a_deadline_frees_the_engine(runtime: Runtime, route: str, form: str) -> None:
    message = {"messages": [{"role": "user", "content": "fairlead"}]}
    body = {**LONG, "stream": form == "stream"} | (message if "chat" in route else {})
    if "chat" in route:
        del body["prompt"]
    with runtime.client() as client:
        answer = client.post(route, json=body, headers={"X-Request-Timeout": "0.1"})

    assert answer.status_code == (504 if form == "unary" else 200)
    assert "deadline_exceeded" in answer.text
    assert "[DONE]" not in answer.text
    wait_until(lambda: runtime.sample("vllm:num_requests_running") == 0, 5, "no request in the engine")
    assert runtime.sample("vllm:kv_cache_usage_perc") == 0


def test_a_client_that_leaves_frees_the_engine(runtime: Runtime) -> None:
    with runtime.client() as client, client.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as answer:
        next(answer.iter_lines())

    wait_until(lambda: runtime.sample("vllm:num_requests_running") == 0, 5, "no request in the engine")
    assert runtime.sample("fairlead_requests_in_flight") == 0


def test_metrics_and_state_hold_both_sides(runtime: Runtime) -> None:
    with runtime.client() as client:
        tokens = runtime.sample("fairlead_generated_tokens_total")
        client.post("/generate", json={"prompt": "fairlead", "max_tokens": 5}).raise_for_status()

    assert runtime.sample("fairlead_generated_tokens_total") > tokens
    assert runtime.sample("fairlead_generated_tokens_total") == runtime.sample("vllm:generation_tokens_total")
    state = json.loads(runtime.managed("/state")[1])
    assert (state["phase"], state["ready"], state["model"]["maxModelLen"]) == ("ready", True, MAX_MODEL_LEN)
    assert state["memory"]["kvCacheTokens"] > MAX_MODEL_LEN


def stream(runtime: Runtime, lines: list[str], started: threading.Barrier) -> None:
    with runtime.client() as client, client.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as answer:
        for line in answer.iter_lines():
            if not lines:
                started.wait(60)
            if line:
                lines.append(line)


@contextlib.contextmanager
def three_streams(runtime: Runtime) -> Iterator[list[list[str]]]:
    """Their lines; inside, all three have begun; after, all have ended."""
    streams: list[list[str]] = [[], [], []]
    started = threading.Barrier(4)
    threads = [threading.Thread(target=stream, args=(runtime, lines, started)) for lines in streams]
    for thread in threads:
        thread.start()
    started.wait(60)
    yield streams
    for thread in threads:
        thread.join(60)


def finish_reasons(lines: list[str]) -> list[str]:
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"]
    return [
        choice["finish_reason"] for event in events for choice in event.get("choices", ()) if choice["finish_reason"]
    ]


def test_sigterm_loses_nothing(own_runtime: Runtime) -> None:
    with three_streams(own_runtime) as streams:
        own_runtime.process.send_signal(signal.SIGTERM)
        with own_runtime.client() as client:
            wait_until(lambda: client.get("/health").headers.get("connection") == "close", 3, "a lame duck")
            assert client.post("/generate", json={"prompt": "fairlead", "max_tokens": 2}).status_code == 200

    for lines in streams:
        assert (finish_reasons(lines), lines[-1]) == (["length"], "data: [DONE]")
    assert own_runtime.process.wait(30) == 0
    assert not own_runtime.termination.exists() or own_runtime.termination.read_text() == ""


def test_a_killed_engine_ends_the_runtime_at_once_with_its_cause(own_runtime: Runtime) -> None:
    (engine,) = own_runtime.processes("EngineCore")
    with three_streams(own_runtime) as streams:
        os.kill(engine, signal.SIGKILL)
        killed = time.monotonic()
        code = own_runtime.process.wait(10)

    assert code not in (0, 70)
    assert time.monotonic() - killed < 5
    cut = [lines for lines in streams if finish_reasons(lines) == []]
    assert cut  # a stream may have been complete before the kill
    assert all(any('"error"' in line for line in lines) for lines in cut), [lines[-2:] for lines in cut]
    assert json.loads(own_runtime.termination.read_text())["code"] == "EngineDied"
