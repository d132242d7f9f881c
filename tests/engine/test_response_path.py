"""The installed vLLM takes the cheaper response path, and what it writes is what vLLM's own models write."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from fairlead_runtime import chunks, streams

from .environment import engine_python
from .starts import ROOT

pytestmark = pytest.mark.timeout(300)


def test_this_vllm_takes_all_of_it_and_writes_the_same() -> None:
    done = subprocess.run(
        [engine_python(), "-P", str(Path(__file__).with_name("response_path.py"))],
        env=os.environ | {"PYTHONPATH": str(ROOT / "runtime")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["installed"] == [[[route.module for route in chunks.ROUTES], list(streams.MODULES)]] * 2
    assert found["differ"] == []
    assert found["cached"] is True
    assert found["here"] is True
