"""What a real vLLM on the CPU says when it cannot start, and what the runtime makes of it. One process tree each, no cluster.

These hold the catalogue to the engine's own texts: a release of vLLM that words a failure otherwise turns them red. Two starts run
at a time, and two that mostly wait: most of each is the import of packages, on one core. test_refusals.py has what vLLM refuses before it reads weights.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from asking import WITHIN, give_way, until

from . import models
from .environment import engine_python
from .hub import Hub, serving
from .starts import MODEL, Started, configured, started

#: All starts of this module together may be before the one that is waited for.
pytestmark = pytest.mark.timeout(900)

EXIT_FAILED = range(1, 126)
EXIT_STALLED = range(70, 71)
#: A minute without a step or a sign of life, ten seconds for the canary, and what two busy cores add.
NOT_READY_WITHIN = 100


@dataclass
class Setting:
    """What a case is given: a folder of its own, the hub, and what it wants undone at the end."""

    folder: Path
    hub: Hub
    undo: ExitStack
    environ: dict[str, str] = field(default_factory=dict)
    port: int | None = None


@dataclass(frozen=True)
class Case:
    """`name` is the sentence. `said` stands in the message, `suggestion` is matched whole."""

    name: str
    config: Callable[[Setting], dict[str, Any]]
    code: str
    field: str
    said: str
    suggestion: str = ".*"
    act: Callable[[Started], None] | None = None
    exit_codes: range = EXIT_FAILED
    #: Seconds that the runtime has to end, from what `act` did on.
    within: float = WITHIN
    #: Most of it is waiting: it runs beside the others.
    idle: bool = False


def engine(**settings: Any) -> Callable[[Setting], dict[str, Any]]:
    return lambda _: configured(**settings)


def model(spoil: models.Spoil, **settings: Any) -> Callable[[Setting], dict[str, Any]]:
    return lambda given: configured(path=str(models.spoiled(given.folder, spoil)), **settings)


def from_hub(repository: str, revision: str | None = None) -> Callable[[Setting], dict[str, Any]]:
    def build(given: Setting) -> dict[str, Any]:
        given.environ |= {"HF_ENDPOINT": given.hub.url, "HF_HUB_OFFLINE": "0"}
        config = configured(repository=repository)
        config["model"] |= {"revision": revision} if revision else {}
        return config

    return build


def from_no_hub(given: Setting) -> dict[str, Any]:
    config = from_hub("org/tiny")(given)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        given.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
    return config


def onto_a_small_disk(given: Setting) -> dict[str, Any]:
    disk = given.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=True)
    given.undo.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
    config = from_hub("org/large")(given)
    given.environ["HF_HOME"] = str(disk)
    return config


def port_taken(given: Setting) -> dict[str, Any]:
    given.port = given.undo.enter_context(socket.create_server(("", 0))).getsockname()[1]
    return configured()


def adapter_of_rank_8(given: Setting) -> dict[str, Any]:
    adapter = given.folder / "adapter"
    subprocess.run([engine_python(), str(Path(__file__).with_name("adapter.py")), str(adapter)], check=True)
    return configured(
        extraArgs=["--enforce-eager", "--enable-lora", "--max-lora-rank=1", "--lora-modules", f"a={adapter}"]
    )


def in_little_time(_: Setting) -> dict[str, Any]:
    return configured() | {"startTimeoutSeconds": 4}


def of_a_later_release(_: Setting) -> dict[str, Any]:
    return configured() | {"later": True}


def a_size_that_a_variable_overrides(given: Setting) -> dict[str, Any]:
    given.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    return configured(kvCacheMemoryBytes=64 * 2**20)


def when_loading(number: signal.Signals, process: str) -> Callable[[Started], None]:
    """Send `number` to the engine's `process` as soon as there is one."""

    def act(runtime: Started) -> None:
        until(lambda: bool(runtime.processes(process)), f"a process {process}")
        # A program that it starts has its name for a moment: whichever of them it is that is listed first.
        for found in runtime.processes(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found, number)

    return act


def when_ready(number: signal.Signals, process: str) -> Callable[[Started], None]:
    def act(runtime: Started) -> None:
        until(runtime.ready, "ready")
        os.kill(runtime.processes(process)[0], number)

    return act


def stopped_in_an_answer(process: str) -> Callable[[Started], None]:
    """SIGSTOP while requests run; readiness must go before the end comes."""

    def act(runtime: Started) -> None:
        until(runtime.ready, "ready")
        give_way(runtime.processes(CORE))
        # Twice as many as run at a time, and long: there is work for as long as this machine takes to send the signal.
        body = {"max_tokens": 1900, "ignore_eos": True}
        asked = [threading.Thread(target=runtime.ask_and_be_cut, kwargs=body) for _ in range(8)]
        for thread in asked:
            thread.start()
        until(lambda: runtime.sample("vllm:num_requests_running") > 0, "running requests")
        for number in runtime.processes(process):
            os.kill(number, signal.SIGSTOP)
        until(lambda: runtime.get("/readyz")[0] != 200, "not ready", NOT_READY_WITHIN)
        for thread in asked:
            thread.join(NOT_READY_WITHIN)

    return act


CORE, WORKER, FRONT_END = "EngineCore", "VLLM::Worker", "fairlead_runtime.server"
FIELD_LENGTH, FIELD_URI, FIELD_ARGS = "spec.engine.maxModelLen", "spec.model.uri", "spec.engine.extraArgs"
NUMBER = r"\d+"

