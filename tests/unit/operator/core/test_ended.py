"""Why a container ended, and what to do: from the runtime's record to the words of a condition."""

import pytest

from fairlead_operator.core.ended import last_end
from fairlead_runtime.diagnosis import Failure
from fairlead_runtime.termination import Record


@pytest.mark.parametrize(
    ("field", "suggestion", "remedy"),
    [
        pytest.param("spec.engine.maxModelLen", "3072", "set spec.engine.maxModelLen to 3072", id="a value"),
        pytest.param(
            "spec.resources.memory", "a larger size", "spec.resources.memory: a larger size", id="words need the field"
        ),
        pytest.param(
            "spec.engine.gpuMemoryUtilizationPercent",
            "lower spec.engine.gpuMemoryUtilizationPercent, or quantize.",
            "lower spec.engine.gpuMemoryUtilizationPercent, or quantize",
            id="words that name the field",
        ),
        pytest.param("", "it is started again", "it is started again", id="no field"),
        pytest.param("spec.engine", "", "", id="nothing to suggest"),
    ],
)
def test_what_to_do(field: str, suggestion: str, remedy: str) -> None:
    record = Record(Failure("BadArgument", "message", field, suggestion), "loading")
    ended = {"exitCode": 1, "reason": "Error", "message": record.to_json(), "finishedAt": "2026-01-01T00:00:00Z"}

    problem = last_end({"state": {"terminated": ended}}, "pod-1", ())

    assert problem is not None
    assert (problem.code, problem.message, problem.field, problem.remedy) == ("BadArgument", "message", field, remedy)


@pytest.mark.parametrize(
    ("exit_code", "reason", "message"),
    [
        pytest.param(137, "Error", "the container was killed by SIGKILL", id="a signal"),
        pytest.param(200, "Error", "the container ended with exit code 200", id="no signal has that number"),
        pytest.param(255, "Error", "the container ended with exit code 255", id="it may end so by itself"),
        pytest.param(255, "Unknown", "the node or its container runtime was restarted and lost the container", id="the runtime knows no end"),
    ],
)  # fmt: skip
def test_an_end_without_a_record(exit_code: int, reason: str, message: str) -> None:
    ended = {"exitCode": exit_code, "reason": reason, "finishedAt": "2026-01-01T00:00:00Z"}

    problem = last_end({"state": {"terminated": ended}}, "pod-1", ())

    assert problem is not None
    assert (problem.code, problem.message) == ("EngineDied", message)


@pytest.mark.parametrize("exit_code", [1, 137])
@pytest.mark.parametrize(
    "text", ["HF_TOKEN=hf_abcdefghijklmnop", "Authorization: Bearer sk-abcdef123456", "api_key: topsecret1"]
)
def test_the_last_lines_of_a_log_are_told_without_secrets(exit_code: int, text: str) -> None:
    ended = {
        "exitCode": exit_code,
        "reason": "Error",
        "message": f"starting\n{text}\n",
        "finishedAt": "2026-01-01T00:00:00Z",
    }

    problem = last_end({"state": {"terminated": ended}}, "pod-1", ())

    assert problem is not None
    assert "starting" in problem.message
    assert text[-8:] not in problem.message


def test_a_record_is_told_without_secrets() -> None:
    record = Record(Failure("BadArgument", "hf_abcdefghijklmnop is refused", "", "use hf_abcdefghijklmnop"), "loading")
    ended = {"exitCode": 1, "reason": "Error", "message": record.to_json(), "finishedAt": "2026-01-01T00:00:00Z"}

    problem = last_end({"state": {"terminated": ended}}, "pod-1", ())

    assert problem is not None
    assert "abcdefgh" not in problem.message + problem.remedy
