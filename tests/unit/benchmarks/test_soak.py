"""The hour at saturation: how what was seen becomes a record, and when it passes."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import soak
from soak import QUESTION, Watched, held, recorded, restarts, supervisor

from asking import until
from fairlead_cli.bench.statistics import Failed, LevelResult, level_result


def pod(name: str, *counts: int) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {"containerStatuses": [{"restartCount": count} for count in counts]},
    }


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param([pod("a", 0)], 0, id="the same pod"),
        pytest.param([pod("a", 2)], 2, id="its container was started again, twice"),
        pytest.param([pod("b", 0)], 1, id="another one replaced it"),
        pytest.param([], 1, id="it is gone"),
    ],
)
def test_a_container_or_a_pod_that_began_anew_is_a_restart(after: list[dict[str, Any]], expected: int) -> None:
    assert restarts([pod("a", 0)], after) == expected


@pytest.mark.parametrize("slice_of", ["kubepods-pod{}.slice", "kubepods/pod{}"])
def test_the_supervisor_is_found_by_its_pod_and_its_command(tmp_path: Path, slice_of: str) -> None:
    uid, others = "1-2", "9-9"
    group = slice_of.format(uid.replace("-", "_") if "slice" in slice_of else uid)
    for pid, (command, where) in {
        "10": (b"/pause\0", group),
        "11": (b"python3\0-m\0fairlead_runtime\0", group),
        "12": (b"python3\0-m\0fairlead_runtime.server\0", group),
        "13": (b"python3\0-m\0fairlead_runtime\0", slice_of.format(others)),
    }.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(command)
        (tmp_path / pid / "cgroup").write_text(f"0::/{where}/x\n")
    (tmp_path / "self").mkdir()

    assert supervisor(uid, tmp_path) == 11
    with pytest.raises(RuntimeError, match="no supervisor"):
        supervisor("7-7", tmp_path)


@pytest.mark.parametrize(("then", "deaf"), [("exec sleep 60", False), ("exit", True)])
def test_a_log_that_ends_before_the_hour_does_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, *, deaf: bool
) -> None:
    """As it does when the container is started again: questions that the watchdog asks later are counted by nobody."""
    follow, said = tmp_path / "kubectl", tmp_path / "said"
    follow.write_text(f"#!/bin/sh\necho '{QUESTION.decode()}'\ntouch {said}\n{then}\n")
    follow.chmod(0o755)
    monkeypatch.setattr(soak, "supervisor", lambda _: os.getpid())
    kubectl = cast("Any", SimpleNamespace(program=follow, environment=dict(os.environ)))
    watched = Watched()

    with watched.meanwhile(kubectl, {"metadata": {"name": "a", "uid": "1"}}):
        until(said.exists, "a log", 20)
        if deaf:
            until(lambda: watched.questions == 1, "its end", 20)

    assert (watched.questions, watched.deaf) == (1, deaf)


def test_the_trend_of_the_memory_is_that_after_the_warm_up() -> None:
    filling = [(0.0, 10.0), (60.0, 50.0)]
    growing = [(60.0 * minute, 100.0 + minute) for minute in range(2, 10)]

    found = held("engine", filling + growing)

    assert (found.first_mib, found.last_mib, found.peak_mib) == (102, 109, 109)
    assert found.mib_per_hour == 60


def test_one_look_at_the_memory_makes_no_trend() -> None:
    assert held("engine", [(1.0, 5.0)]).mib_per_hour == 0


def level(tok_s: float, *errors: Failed) -> LevelResult:
    answered = level_result(32, []).model_copy(update={"success": 10, "tok_s": tok_s, "errors": errors})
    return answered.model_copy(update={"failed": sum(error.count for error in errors)})


def test_levels_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.versions", lambda: {"vllm": "0.32.0"})
    watched = Watched({"supervisor": [(1.0, 16.0)]}, questions=3)
    results = [level(900), level(950, Failed(text="cut", count=2)), level(1000, Failed(text="cut", count=1))]

    record = recorded(results, watched, 60.04, 1, 32)

    assert (record.requests, record.failed, record.errors) == (33, 3, {"cut": 3})
    assert (record.first_tok_s, record.last_tok_s) == (900, 1000)
    assert (record.minutes, record.restarts, record.questions) == (60, 1, 3)
    assert [row.process for row in record.memory] == ["supervisor"]
    assert record.verdict == "missed: 1 restarts, 3 failed"
