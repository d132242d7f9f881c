"""What the demo asks the model, and what it reads off the pod: plain HTTP, as any client would."""

import json
from http.client import HTTPException
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from fairlead_cli.local.errors import LocalError

#: Seconds for one answer of a small model on two cores.
ANSWER_WITHIN = 120
METRICS_WITHIN = 10
#: The metrics that the demo shows; a pod has many more.
METRICS = (
    "vllm:generation_tokens_total",
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "fairlead_requests_total",
    "fairlead_startup_phase_seconds",
)
#: The cluster is on this machine: no proxy that is set here leads to it.
_OPENER = build_opener(ProxyHandler({}))


class NoAnswer(LocalError):  # noqa: N818
    """A pod that is Ready was asked and did not answer."""


def ask(url: str, seconds: float, body: dict[str, Any] | None = None) -> str:
    """The text of an answer, to a JSON question if there is a body. Raises NoAnswer."""
    question = json.dumps(body).encode() if body else None
    request = Request(url, question, {"Content-Type": "application/json"})  # noqa: S310  our own cluster's address
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            return str(answer.read().decode())
    except (OSError, HTTPException) as error:  # refusals by status are OSErrors too
        raise NoAnswer(f"{url} gave no answer: {error}\nSee: fairlead why") from error


def post(url: str, body: dict[str, Any]) -> Any:
    """The JSON answer to a JSON question. Raises NoAnswer."""
    return json.loads(ask(url, ANSWER_WITHIN, body))


def chat(address: str, model: str, question: str) -> str:
    """One turn through the OpenAI API."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 96}
    return str(post(f"{address}/v1/chat/completions", body)["choices"][0]["message"]["content"]).strip()


def generate(address: str, prompt: str) -> dict[str, Any]:
    """One completion through fairlead's own route."""
    answer: dict[str, Any] = post(f"{address}/generate", {"prompt": prompt, "max_tokens": 32, "temperature": 0})
    return answer


def metrics(address: str) -> list[str]:
    """The lines of the pod's /metrics that the demo shows. Raises NoAnswer."""
    return [line for line in ask(f"{address}/metrics", METRICS_WITHIN).splitlines() if line.startswith(METRICS)]
