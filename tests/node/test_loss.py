"""Nothing is lost: hundreds of streams through the Service while pods come and go, each looked at to its last token.

An engine that is killed loses what it has, and nothing after that. Real pods of the real runtime; only the engine is a script, so that pods are ready in seconds and every token is known. Nobody tries
again: one answer that is not whole fails the test. 200 streams keep their connections, 200 open one for each request.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from asking import until
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local.health import listening
from fairlead_runtime.config import SERVING_PORT
from serving.load import Clients, Counts, under, under_way

from . import operator_pod, pods
from .conftest import apply, service

# The first of the whole folder also has the cluster made and the engine's image read, which takes minutes where it was never read.
pytestmark = [pytest.mark.timeout(1500), pytest.mark.counted]

NAME = "rope"
REPLICAS = 3
CLIENTS = Clients(pooled=180, library=20, fresh=200, whole=10, batches=10)
#: Streams that began before and end after a replica refuses new requests, 15 s after it was asked to stop.
LONG = Clients(pooled=90, library=20, fresh=90, tokens=(48, 60))
#: Seconds until nobody is sent any more to a pod whose engine has died: the kubelet looks each second, and endpoints follow it.
ELSEWHERE_WITHIN = 10
#: Seconds until as many pods are Ready, and until the last of the old ones is gone.
WITHIN = 150


@pytest.fixture(scope="module")
def address(kubectl: Kubectl, model: str, scripted: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Of a service with three replicas that are ready."""
    manifest = service(NAME, model, **scripted, replicas=REPLICAS, serving={"requestTimeoutSeconds": 60})
    operator_pod.wait_to_lead(kubectl)
    apply(kubectl, manifest)
    pods.wait_ready(kubectl, NAME, WITHIN, REPLICAS)
    found = kubectl.get("service", NAME)["spec"]["clusterIP"], 80
    until(lambda: listening(*found), "endpoints behind the service", WITHIN)
    yield found
    kubectl.run("delete", "infs", NAME, "--ignore-not-found", "--wait", "--cascade=foreground", "--timeout=120s")


@pytest.fixture
def settle(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Counts], None]:
    """Prints the figures of a case, and fails when anything was lost."""

    def settled(what: str, counts: Counts) -> None:
        with capsys.disabled():
            print(f"\n{counts.figures(what)}", flush=True)
        lost = [(round(one.ended - counts.seen[0].asked, 1), one.kind, one.problem) for one in counts.lost]
        assert (len(lost), lost[:5]) == (0, [])

    return settled


def change(kubectl: Kubectl, **spec: Any) -> None:
    kubectl.run("patch", "infs", NAME, "--type=merge", "-p", json.dumps({"spec": spec}))


@pytest.mark.parametrize("strategy", ["Surge", "Replace"])
def test_a_rollout_loses_nothing(
    address: tuple[str, int], kubectl: Kubectl, settle: Callable[[str, Counts], None], strategy: str
) -> None:
    old = pods.names(pods.of(kubectl, NAME))

    with under(address, NAME, CLIENTS) as counts:
        change(kubectl, rollout={"strategy": strategy}, engine={"maxNumSeqs": 1000 + len(strategy)})
        pods.wait_ready(kubectl, NAME, WITHIN, REPLICAS, without=old)

    settle(f"rollout ({strategy}) of 3 replicas", counts)


def test_an_operator_killed_in_the_middle_of_a_rollout_loses_nothing(
    address: tuple[str, int], kubectl: Kubectl, settle: Callable[[str, Counts], None]
) -> None:
    old = pods.names(pods.of(kubectl, NAME))

    with under(address, NAME, CLIENTS) as counts:
        change(kubectl, rollout={"strategy": "Auto"}, engine={"maxNumSeqs": 1022})
        begun = lambda found: bool(pods.names(found) - old)  # noqa: E731
        pods.wait(kubectl, NAME, WITHIN, begun, "a new pod")
        operator_pod.kill(kubectl)
        pods.wait_ready(kubectl, NAME, WITHIN, REPLICAS, without=old)
        operator_pod.wait_to_lead(kubectl)

    settle("rollout (Auto) of 3 replicas, operator killed", counts)


def test_the_eviction_of_one_of_three_loses_nothing(
    address: tuple[str, int], kubectl: Kubectl, settle: Callable[[str, Counts], None]
) -> None:
    evicted = pods.of(kubectl, NAME)[0]["metadata"]["name"]

    with under(address, NAME, CLIENTS) as counts:
        pods.evict(kubectl, evicted)
        pods.wait_ready(kubectl, NAME, WITHIN, REPLICAS, without={evicted})

    settle("eviction of 1 of 3 replicas", counts)


