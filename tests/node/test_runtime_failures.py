"""What a real vLLM on the CPU says when it cannot start, and what the runtime makes of it. One process tree each, no cluster.

These hold the catalogue of diagnosis.py to the engine's own texts: a release of vLLM that words a failure otherwise turns them red.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.test_runtime_server import MODEL, ROOT, engine_python, free_port

#: Seconds until an engine on two busy cores has failed.
ENDS_WITHIN = 300

pytestmark = pytest.mark.timeout(400)


def ended(folder: Path, config: dict[str, Any], port: int) -> tuple[int, dict[str, str]]:
    """Exit code and record of a runtime with `config`, which must end by itself."""
    (folder / "config.json").write_text(json.dumps(config))
    environ = os.environ | {
        "PYTHONPATH": str(ROOT / "runtime"),
        "FAIRLEAD_CONFIG": str(folder / "config.json"),
        "FAIRLEAD_SERVING_PORT": str(port),
        "FAIRLEAD_MANAGEMENT_PORT": str(free_port()),
        "FAIRLEAD_TERMINATION_PATH": str(folder / "termination"),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [engine_python(), "-P", "-m", "fairlead_runtime"], env=environ, stdout=log, stderr=log
        )
        try:
            code = process.wait(ENDS_WITHIN)
        finally:
            process.kill()
            process.wait()
    return code, json.loads((folder / "termination").read_text())


def configured(*, path: str = str(MODEL), parallelism: dict[str, int] | None = None, **engine: Any) -> dict[str, Any]:
    settings = {"maxModelLen": 256, "kvCacheMemoryBytes": 64 * 2**20, "extraArgs": ["--enforce-eager"]} | engine
    return {
        "model": {"servedName": "tiny", "path": path},
        "engine": {name: value for name, value in settings.items() if value is not None},
        "parallelism": parallelism or {},
        "device": "CPU",
    }


@pytest.mark.parametrize(
    ("config", "code", "field", "suggestion", "said"),
    [
        pytest.param(
            configured(maxModelLen=99_999),
            "ContextTooLong",
            "spec.engine.maxModelLen",
            "2048",
            "99999",
            id="more context than the model has: the model's own is proposed",
        ),
        pytest.param(
            configured(maxModelLen=2048, kvCacheMemoryBytes=2**20 * 2),
            "KVCacheTooSmall",
            "spec.engine.maxModelLen",
            None,
            "2048",
            id="a cache too small for one request: the length that fits is proposed",
        ),
        pytest.param(
            configured(path="/no/such/folder"),
            "ModelNotFound",
            "spec.model.uri",
            None,
            "/no/such/folder",
            id="no model there",
        ),
        pytest.param(
            configured(quantization="foo4"),
            "UnsupportedQuantization",
            "spec.engine.quantization",
            None,
            "foo4",
            id="an unknown quantization",
        ),
        pytest.param(
            configured(extraArgs=["--no-such-flag"]),
            "UnknownEngineArgument",
            "spec.engine.extraArgs",
            None,
            "--no-such-flag",
            id="an argument that this vLLM does not have",
        ),
        pytest.param(
            configured(extraArgs=["--block-size=abc"]),
            "BadArgument",
            "spec.engine",
            None,
            "abc",
            id="an argument with a bad value",
        ),
        pytest.param(
            configured(parallelism={"tensor": 3}),
            "TensorParallelMismatch",
            "spec.parallelism.tensor",
            "2",
            "8 attention heads",
            id="heads that cannot be split: the next smaller size is proposed",
        ),
    ],
)
def test_a_start_that_fails_names_cause_field_and_value(
    tmp_path: Path, config: dict[str, Any], code: str, field: str, suggestion: str | None, said: str
) -> None:
    status, record = ended(tmp_path, config, free_port())

    assert (record["code"], record["field"]) == (code, field)
    assert said in record["message"]
    assert record["suggestion"] == (suggestion or record["suggestion"])
    assert status in range(1, 126)


def cut_off(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:5000])


def garbage(weights: Path) -> None:
    weights.write_bytes(b"\xff" * 5000)


@pytest.mark.parametrize("spoil", [cut_off, garbage, Path.unlink])
def test_weights_that_cannot_be_read_are_named(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    spoil(model / "model.safetensors")

    status, record = ended(tmp_path, configured(path=str(model)), free_port())

    assert (record["code"], record["field"]) == ("WeightsCorrupt", "spec.model.uri")
    assert status == 1


def test_a_port_that_is_taken_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        status, record = ended(tmp_path, configured(), taken.getsockname()[1])

    assert record["code"] == "PortInUse"
    assert status == 1