CASES = (
    # The longest first.
    Case(
        "an engine that is stopped in an answer: after a minute it counts as stuck",
        engine(maxModelLen=2048),
        "EngineStalled",
        "",
        "is stopped",
        act=stopped_in_an_answer(CORE),
        exit_codes=EXIT_STALLED,
        within=180,
        idle=True,
    ),
    Case(
        "a front end that is stopped: after a minute it counts as stuck",
        engine(maxModelLen=2048),
        "EngineStalled",
        "",
        "no sign of life",
        act=stopped_in_an_answer(FRONT_END),
        exit_codes=EXIT_STALLED,
        within=180,
        idle=True,
    ),
    Case("an adapter's rank above the limit", adapter_of_rank_8, "BadArgument", FIELD_ARGS, "rank is 8", "--max-lora-rank=8"),
    Case(
        "a worker with a segmentation fault while it serves",
        engine(),
        "EngineDied",
        "",
        "SIGSEGV",
        act=when_ready(signal.SIGSEGV, WORKER),
        within=90,
    ),
    Case(
        "an engine with a segmentation fault while it loads",
        engine(),
        "EngineDied",
        "",
        "SIGSEGV",
        act=when_loading(signal.SIGSEGV, CORE),
        within=90,
    ),
    Case(
        "a front end that is killed",
        engine(),
        "EngineDied",
        "",
        "SIGKILL",
        act=when_loading(signal.SIGKILL, FRONT_END),
        within=60,
    ),
    Case(
        "a start that takes longer than it may",
        in_little_time,
        "StartTimeout",
        "spec.engine.startTimeoutSeconds",
        "of the 4 s",
        "8",
    ),
    Case(
        "a cache too small for one request: the length that fits is proposed",
        engine(maxModelLen=2048, kvCacheMemoryBytes=2 * 2**20),
        "KVCacheTooSmall",
        FIELD_LENGTH,
        "2,048 tokens",
        NUMBER,
    ),
    Case("a cache too small for one block", engine(kvCacheMemoryBytes=1000), "KVCacheTooSmall", "spec.engine.kvCacheMemory", "cache"),
    Case(
        "a setting that the engine does not take",
        a_size_that_a_variable_overrides,
        "SettingIgnored",
        "spec.engine.kvCacheMemory",
        "67108864 and the engine runs with 1073741824",
        "1073741824, .*",
    ),
    Case("weights that were cut off", model(models.cut_off), "WeightsCorrupt", FIELD_URI, "header"),
    Case("weights that are none", model(models.garbage), "WeightsCorrupt", FIELD_URI, "no header"),
    Case(
        "a disk that the weights do not fit on",
        onto_a_small_disk,
        "DiskFull",
        "spec.resources.ephemeralStorage",
        "space",
    ),
    # The front end finds these by itself.
    Case("a setting of a later release", of_a_later_release, "InvalidConfig", "spec.image", "later", "give operator and runtime image the same release"),
    Case("an argument that this vLLM does not have", engine(extraArgs=["--no-such-flag"]), "UnknownEngineArgument", FIELD_ARGS, "--no-such-flag"),
    Case("a port that is taken", port_taken, "PortInUse", FIELD_ARGS, "in use"),
    Case("a tool parser that is none", engine(extraArgs=["--enable-auto-tool-choice", "--tool-call-parser=zork"]), "BadArgument", FIELD_ARGS, "zork"),
    Case("a hub that is not there", from_no_hub, "HubUnreachable", FIELD_URI, "connect"),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    status: int
    record: Mapping[str, str]
    log: str


def run(case: Case, folder: Path, hub: Hub, cache: Path) -> Outcome:
    with ExitStack() as undo:
        given = Setting(folder, hub, undo, {"VLLM_CACHE_ROOT": str(cache)})
        config = case.config(given)
        runtime = undo.enter_context(started(folder, config, given.environ, given.port))
        if case.act:
            case.act(runtime)
        return Outcome(runtime.process.wait(case.within), runtime.record(), runtime.log.read_text())


@contextmanager
def a_hub(folder: Path) -> Iterator[Hub]:
    (folder / "large").mkdir()
    with serving({"org/tiny": MODEL, "org/large": models.spoiled(folder / "large", models.large)}) as hub:
        yield hub


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, "Future[Outcome]"]]:
    """What becomes of the chosen cases, begun in their order."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [case for given in params if isinstance(case := given.get("case"), Case)]
    folder = tmp_path_factory.mktemp("starts")
    # What the engine once learned of the model's class is kept here, as in a pod's cache.
    cache = folder / "cache"
    with a_hub(folder) as hub, ThreadPoolExecutor(2) as busy, ThreadPoolExecutor(2) as idle:
        begun = {}
        for number, case in enumerate(chosen):
            own = folder / str(number)
            own.mkdir()
            begun[case.name] = (idle if case.idle else busy).submit(run, case, own, hub, cache)
        yield begun
        for pool in (busy, idle):
            pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_a_failure_names_cause_field_and_value(case: Case, outcomes: Mapping[str, "Future[Outcome]"]) -> None:
    outcome = outcomes[case.name].result()

    record = outcome.record
    assert (record["code"], record["field"]) == (case.code, case.field), (record, outcome.log[-3000:])
    assert case.said in record["message"], record
    assert re.fullmatch(case.suggestion, record["suggestion"]), record
    assert outcome.status in case.exit_codes
