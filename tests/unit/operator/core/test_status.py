"""The status, whole."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fairlead_operator.api.status import Status
from fairlead_operator.core.build.pod import template_hash
from fairlead_operator.core.observe import observe
from fairlead_operator.core.seen import EngineState, Snapshot
from fairlead_operator.core.status import build_status, cut, is_news
from unit.operator.builders import NOW, PodBuilder, ServiceBuilder, crashed, ready, record, service, snapshot, starting

KV = record("KVCacheTooSmall", "too small", "spec.engine.maxModelLen", "3072")
STATE = EngineState(
    observed_at=NOW,
    phase="ready",
    startup={"imported": 11.2, "loaded": 20.6, "captured": 30.0, "decoded": 35.0, "ready": 40.0},
    engine={"version": "0.32.0", "command": ["--model", "/models/model"]},
    model={
        "name": "mistral",
        "architecture": "LlamaForCausalLM",
        "maxModelLen": 4096,
        "parameters": 7_000_000_000,
        "revision": "1" * 40,
    },
    memory={"kvCacheTokens": 524_288, "maxConcurrency": 12.7},
)


def _status(owner: ServiceBuilder, *pods: PodBuilder, **more: Any) -> dict[str, Any]:
    return _of(snapshot(owner, *pods, **more), owner)


def _of(seen: Snapshot, owner: ServiceBuilder) -> dict[str, Any]:
    return build_status(seen, owner.outcome, observe(seen, owner.outcome))


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(condition for condition in status["conditions"] if condition["type"] == kind)
    return found


def test_numbers_and_address() -> None:
    status = _status(service().replicas(2), ready(), starting(), ready().old())

    assert {key: status[key] for key in ("observedGeneration", "replicas", "readyReplicas", "updatedReplicas", "replicaSummary")} == {
        "observedGeneration": 3, "replicas": 3, "readyReplicas": 1, "updatedReplicas": 2, "replicaSummary": "1/2",
    }  # fmt: skip
    assert status["selector"] == "fairlead.dev/service=mistral"
    assert status["url"] == "http://mistral.models.svc/v1"
    assert status["accelerators"] == "1 nvidia.com/gpu"


def test_a_first_sight_has_every_condition_and_no_null() -> None:
    status = _status(service(), children=())

    assert [condition["type"] for condition in status["conditions"]] == [
        "Accepted", "Scheduled", "ModelAvailable", "EngineHealthy", "UpToDate", "Secured", "Available", "Ready", "Reconciling",
    ]  # fmt: skip
    assert "null" not in json.dumps(status)


def test_the_same_sight_twice_gives_the_same_status() -> None:
    pods = (ready(), crashed(KV))
    first = _status(service().replicas(2), *pods, states={"uid-mistral-0": STATE})
    later = snapshot(service().replicas(2).with_status(first), *pods, states={"uid-mistral-0": STATE})
    moved = Snapshot(**{**vars(later), "now": NOW + timedelta(minutes=2)})

    assert _of(moved, service().replicas(2).with_status(first)) == first


def test_a_transition_is_dated_only_when_the_status_flips() -> None:
    before = _status(service(), starting())
    owner = service().with_status(before)
    later = NOW + timedelta(minutes=1)
    failed = _of(Snapshot(**{**vars(snapshot(owner, crashed(KV))), "now": later}), owner)
    served = _of(Snapshot(**{**vars(snapshot(owner, ready())), "now": later}), owner)

    assert _condition(failed, "Ready")["lastTransitionTime"] == "2026-11-24T12:00:00Z"
    assert _condition(failed, "Ready")["reason"] == "KVCacheTooSmall"
    assert _condition(served, "Ready")["lastTransitionTime"] == "2026-11-24T12:01:00Z"


def test_what_the_engine_said() -> None:
    status = _status(service(), ready(), states={"uid-mistral-0": STATE})

    assert status["model"] == {
        "name": "mistral",
        "architecture": "LlamaForCausalLM",
        "maxModelLen": 4096,
        "parameters": 7_000_000_000,
        "revision": "1" * 40,
    }
    assert status["memory"] == {"reported": {"kvCacheTokens": 524_288, "maxConcurrency": 12}}
    assert status["engine"] == {"version": "0.32.0", "command": ["--model", "/models/model"]}


def test_what_the_engine_said_stays_when_nobody_answers() -> None:
    before = _status(service(), ready(), states={"uid-mistral-0": STATE})

    assert _status(service().with_status(before), ready())["engine"] == before["engine"]


@pytest.mark.parametrize("left", [{}, {"replicaStates": []}, {"replicaStates": None}], ids=["nothing", "empty", "null"])
def test_whatever_is_left_of_an_emptied_list_is_not_written_again(left: dict[str, Any]) -> None:
    status = _status(service())

    assert "replicaStates" not in status
    assert not is_news(status, {**status, **left})
    assert is_news(status, {**status, "replicaStates": [{"pod": "mistral-0"}]})
    assert is_news({**status, "replicas": 1}, {**status, **left})


def test_an_engine_that_only_starts_says_nothing_of_model_and_memory() -> None:
    """Never an empty object: over the former template's figures, server-side apply would make null of it."""
    state = replace(STATE, model={}, memory={})

    status = _status(service(), starting(), states={"uid-mistral-0": state})

    assert {"model", "memory"} & status.keys() == set()
    assert status["engine"]["version"]


