"""`fairlead why` on a real engine's failure: the field, the length that fits, the engine's own words, and a cure that cures."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead_cli.demo.kubectl import Kubectl

from .conftest import ENGINE_WITHIN, apply, service, wait_for_reason

pytestmark = pytest.mark.timeout(900)


def fairlead(kubectl: Kubectl, *arguments: str) -> subprocess.CompletedProcess[str]:
    scripts = Path(sys.executable).parent
    path = os.pathsep.join([str(kubectl.program.parent), os.environ["PATH"]])
    environment = {**kubectl.environment, "PATH": path}
    command = [str(scripts / "fairlead"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_what_why_says_makes_a_cache_that_is_too_small_serve(kubectl: Kubectl, model: str) -> None:
    # The engine is given room for some 512 tokens, and asked for 1024.
    apply(kubectl, service("narrow", model, engine={"kvCacheMemory": "1Mi"}))
    found = wait_for_reason(kubectl, "narrow", "EngineHealthy", "KVCacheTooSmall")
    assert "spec.engine.maxModelLen" in found["message"]

    done = fairlead(kubectl, "why", "narrow", "-o", "json")
    log = fairlead(kubectl, "logs", "narrow", "--tail=200")

    assert done.returncode == 1, done.stderr
    story: dict[str, Any] = json.loads(done.stdout)
    cure = story["cure"]
    assert (cure["field"], cure["present"]) == ("spec.engine.maxModelLen", 1024)
    assert 128 <= cure["value"] <= 512
    assert "needs a KV cache of" in " ".join(story["logLines"])
    assert story["pods"][0]["phase"] == "Failed"
    assert log.returncode == 0, log.stderr
    assert "needs a KV cache of" in log.stdout

    _, *arguments = shlex.split(cure["command"])
    kubectl.run(*arguments)
    kubectl.run("wait", "--for=condition=Ready", "infs/narrow", f"--timeout={ENGINE_WITHIN}s")
    healthy = fairlead(kubectl, "why", "narrow")
    assert healthy.returncode == 0, healthy.stdout
    assert "is Ready" in healthy.stdout
    kubectl.run("delete", "infs", "narrow", "--wait", "--cascade=foreground", "--timeout=180s")
