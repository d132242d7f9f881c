"""What the demo asks the model, and what it reads off the pod: plain HTTP, as any client would."""

import json
from typing import Any
from urllib.request import Request, urlopen

#: Seconds for one answer of a small model on two cores.
ANSWER_WITHIN = 120
#: The metrics that the demo shows; a pod has many more.
METRICS = (
    "vllm:generation_tokens_total",
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
    "fairlead_requests_total",
    "fairlead_startup_phase_seconds",
)


def post(url: str, body: dict[str, Any]) -> Any:
    """The JSON answer to a JSON question. Raises urllib.error.URLError."""
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=ANSWER_WITHIN) as answer:  # noqa: S310  our own cluster's address
        return json.load(answer)


def chat(address: str, model: str, question: str) -> str:
    """One turn through the OpenAI API."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 96}
    return str(post(f"{address}/v1/chat/completions", body)["choices"][0]["message"]["content"]).strip()


def generate(address: str, prompt: str) -> dict[str, Any]:
    """One completion through fairlead's own route."""
    answer: dict[str, Any] = post(f"{address}/generate", {"prompt": prompt, "max_tokens": 32, "temperature": 0})
    return answer


def metrics(address: str) -> list[str]:
    """The lines of the pod's /metrics that the demo shows."""
    with urlopen(f"{address}/metrics", timeout=10) as answer:  # noqa: S310  our own cluster's address
        lines = answer.read().decode().splitlines()
    return [line for line in lines if line.startswith(METRICS)]
