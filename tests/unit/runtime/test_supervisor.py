"""The supervisor with a scripted engine: real processes, real signals, real sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from fairlead_operator.core.build import pod as pods
from fairlead_runtime import drain, exchange, serving
from fairlead_runtime.config import RuntimeConfig, Serving
from fairlead_runtime.supervisor import Limits

RUNTIME = Path(__file__).resolve().parents[3] / "runtime"
#: Runs the supervisor over the engine script given as first argument, with the limits given as JSON.
SUPERVISE = """
import json, os, sys
from fairlead_runtime.supervisor import Asked, Limits, Supervisor
engine = [sys.executable, "-P", "-c", sys.argv[1]]
asked = Asked.of({"engine": {"profile": "ThroughputFP8", "quantization": "awq", "speculative": {"model": "org/draft"}}})
sys.exit(Supervisor(engine, os.environ, Limits(**json.loads(sys.argv[2])), asked).run())
"""
ENGINE = """
import os, signal, sys, time
from fairlead_runtime.lifecycle import *
from fairlead_runtime.diagnosis import Failure
writer = StateWriter.from_environment(os.environ)
say = writer.write
"""
SERVES = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
say(EngineDescribed(version="0.32.0", command=("--x",)))
for phase in (Phase.LOADING, Phase.WARMING, Phase.READY):
    say(PhaseReached(phase))
while True:
    say(Heartbeat())
    time.sleep(0.05)
"""
WITHIN = 20.0


class Pod:
    """One supervisor under test."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, directory: Path) -> None:
        self.process, self.port, self.directory = process, port, directory

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except (URLError, ConnectionError):
            return 0, ""

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/state")[1])
        return found

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def end(self) -> int:
        return self.process.wait(timeout=WITHIN)

    def record(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.directory / "termination").read_text())
        return found

    def log(self) -> str:
        return (self.directory / "log").read_text()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


@contextmanager
def supervised(
    directory: Path, engine: str, *, environ: dict[str, str] | None = None, prelude: str = "", **limits: float
) -> Iterator[Pod]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = os.environ | {
        "PYTHONPATH": str(RUNTIME),
        "FAIRLEAD_MANAGEMENT_PORT": str(port),
        "FAIRLEAD_TERMINATION_PATH": str(directory / "termination"),
        "TMPDIR": str(directory),
        **(environ or {}),
    }
    command = [sys.executable, "-P", "-c", prelude + SUPERVISE, ENGINE + engine, json.dumps(limits)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield Pod(process, port, directory)
    finally:
        process.kill()
        process.wait()


def test_an_engine_that_has_decoded_is_ready_and_described(tmp_path: Path) -> None:
    with supervised(tmp_path, SERVES) as pod:
        until(pod.ready, "ready")

        assert pod.get("/startupz")[0] == 200
        assert pod.get("/livez")[0] == 200
        state = pod.state()
        assert (state["phase"], state["ready"], state["draining"]) == ("ready", True, False)
        assert state["engine"] == {"version": "0.32.0", "command": ["--x"]}
        assert list(state["startup"]) == ["imported", "initialized", "ready"]
        assert sum(state["startupPhases"].values()) == pytest.approx(state["startup"]["ready"], abs=0.01)
        assert "ready after " in pod.log()


def test_probes_are_answered_while_the_engine_still_imports(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(60)") as pod:
        until(lambda: pod.get("/livez")[0] == 200, "alive")

        assert pod.get("/startupz")[0] == 503
        assert pod.get("/readyz")[0] == 503
        assert "fairlead_draining 0" in pod.get("/metrics")[1]
        assert pod.get("/nothing")[0] == 404


def test_a_stop_that_was_asked_for_ends_with_zero_and_leaves_no_record(tmp_path: Path) -> None:
    with supervised(tmp_path, SERVES) as pod:
        until(pod.ready, "ready")
        pod.process.send_signal(signal.SIGTERM)

        assert pod.end() == 0
        assert not (tmp_path / "termination").exists()


def test_a_stop_while_loading_ends_with_zero(tmp_path: Path) -> None:
    loading = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\nsay(PhaseReached(Phase.LOADING))\ntime.sleep(60)"
    )
    with supervised(tmp_path, loading) as pod:
        until(lambda: pod.get("/state")[1].find("loading") > 0, "loading")
        pod.process.send_signal(signal.SIGTERM)

        assert pod.end() == 0


def test_readiness_goes_as_soon_as_the_stop_is_asked_for(tmp_path: Path) -> None:
    stubborn = SERVES.replace("sys.exit(0)", "None")
    with supervised(tmp_path, stubborn) as pod:
        until(pod.ready, "ready")
        pod.process.send_signal(signal.SIGTERM)
        until(lambda: not pod.ready(), "not ready")

        assert pod.get("/livez")[0] == 200
        assert pod.state()["draining"] is True


def test_readiness_goes_as_soon_as_the_engine_has_failed(tmp_path: Path) -> None:
    fails = SERVES.replace("while True:", "say(Failed(text='EngineDeadError'))\nwhile True:")
    with supervised(tmp_path, fails) as pod:
        until(lambda: "ready after" in pod.log(), "ready")
        until(lambda: not pod.ready(), "not ready")

        assert pod.get("/livez")[0] == 200
        assert pod.state()["phase"] == "ready"


def test_an_engine_that_does_not_stop_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    stubborn = SERVES.replace("sys.exit(0)", "None")
    with supervised(tmp_path, stubborn, drain=0.2, around_drain=0.2) as pod:
        until(pod.ready, "ready")
        pod.process.send_signal(signal.SIGTERM)

        assert pod.end() != 0
        assert pod.record()["code"] == "EngineDied"


def test_the_cause_that_the_log_shows_is_in_the_record_and_the_log_is_passed_on(tmp_path: Path) -> None:
    fails = "say(PhaseReached(Phase.LOADING))\nprint('Value error, Unknown quantization method: foo4.')\nsys.exit(1)"
    with supervised(tmp_path, fails) as pod:
        assert pod.end() == 1

        record = pod.record()
        assert (record["code"], record["field"], record["phase"]) == (
            "UnsupportedQuantization",
            "spec.engine.quantization",
            "loading",
        )
        assert "Unknown quantization method: foo4." in pod.log()


def test_what_a_process_of_the_engine_said_last_is_not_lost(tmp_path: Path) -> None:
    fails = """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3); print('No available memory for the cache blocks')"])
