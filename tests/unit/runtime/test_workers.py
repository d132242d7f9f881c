"""Workers are forked where nothing binds them and no plugin may have computed before, in the engine's process alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead_runtime.garbage import FAR_OFF
from fairlead_runtime.workers import ENGINE, FORK, METHOD, PLUGINS, environment

FORKED = {FORK: "1"}
OWN = "[vllm.general_plugins]\nlora = vllm.plugins.lora:register\n"
OTHERS = "[vllm.general_plugins]\nother = vllm_other:register\n"
PLATFORM = "[vllm.platform_plugins]\nother = vllm_other:register\n"
OF_THE_FRONT_END = "[vllm.endpoint_plugins]\nother = vllm_other:register\n"


@pytest.mark.parametrize(
    ("environ", "plugins", "added"),
    [
        pytest.param({}, "", FORKED, id="nobody chose"),
        pytest.param({METHOD: "spawn"}, "", {}, id="the user chose"),
        pytest.param({}, OWN, FORKED, id="vLLM's own plugins compute nothing"),
        pytest.param({}, OTHERS, {}, id="another plugin may compute before the fork"),
        pytest.param({}, PLATFORM, {}, id="so may a platform's"),
        pytest.param({}, OF_THE_FRONT_END, FORKED, id="in the front end it may"),
        pytest.param({PLUGINS: "lora,other"}, OTHERS, {}, id="it is chosen"),
        pytest.param({PLUGINS: "lora"}, OWN + "other = vllm_other:register\n", FORKED, id="another one is chosen"),
        pytest.param({PLUGINS: ""}, OTHERS, FORKED, id="none is chosen"),
    ],
)
def test_the_front_end_says_that_workers_may_be_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], plugins: str, added: dict[str, str]
) -> None:
    installed = tmp_path / "vllm_other-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-other\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(plugins)
    monkeypatch.syspath_prepend(tmp_path)

    assert environment(environ) == added


#: As multiprocessing begins a process: it imports the main module again, under this name. Then the process forks, twice, and so does
#: the first worker; each time there are objects that were not there before.
SPAWNED = """
import gc, json, os, runpy, sys
usual, made = gc.get_threshold(), []

def forked(run=lambda: True):
    made.append([[] for _ in range(5000)])
    before = gc.get_freeze_count()
    if not (child := os.fork()):
        os._exit(0 if run() else 1)
    assert os.waitpid(child, 0)[1] == 0
    return gc.get_freeze_count() - before >= 5000

runpy.run_module("fairlead_runtime.server", run_name="__mp_main__")
engine = sys.modules.get("vllm.v1.engine.core")
print(json.dumps({
    "method": os.environ["VLLM_WORKER_MULTIPROC_METHOD"],
    "said": "FAIRLEAD_FORK_WORKERS" in os.environ,
    "imported at": engine and engine.THRESHOLD,
    "usual": gc.get_threshold() == usual,
    "frozen": [forked(lambda: gc.get_threshold() == usual and not forked()), forked()],
}))
"""
NOT_SAID = {"method": "spawn", "said": False, "imported at": None, "usual": True, "frozen": [False, False]}
SAID = {"method": "fork", "said": False, "imported at": FAR_OFF, "usual": True, "frozen": [True, False]}


@pytest.mark.parametrize(
    ("said", "engine", "told"),
    [
        # vLLM's front end has set the method to spawn for all that it starts itself.
        pytest.param({FORK: "1"}, ENGINE, SAID, id="said"),
        pytest.param({FORK: "1"}, "vllm.other", SAID | {"imported at": None}, id="a vLLM with its engine elsewhere"),
        pytest.param({}, ENGINE, NOT_SAID, id="not said: cores are bound, or there is an accelerator"),
    ],
)
def test_the_engines_process_forks_where_it_was_said_and_looks_for_garbage_in_any_case(
    tmp_path: Path, said: dict[str, str], engine: str, told: dict[str, object]
) -> None:
    module = tmp_path.joinpath(*engine.split(".")).with_suffix(".py")
    module.parent.mkdir(parents=True)
    module.write_text("import gc\nTHRESHOLD = gc.get_threshold()[0]\n")
    environ = {METHOD: "spawn", "PYTHONPATH": ":".join([str(tmp_path), *sys.path]), **said}

    done = subprocess.run([sys.executable, "-c", SPAWNED], env=environ, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == told