def test_an_engine_that_is_killed_loses_what_it_had_and_the_next_requests_go_elsewhere(
    address: tuple[str, int], kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of three. Nobody finds the container that comes after it before it is ready."""
    victim = pods.of(kubectl, NAME)[0]
    name, before = victim["metadata"]["name"], pods.restarts(victim)

    with under(address, NAME, CLIENTS) as counts:
        for pid in pods.processes(victim, b"fairlead_runtime.server"):
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        started_anew = lambda found: any(  # noqa: E731
            pod["metadata"]["name"] == name and pods.restarts(pod) > before for pod in found
        )
        pods.wait(kubectl, NAME, WITHIN, started_anew, "a container that was started anew")
        pods.wait_ready(kubectl, NAME, WITHIN, REPLICAS)
        until(lambda: any(one.asked > killed + 2 * ELSEWHERE_WITHIN for one in counts.seen[-100:]), "later answers")

    asked = sorted(one.asked - killed for one in counts.lost)
    with capsys.disabled():
        print(f"\n{counts.figures('kill of 1 of 3 engines')}; the last one lost was asked for after {asked[-1]:.1f} s")
    assert 0 < sum(one < 0 for one in asked) < counts.open_at_begin / 2, "a third of what was under way"
    assert asked[-1] < ELSEWHERE_WITHIN


def test_scaling_down_from_three_to_one_loses_nothing(
    address: tuple[str, int],
    kubectl: Kubectl,
    settle: Callable[[str, Counts], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with under(address, NAME, CLIENTS) as counts:
        busy = {pod["metadata"]["name"]: pods.unfinished(pod) for pod in pods.of(kubectl, NAME)}
        kubectl.run("scale", f"infs/{NAME}", "--replicas=1")
        pods.wait_ready(kubectl, NAME, WITHIN, 1)

    (kept,) = pods.names(pods.of(kubectl, NAME))
    with capsys.disabled():
        print(f"\nscale-down: kept a replica with {busy[kept]} requests of {sorted(busy.values())}")
    settle("scale-down from 3 to 1 replicas", counts)


def test_suspending_the_only_replica_finishes_its_streams_and_sends_others_away_in_so_many_words(
    address: tuple[str, int], kubectl: Kubectl, settle: Callable[[str, Counts], None]
) -> None:
    arrived: list[tuple[int, str | None]] = []
    at_the_pod: list[tuple[int, str | None]] = []

    with under_way(address, NAME, LONG) as counts:
        change(kubectl, suspend=True)

        def gone(found: list[dict[str, Any]]) -> bool:
            arrived.append(arrival(address))
            # Endpoints may go before it refuses, so that nobody is sent to where it would be said.
            if SENT_AWAY not in at_the_pod:
                at_the_pod.extend(arrival((pod["status"]["podIP"], SERVING_PORT)) for pod in found)
            return not found

        pods.wait(kubectl, NAME, WITHIN, gone, "no pod left")

    settle("suspension of the only replica", counts)
    outcomes = Counter(arrived)
    assert outcomes.keys() <= {(200, None), SENT_AWAY, (0, "Connection refused")}
    assert SENT_AWAY in at_the_pod, at_the_pod
    assert outcomes[200, None] > 0, outcomes
    assert arrival(address) == (0, "Connection refused")


#: Of a replica that stops: in so many words, and with Retry-After.
SENT_AWAY = (503, "1")


def arrival(address: tuple[str, int]) -> tuple[int, str | None]:
    """What a request gets that comes now: status and Retry-After, or 0 and why there is no answer."""
    connection = HTTPConnection(*address, timeout=60)
    try:
        connection.request("POST", "/generate", json.dumps({"prompt": "a", "max_tokens": 1}))
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Retry-After"]
    except OSError as error:
        return 0, error.strerror
    finally:
        connection.close()


def test_deleting_the_service_finishes_its_streams(
    address: tuple[str, int], kubectl: Kubectl, settle: Callable[[str, Counts], None]
) -> None:
    change(kubectl, suspend=False)
    pods.wait_ready(kubectl, NAME, WITHIN, 1)
    # A pod is seen Ready before kube-proxy has its address.
    until(lambda: listening(*address), "an endpoint behind the service", WITHIN)

    with under_way(address, NAME, LONG) as counts:
        kubectl.run("delete", "infs", NAME, "--wait=false")
        pods.wait(kubectl, NAME, WITHIN, lambda found: not found, "no pod left")

    settle("deletion of the service", counts)