time.sleep(1)
sys.exit(1)
"""
    with supervised(tmp_path, fails) as pod:
        assert pod.end() == 1
        assert pod.record()["code"] == "KVCacheTooSmall"


def test_a_failure_that_the_engine_names_itself_comes_before_its_log(tmp_path: Path) -> None:
    fails = """
print("CUDA out of memory")
say(Failed(Failure("EngineStalled", "no step for 300 s", "", "restart")))
sys.exit(70)
"""
    with supervised(tmp_path, fails) as pod:
        assert pod.end() == 70
        assert pod.record()["message"] == "no step for 300 s"


#: Ends once the supervisor has heard that it is ready: what it says then is said after the start.
ENDS_WHEN_READY = """
from pathlib import Path
for phase in (Phase.LOADING, Phase.WARMING, Phase.READY):
    say(PhaseReached(phase))
while "ready after" not in (Path(os.environ["TMPDIR"]) / "log").read_text():
    time.sleep(0.02)
"""


def test_what_went_wrong_in_a_start_that_went_well_is_not_the_cause_of_a_later_end(tmp_path: Path) -> None:
    hiccup = "print('OSError: We could not reach it: Temporary failure in name resolution', flush=True)"
    crashes = f"{hiccup}{ENDS_WHEN_READY}print('last words', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)"
    with supervised(tmp_path, crashes) as pod:
        assert pod.end() == 1

        record = pod.record()
        assert record["code"] == "EngineDied"
        assert "Temporary failure" not in record["message"]


def test_what_a_client_sent_to_an_engine_that_serves_is_not_the_cause_of_its_end(tmp_path: Path) -> None:
    asked = "(APIServer pid=7) ERROR 11-28 07:31:27 [serving.py:201] The model `CUDA out of memory` does not exist."
    with supervised(tmp_path, f"{ENDS_WHEN_READY}print({asked!r}, flush=True)\nsys.exit(1)") as pod:
        assert pod.end() == 1
        assert pod.record()["code"] == "UnknownFailure"


def test_what_a_process_of_a_serving_engine_says_is_the_cause_of_its_end(tmp_path: Path) -> None:
    said = "(EngineCore pid=9) ERROR 11-28 07:31:27 [core.py:1510] torch.OutOfMemoryError: CUDA out of memory."
    dies = f"print({said!r}, flush=True)\nsay(Failed(text='EngineDeadError: it ended while serving'))\nsys.exit(1)"
    with supervised(tmp_path, ENDS_WHEN_READY + dies) as pod:
        assert pod.end() == 1
        assert pod.record()["code"] == "OutOfGPUMemory"


@pytest.mark.parametrize(
    ("number", "last_words"),
    [
        pytest.param(signal.SIGKILL, "still here", id="killed: what it said last"),
        pytest.param(signal.SIGSEGV, "its log has the stack", id="crashed: the stack is in the log"),
    ],
)
def test_an_engine_ended_by_a_signal_has_died_of_it(tmp_path: Path, number: signal.Signals, last_words: str) -> None:
    with supervised(tmp_path, f"print('still here', flush=True)\nos.kill(os.getpid(), {int(number)})") as pod:
        assert pod.end() == 1

        record = pod.record()
        assert record["code"] == "EngineDied"
        assert number.name in record["message"]
        assert last_words in record["message"]


def test_an_engine_that_ends_by_itself_with_zero_is_a_failure(tmp_path: Path) -> None:
    with supervised(tmp_path, "sys.exit(0)") as pod:
        assert pod.end() == 1
        assert pod.record()["code"] == "EngineDied"


def test_a_start_that_takes_too_long_is_ended_naming_the_phase(tmp_path: Path) -> None:
    with supervised(tmp_path, "say(PhaseReached(Phase.LOADING))\ntime.sleep(60)", start=4.0, farewell=0.2) as pod:
        assert pod.end() == 1

        record = pod.record()
        assert (record["code"], record["field"]) == ("StartTimeout", "spec.engine.startTimeoutSeconds")
        assert "loading" in record["message"]


def test_a_frozen_engine_is_stalled_and_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path, "print(os.getpid(), flush=True)" + SERVES, frozen=3.0) as pod:
        until(pod.ready, "ready")
        until(lambda: any(line.isdigit() for line in pod.log().splitlines()), "its pid")
        os.kill(next(int(line) for line in pod.log().splitlines() if line.isdigit()), signal.SIGSTOP)

        assert pod.end() == 70
        assert pod.record()["code"] == "EngineStalled"


def test_no_process_of_the_engine_outlives_the_supervisor(tmp_path: Path) -> None:
    leaves = """
