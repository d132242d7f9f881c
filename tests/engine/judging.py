"""Many configurations before the installed vLLM in one process: one import for all of them, and no weights are read."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .environment import engine_python
from .starts import ROOT


def judged(
    configs: Sequence[Mapping[str, Any]], folder: Path, environ: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What judge.py says to each of `configs`, in their order. folder: for what the engine keeps and fetches."""
    variables = os.environ | {
        "PYTHONPATH": str(ROOT / "runtime"),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        **(environ or {}),
    }
    done = subprocess.run(
        [engine_python(), "-P", str(Path(__file__).with_name("judge.py"))],
        input="\n".join(json.dumps(config) for config in configs),
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(configs)
    return answers
