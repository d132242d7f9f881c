"""Whatever goes wrong between operator and API server, a scenario ends as it does without, and nobody but the log hears of it."""

from collections.abc import Callable, Iterator

import pytest

from proof import fault_ground
from proof.fault_ground import Ground
from proof.harm import (
    AnswerLost,
    CutAfter,
    CutBefore,
    Harm,
    Late,
    LeaseTrouble,
    Mixed,
    Refused,
    RefusedThoughDone,
    Swallowed,
    everything,
    of,
    writes,
)
from proof.requests import Answer, refusal
from proof.results import FULL, Tally
from proof.scenario import Scenario
from proof.watch_harm import (
    SlowLists,
    end_watches,
)

SEEDS = range(1, 21 if FULL else 2)
#: Seconds that a scenario may take on a busy machine of two cores.
WITHIN = 900.0 if FULL else 120.0
pytestmark = pytest.mark.timeout(4 * WITHIN)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """For all of these tests: a fault that one of them left behind would show in the next."""
    folder = tmp_path_factory.mktemp("faults")
    with fault_ground.ground(folder, hurried=not FULL, within=WITHIN) as started:
        yield started


@pytest.fixture(scope="module")
def tally() -> Tally:
    return Tally(
        "faults",
        notes=[
            f"seeds of the mix: {SEEDS[0]} to {SEEDS[-1]}",
            "waits of the operator: its own" if FULL else "waits of the operator: shortened",
        ],
    )


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest, tally: Tally) -> Iterator[None]:
    """Each case counts once, and is kept at once."""
    before = request.session.testsfailed
    yield
    name = request.node.name.partition("[")[2].rstrip("]") or request.node.name.removeprefix("test_").replace("_", " ")
    tally.count("a mix of all" if "seed" in request.fixturenames else name, failed=request.session.testsfailed > before)
    tally.keep()


#: A load balancer's, with whatever header it likes.
PAGE = Answer(
    503, b"<html>injected</html>", {"Content-Type": "text/html", "Retry-After": "Sat, 28 Nov 2026 00:00:00 GMT"}
)
BUSY = refusal(429, "TooManyRequests", Retry_After="1")
SOME = of("deployments", "services", "inferenceservices", verbs=("apply", "delete"))


def expired(there: Ground, _: Scenario) -> None:
    end_watches(there.proxy)


REQUESTS = [
    pytest.param(lambda: Refused(writes, answer=refusal(409, "Conflict")), id="409 to each first write"),
    pytest.param(lambda: Refused(everything), id="500 to each first request"),
    pytest.param(lambda: Refused(everything, answer=PAGE), id="503 with a page of HTML to each first request"),
    pytest.param(lambda: Swallowed(SOME), id="a write that nobody answers"),
    pytest.param(lambda: AnswerLost(SOME), id="a write that was done and that nobody answers"),
    pytest.param(lambda: CutBefore(everything), id="a connection cut before each first request"),
    pytest.param(lambda: CutAfter(everything), id="a connection cut after each first request"),
]
MORE_REQUESTS = [
    pytest.param(lambda: RefusedThoughDone(writes), id="500 although it was done"),
    pytest.param(lambda: RefusedThoughDone(writes, answer=refusal(409, "Conflict")), id="409 although it was done"),
    pytest.param(lambda: Swallowed(of("deployments", verbs=("get",))), id="a read that nobody answers"),
]


@pytest.mark.parametrize("harm", REQUESTS + MORE_REQUESTS if FULL else REQUESTS)
def test_requests(ground: Ground, harm: Callable[[], Harm]) -> None:
    done, retries = harm(), ground.retries

    ground.run(done, changing=expired)

    assert done.done
    assert ground.retries > retries, "each fault is a retry"


def test_too_many_requests(ground: Ground) -> None:
    """They are asked again as the answer says, within the same reconcile."""
    busy = Refused(of("deployments"), answer=BUSY)

    ground.run(busy, changing=expired)

    assert {verb for verb, *_ in busy.done} >= {"get", "list", "watch", "apply"}


@pytest.mark.parametrize("seed", SEEDS)
def test_anything_at_any_time(ground: Ground, seed: int) -> None:
    print(f"seed {seed}")
    mixed = Mixed(seed)

    ground.run(mixed)

    assert mixed.done


def test_late_answers(ground: Ground) -> None:
    late = Late(writes)

    ground.run(late)

    assert late.done


def test_the_lease(ground: Ground) -> None:
    """Single failures cost no leadership: the process would end."""
    trouble = LeaseTrouble()

    ground.run(trouble)

    assert trouble.done


def test_an_expired_watch_and_slow_lists(ground: Ground) -> None:
    slow = SlowLists()

    ground.run(slow, changing=expired)

    assert slow.done