import subprocess
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(left.pid, flush=True)
sys.exit(1)
"""
    with supervised(tmp_path, leaves) as pod:
        assert pod.end() == 1
        left = int(pod.log().split()[0])
        until(lambda: not Path(f"/proc/{left}").exists(), "gone")


def test_an_event_that_cannot_be_read_is_said_and_changes_nothing(tmp_path: Path) -> None:
    with supervised(tmp_path, "os.write(writer._descriptor, b'{}\\n')\n" + SERVES) as pod:
        until(pod.ready, "ready")
        assert "cannot be read" in pod.log()


def test_a_management_port_that_is_taken_is_said_in_the_record(tmp_path: Path) -> None:
    with (
        socket.create_server(("", 0)) as taken,
        supervised(tmp_path, SERVES, environ={"FAIRLEAD_MANAGEMENT_PORT": str(taken.getsockname()[1])}) as pod,
    ):
        assert pod.end() == 1
        assert pod.record()["code"] == "PortInUse"


def test_the_metrics_of_the_engine_are_passed_on_and_replaced_when_it_does_not_answer(tmp_path: Path) -> None:
    answers = """
import socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["FAIRLEAD_METRICS_SOCKET"])
server.listen()
answered, _ = server.accept()
answered.recv(1000)
answered.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nvllm:one 1\\n")
answered.close()
time.sleep(60)
"""
    with supervised(tmp_path, answers) as pod:
        until(lambda: pod.get("/metrics")[1].startswith("vllm:one 1\n"), "the engine's own metrics")

        assert "fairlead_engine_stalled 0" in pod.get("/metrics")[1]


def test_steps_that_only_the_log_of_the_engine_tells_are_in_state_and_metrics(tmp_path: Path) -> None:
    loads = """
