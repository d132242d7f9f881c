"""Workers are forked where nothing binds them, in the engine's process alone."""

import json
import subprocess
import sys

import pytest

from fairlead_runtime.garbage import FAR_OFF
from fairlead_runtime.workers import FORK, METHOD, environment


@pytest.mark.parametrize(
    ("environ", "added"),
    [
        pytest.param({}, {FORK: "1"}, id="nobody chose"),
        pytest.param({METHOD: "spawn"}, {}, id="the user chose"),
    ],
)
def test_the_front_end_says_that_workers_may_be_forked(environ: dict[str, str], added: dict[str, str]) -> None:
    assert environment(environ) == added


#: As multiprocessing begins a process: it imports the main module again, under this name. Then the process forks.
SPAWNED = """
import gc, json, os, runpy, sys
usual = gc.get_threshold()
module = runpy.run_module("fairlead_runtime.server", run_name="__mp_main__")
told = {"method": os.environ["VLLM_WORKER_MULTIPROC_METHOD"], "far": gc.get_threshold()[0], "frozen": gc.get_freeze_count()}
child = os.fork()
if child == 0:
    os._exit(0 if gc.get_threshold() == usual else 1)
told |= {"again": gc.get_threshold() == usual, "kept": gc.get_freeze_count() > 1000}
print(json.dumps(told | {"child": os.waitpid(child, 0)[1]}))
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        # vLLM's front end has set the method to spawn for all that it starts itself.
        pytest.param(
            {FORK: "1"},
            {"method": "fork", "far": FAR_OFF, "frozen": 0, "again": True, "kept": True, "child": 0},
            id="said",
        ),
        pytest.param(
            {},
            {"method": "spawn", "far": 700, "frozen": 0, "again": True, "kept": False, "child": 0},
            id="not said: cores are bound, or there is an accelerator",
        ),
    ],
)
def test_the_engines_process_forks_where_it_was_said_and_looks_for_garbage_afterwards(
    said: dict[str, str], told: dict[str, object]
) -> None:
    environ = {METHOD: "spawn", "PYTHONPATH": ":".join(sys.path), **said}

    done = subprocess.run([sys.executable, "-c", SPAWNED], env=environ, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == told
