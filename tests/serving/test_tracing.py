"""A caller's trace context reaches the engine through guard, route and text engine."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from asking import until
from serving.process import Runtime, running

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}
TOLD = "scripted trace "


def traces(runtime: Runtime) -> list[Any]:
    """What the engine was given, in order."""
    return [json.loads(line.removeprefix(TOLD)) for line in runtime.log.splitlines() if line.startswith(TOLD)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/generate", {"prompt": "a", "max_tokens": 2}, id="one prompt"),
        pytest.param("/generate/batch", [{"prompt": "a", "max_tokens": 2}], id="a batch"),
    ],
)
def test_the_callers_trace_reaches_the_engine(tmp_path: Path, path: str, body: Any) -> None:
    with running(tmp_path) as runtime, httpx.Client(base_url=f"http://127.0.0.1:{runtime.port}") as client:
        assert client.post(path, json=body).status_code == 200
        assert client.post(path, json=body, headers=TRACE).status_code == 200

        # The log is another way than the answer's, through the supervisor.
        until(lambda: bool(traces(runtime)), "the trace in the log", 10)
        assert traces(runtime) == [TRACE]