print("(Worker pid=9) INFO 11-24 02:10:11 [default_loader.py:501] Loading weights took 0.02 seconds", flush=True)
time.sleep(0.2)
"""
    with supervised(tmp_path, loads + SERVES) as pod:
        until(pod.ready, "ready")

        assert list(pod.state()["startup"]) == ["loaded", "initialized", "ready"]
        phases = pod.state()["startupPhases"]
        assert phases["load"] < phases["load"] + 0.1 < pod.state()["startup"]["initialized"]
        assert f'fairlead_startup_phase_seconds{{phase="load"}} {phases["load"]}' in pod.get("/metrics")[1]


def test_the_supervisor_stays_small(tmp_path: Path) -> None:
    with supervised(tmp_path, SERVES) as pod:
        until(pod.ready, "ready")
        status = Path(f"/proc/{pod.process.pid}/status").read_text()
        kilobytes = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

        assert kilobytes < 20_000


def test_a_second_stop_is_passed_on_too(tmp_path: Path) -> None:
    twice = SERVES.replace("lambda *_: sys.exit(0)", "lambda *_: signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))")
    with supervised(tmp_path, twice) as pod:
        until(pod.ready, "ready")
        pod.process.send_signal(signal.SIGTERM)
        until(lambda: pod.state()["draining"], "draining")
        pod.process.send_signal(signal.SIGTERM)

        assert pod.end() == 3


def test_a_request_that_is_no_request_is_refused(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(60)") as pod:
        until(lambda: pod.get("/livez")[0] == 200, "alive")
        for line, status in ((b"POST /livez HTTP/1.1", b"405"), (b"nonsense", b"400")):
            with socket.create_connection(("127.0.0.1", pod.port), timeout=5) as client:
                client.sendall(line + b"\r\n\r\n")
                assert client.recv(100).split()[1] == status


def test_a_kill_that_the_kernel_counted_is_a_lack_of_memory_whatever_the_log_says(tmp_path: Path) -> None:
    counter = "import fairlead_runtime.supervisor as s\nkills = iter((4, 5))\ns.oom_kills = lambda: next(kills)\n"
    engine = "print('CUDA out of memory', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    with supervised(tmp_path, engine, prelude=counter) as pod:
        assert pod.end() == 1
        assert (pod.record()["code"], pod.record()["field"]) == ("HostOutOfMemory", "spec.resources.memory")


@pytest.mark.parametrize(
    ("repository", "field"),
    [
        pytest.param("org/model", "spec.model.uri", id="the model that is served"),
        pytest.param("org/draft", "spec.engine.speculative.model", id="the model that guesses"),
    ],
)
def test_the_field_is_that_of_the_model_that_was_not_found(tmp_path: Path, repository: str, field: str) -> None:
    fails = f"print('OSError: {repository} is not a local folder and is not a valid model identifier')\nsys.exit(1)"
    with supervised(tmp_path, fails) as pod:
        assert pod.end() == 1
        assert (pod.record()["code"], pod.record()["field"]) == ("ModelNotFound", field)


def test_what_the_engine_refuses_of_a_profile_is_told_under_its_name(tmp_path: Path) -> None:
    fails = "print('x.py: error: argument --kv-cache-dtype: invalid choice: fp8')\nsys.exit(2)"
    with supervised(tmp_path, fails) as pod:
        assert pod.end() == 2
        assert (pod.record()["code"], pod.record()["field"]) == ("BadArgument", "spec.engine.profile")


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        pytest.param("{}", Limits(), id="defaults"),
        pytest.param(
            '{"startTimeoutSeconds": 60, "serving": {"drainSeconds": 7}}', Limits(start=60, drain=7), id="as asked for"
        ),
    ],
)
def test_limits_come_from_the_configuration(text: str, limits: Limits) -> None:
    assert Limits.of(json.loads(text)) == limits


def test_what_the_configuration_leaves_out_is_its_own_default() -> None:
    """Of all that the supervisor may import, config.py is none."""
    assert Limits().drain == Serving().drain_seconds
    assert Limits().start == RuntimeConfig.model_fields["start_timeout_seconds"].default


def test_an_engine_has_time_to_end_in_order_and_is_ended_before_the_kubelet_ends_the_pod() -> None:
    # The server is waited for a second longer than it takes to close.
    in_order = drain.LAME_DUCK_SECONDS + 3 * exchange.GRACE_SECONDS + serving.CLOSE_SECONDS + 1

    assert drain.LAME_DUCK_SECONDS == pods.LAME_DUCK_SECONDS
    assert in_order < Limits().around_drain < pods.LAME_DUCK_SECONDS + pods.ENGINE_STOP_SECONDS