def test_startup_counts_from_the_pods_creation() -> None:
    (state,) = _status(service(), ready(), states={"uid-mistral-0": STATE})["replicaStates"]

    assert state["startup"] == {
        "scheduled": 100,
        "pulled": 200,
        "imported": 211,
        "loaded": 221,
        "captured": 230,
        "ready": 240,
    }


def test_a_start_after_the_first_counts_from_the_end_of_the_run_before() -> None:
    """Its pod may be days old, and waited for a node and an image once."""
    again = ready().ended_before(seconds_ago=1030)
    (state,) = _status(service(), again, states={"uid-mistral-0": STATE})["replicaStates"]

    assert (state["startup"]["pulled"], state["startup"]["ready"]) == (30, 70)


def test_the_last_failure_stays_when_its_pod_is_gone() -> None:
    before = _status(service(), crashed(KV))
    after = _status(service().with_status(before), starting().named("another"))

    assert after["lastFailure"] == before["lastFailure"]
    assert after["lastFailure"]["field"] == "spec.engine.maxModelLen"
    assert after["lastFailure"]["pod"] == "mistral-0"


def test_the_last_failure_of_another_template_is_forgotten() -> None:
    before = _status(service(), crashed(KV))
    changed = service().spec("engine", maxModelLen=3072).with_status(before)

    assert "lastFailure" not in _status(changed, starting())


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(crashed(KV), 1, id="the same end is not counted twice"),
        pytest.param(crashed(KV, seconds_ago=10).named("another"), 2, id="another pod, the same cause"),
        pytest.param(crashed(KV, times=4, seconds_ago=10), 2, id="the kubelet's count holds ends of other causes too"),
        pytest.param(crashed(record("OutOfGPUMemory"), times=4, seconds_ago=10), 1, id="another cause begins anew"),
    ],
)
def test_failures_are_counted_across_pods(pod: PodBuilder, expected: int) -> None:
    before = _status(service(), crashed(KV))

    assert _status(service().with_status(before), pod)["lastFailure"]["count"] == expected


def test_where_nothing_was_known_the_kubelets_count_is_taken() -> None:
    assert _status(service(), crashed(KV, times=3))["lastFailure"]["count"] == 3


def test_a_changed_spec_counts_anew_even_if_its_pods_stay_the_same() -> None:
    before = _status(service(), crashed(KV, times=4))
    changed = service().with_status(before)
    changed.raw["metadata"]["generation"] += 1

    failure = _status(changed, crashed(KV, times=5, seconds_ago=10))["lastFailure"]

    assert (failure["count"], failure["attempt"]) == (1, "4")


def test_the_template_that_served_last_is_remembered() -> None:
    served = _status(service(), ready())["servedTemplate"]
    failing = service().spec("engine", maxModelLen=1).with_status(_status(service(), ready()))

    assert served == template_hash(service().resolved)
    assert _status(failing, crashed(KV))["servedTemplate"] == served
    assert "servedTemplate" not in _status(service(), crashed(KV))


def test_failing_pods_are_listed_first() -> None:
    states = _status(service().replicas(2), ready(), crashed(KV))["replicaStates"]

    assert [(state["pod"], state["phase"]) for state in states] == [("mistral-1", "Failed"), ("mistral-0", "Ready")]
    assert states[0]["failure"]["code"] == "KVCacheTooSmall"


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("x", id="plain"),
        pytest.param("\u9577", id="three bytes of UTF-8"),
        pytest.param('"', id="what JSON escapes"),
        pytest.param("\x1b", id="a terminal's colours"),
    ],
)
def test_a_thousand_failing_replicas_stay_small_and_valid(character: str) -> None:
    long = record("UnknownFailure", character * 4000, suggestion="y " * 2000)
    pods = [crashed(long, times=index % 7 + 1) for index in range(1000)]
    states = {
        f"uid-mistral-{index}": EngineState(NOW, engine={"version": "1", "command": ["z" * 500] * 300})
        for index in range(1000)
    }
    status = _status(service().replicas(1000), *pods, states=states)

    assert len(status["replicaStates"]) == 32
    assert len(json.dumps(status, ensure_ascii=False).encode()) < 64 * 1024
    Status.model_validate(status)


def test_a_rejected_first_spec_has_no_address() -> None:
    status = _status(service().spec("engine", extraArgs=["--port=1"]), children=(), live=service())

    assert "url" not in status
    assert status["replicaSummary"] == "0/0"


def test_a_message_is_cut_between_characters() -> None:
    assert cut("\u9577" * 1000, 100).encode().decode() == f"{chr(0x9577) * 24}...{chr(0x9577) * 8}"


def test_a_long_message_keeps_its_end() -> None:
    shortened = cut("a" * 5000 + "; set spec.engine.maxModelLen to 3072")

    assert len(shortened) == 2048
    assert shortened.endswith("; set spec.engine.maxModelLen to 3072")


def test_a_field_of_any_length_in_a_record_is_cut() -> None:
    """The image may be anybody's, and what it says must not keep the status from being written."""
    at = snapshot(service(), crashed(record("BadArgument", field="f" * 300)))

    status = build_status(at, service().outcome, observe(at, service().outcome))

    Status.model_validate(status)
    assert status["replicaStates"][0]["failure"]["field"] == "f" * 253
