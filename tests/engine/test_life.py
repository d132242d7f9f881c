"""One runtime from its first second to its last: probes while it loads and while it is saturated, the ledger, the first answer, SIGTERM."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import dropwhile, groupby
from pathlib import Path

import httpx
import pytest

from asking import give_way, until

from .serving import finish_reasons, three_streams
from .starts import Started, configured, started

pytestmark = pytest.mark.timeout(400)

#: timeoutSeconds of the pods' probes.
PROBE_TIMEOUT = 5.0
#: Rounds of probes until the test has seen for itself that the load is over: fewer than in a second.
LAST_ROUNDS = 20
PATHS = ("/livez", "/startupz", "/readyz")


@dataclass
class Watched:
    """Answers to all probes, asked one after the other without a pause, from before the first until stopped."""

    runtime: Started
    #: (path, status, seconds)
    answers: list[tuple[str, int, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.stop.wait(0.02):
            for path in PATHS:
                began = time.monotonic()
                status = self.runtime.get(path)[0]
                self.answers.append((path, status, time.monotonic() - began))

    def statuses(self, path: str) -> list[int]:
        """From the first answer on; 0 stands for none."""
        told = [status for asked, status, _ in self.answers if asked == path]
        return list(dropwhile(lambda status: status == 0, told))

    @property
    def slowest(self) -> float:
        return max(seconds for _, status, seconds in self.answers if status)


@dataclass(frozen=True)
class Start:
    runtime: Started
    loading: Watched
    #: Seconds to the first token: of the first request ever, and of those after it.
    first: float
    later: list[float]


def first_token(runtime: Started) -> float:
    """Seconds until the first piece of text of a streamed chat."""
    body = {
        "model": "tiny",
        "stream": True,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "What is a fairlead?"}],
    }
    began = time.monotonic()
    with httpx.stream(
        "POST", f"http://127.0.0.1:{runtime.port}/v1/chat/completions", json=body, timeout=60, trust_env=False
    ) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                return time.monotonic() - began
    raise AssertionError("a stream without text")


#: Bytes that a worker would have again of its own, had it imported the engine's packages itself.
PACKAGES = 100 * 2**20


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with started(tmp_path_factory.mktemp("start"), configured(maxModelLen=1024)) as runtime:
        watched = Watched(runtime)
        thread = threading.Thread(target=watched.watch)
        thread.start()
        try:
            until(runtime.ready, "ready")
        finally:
            watched.stop.set()
            thread.join()
        yield Start(runtime, watched, first_token(runtime), [first_token(runtime) for _ in range(15)])


def test_while_it_loads_it_is_alive_and_neither_started_nor_ready(start: Start) -> None:
    answered = {path: start.loading.statuses(path) for path in PATHS}

    assert len(answered["/livez"]) > 50
    assert set(answered["/livez"]) == {200}
    for path in ("/startupz", "/readyz"):
        # The last rounds may see the end of the load, and from then on nothing else.
        assert [status for status, _ in groupby(answered[path])] in ([503], [503, 200]), path
        assert answered[path].count(200) < LAST_ROUNDS, path


def test_probes_answer_within_the_kubelets_time_while_it_loads(start: Start) -> None:
    assert start.loading.slowest < PROBE_TIMEOUT


def test_probes_answer_within_the_kubelets_time_while_it_is_saturated(start: Start) -> None:
    give_way(start.runtime.processes("VLLM::"))
    watched = Watched(start.runtime)
    thread = threading.Thread(target=watched.watch)
    enough = threading.Event()

    def keep_asking() -> set[int]:
        statuses = set()
        while not enough.is_set():
            statuses.add(start.runtime.complete(max_tokens=200, ignore_eos=True)[0])
        return statuses

    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(keep_asking) for _ in range(32)]
        try:
            until(lambda: start.runtime.sample("vllm:num_requests_waiting") > 0, "requests that wait")
            thread.start()
            until(lambda: len(watched.answers) > 90, "90 answers of probes")
        finally:
            watched.stop.set()
            enough.set()
        assert set().union(*(future.result() for future in asked)) == {200}
    thread.join()

    assert {status for _, status, _ in watched.answers} == {200}
    assert watched.slowest < PROBE_TIMEOUT


def test_the_worker_shares_the_packages_of_the_process_that_forked_it(start: Start) -> None:
    (worker,) = start.runtime.processes("VLLM::Worker")
    lines = Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}

    # Files that are mapped are shared too, and never dirty.
    assert int(sizes["Shared_Dirty"]) * 1024 > PACKAGES


def test_the_ledger_holds_every_step_and_adds_up(start: Start) -> None:
    state = start.runtime.state()

    # In eager mode nothing is compiled or captured, and a model in a folder is not fetched.
    steps = ["started", "imported", "spawned", "loaded", "initialized", "decoded", "warmed", "ready"]
    assert list(state["startup"]) == steps
    assert sorted(state["startup"].values()) == list(state["startup"].values())
    assert sum(state["startupPhases"].values()) == pytest.approx(state["startup"]["ready"], abs=0.02)
    assert min(state["startupPhases"].values()) >= 0
    assert state["compileCache"] == ""
    assert start.runtime.sample("fairlead_startup_phase_seconds") == pytest.approx(state["startup"]["ready"], abs=0.02)
    assert "(supervisor) ready after " in start.runtime.log.read_text()


def test_the_first_answer_is_about_as_quick_as_the_next_ones(start: Start) -> None:
    # Without the warm-up the first one takes 42 ms where the next take 5 to 9; with it 11.
    assert start.first < 3 * max(start.later)


def test_sigterm_loses_nothing(start: Start) -> None:
    runtime = start.runtime
    give_way(runtime.processes("EngineCore"))
    with three_streams(runtime) as streams:
        runtime.process.send_signal(signal.SIGTERM)
        with runtime.client() as client:
            until(lambda: client.get("/health").headers.get("connection") == "close", "a lame duck", 3)
            assert client.post("/generate", json={"prompt": "fairlead", "max_tokens": 2}).status_code == 200

    for lines in streams:
        assert (finish_reasons(lines), lines[-1]) == (["length"], "data: [DONE]")
    assert runtime.process.wait(30) == 0
    assert not runtime.termination.exists() or runtime.termination.read_text() == ""
