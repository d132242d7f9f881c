"""Whatever goes wrong between operator and API server, a scenario ends as it does without, and nobody but the log hears of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest

from api.cluster import eventually
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.controller.cluster import THROTTLED_TRIES
from fairlead_operator.controller.pacing import IN_A_ROW, SECONDS
from proof import fault_ground
from proof.fault_ground import Ground
from proof.flood_harm import AT_ONCE, EXPIRED_AT_ONCE, ByName, Storm
from proof.harm import (
    AnswerLost,
    CutAfter,
    CutBefore,
    First,
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
from proof.invariants import Picture, conditions, place
from proof.proxy import Hooks, Proxy
from proof.requests import Answer, refusal
from proof.results import FULL, SEEDS, Tally
from proof.scenario import STAYING, Scenario
from proof.traces import ON_THE_WAY, Counted, is_comparison
from proof.watch_harm import (
    BROKEN,
    WATCHED,
    CutEvents,
    Dropped,
    ExpiredPages,
    Gap,
    GoneAnswers,
    Reordered,
    Silent,
    SlowLists,
    Stale,
    Twice,
    end_watches,
)

#: kopf, ended and begun anew.
RESTARTS = "fairlead_watch_restarts_total"
#: Of First: for ever.
ALWAYS = 10**9
#: Seconds.
RETRY_AFTER = 2
#: At each service that is as it should be.
LOOKS = 3
#: Services, each of which takes a dozen requests.
MANY = 20
#: Seconds that a scenario may take on a busy machine of two cores.
WITHIN = 900.0 if FULL else 120.0
pytestmark = pytest.mark.timeout(4 * WITHIN)


@pytest.fixture(scope="module")
def ground(fault_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """For all of these tests: a fault that one of them left behind would show in the next."""
    folder = tmp_path_factory.mktemp("faults")
    with fault_ground.ground(fault_plane, folder, hurried=not FULL, within=WITHIN) as started:
        yield started


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest, fault_tally: Tally) -> Iterator[None]:
    """Each case counts once, and is kept at once."""
    before = request.session.testsfailed
    yield
    name = request.node.name.partition("[")[2].rstrip("]") or request.node.name.removeprefix("test_").replace("_", " ")
    what = "a mix of all" if "seed" in request.fixturenames else name
    fault_tally.count(what, failed=request.session.testsfailed > before)
    fault_tally.keep()


#: A load balancer's, with whatever header it likes.
PAGE = Answer(
    503, b"<html>injected</html>", {"Content-Type": "text/html", "Retry-After": "Sat, 28 Nov 2026 00:00:00 GMT"}
)
BUSY = refusal(429, "TooManyRequests", Retry_After="1")
SOME = of("deployments", "services", "inferenceservices", verbs=("apply", "delete"))


def expired(there: Ground, _: Scenario) -> None:
    end_watches(there.proxy)


def broken(there: Ground, _: Scenario) -> None:
    end_watches(there.proxy, BROKEN)


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


@dataclass(frozen=True)
class Watched:
    """`harm` needs the proxy; `changing` is done right before the scenario's changes; `late`: the harm begins then.

    `harmless`: it costs no restart of the watches.
    """

    harm: Callable[[Proxy], Harm]
    changing: Callable[[Ground, Scenario], None] | None = None
    late: bool = False
    harmless: bool = False


WATCHES = [
    pytest.param(Watched(lambda _: SlowLists(), expired), id="410, and slow lists"),
    pytest.param(
        Watched(lambda _: ExpiredPages(), expired, late=True), id="410, and a continue token that has expired"
    ),
    pytest.param(Watched(lambda _: SlowLists(), broken), id="500 within a watch"),
    pytest.param(Watched(lambda _: Stale(), harmless=True), id="events followed by older ones"),
    pytest.param(Watched(lambda proxy: Reordered(proxy, seed=7)), id="events that overtake each other"),
    pytest.param(Watched(lambda _: Dropped(), late=True), id="events that never come"),
    pytest.param(Watched(lambda _: Silent(), late=True), id="watches that go silent"),
]
MORE_WATCHES = [
    pytest.param(Watched(lambda _: GoneAnswers(), expired), id="410 as the answer to a watch"),
    pytest.param(Watched(lambda _: Twice(), harmless=True), id="events that come three times"),
    pytest.param(Watched(lambda _: CutEvents()), id="watches cut in the middle"),
]


@pytest.mark.parametrize("case", WATCHES + MORE_WATCHES if FULL else WATCHES)
def test_watches(ground: Ground, case: Watched) -> None:
    harm, restarts = case.harm(ground.proxy), ground.operator.metric(RESTARTS)

    ground.run(harm, changing=case.changing, late=case.late)

    assert harm.done
    if case.harmless:
        assert ground.operator.metric(RESTARTS) == restarts, "the store was behind, and the watches were begun anew"


def test_what_is_deleted_while_nothing_is_watched(ground: Ground) -> None:
    """A service and three children go between an expired watch and the next listing: no event ever tells of it."""
    gap = Gap()

    def unseen(there: Ground, scenario: Scenario) -> None:
        end_watches(there.proxy)
        there.until_unwatched()
        scenario.delete("apis/apps/v1", "deployments", "grows")
        scenario.delete("api/v1", "services", "shrinks")
        scenario.delete("apis/fairlead.dev/v1alpha1", "inferenceservices", "goes")
        eventually(lambda: gap.done, "a list or a watch that does not get through")
        gap.over(f"Service {scenario.namespace}/shrinks", f"InferenceService {scenario.namespace}/goes")

    ground.run(gap, changing=unseen, late=True)

    assert gap.done


@contextmanager
def failing(
    ground: Ground, harms: Mapping[str, First], enough: Mapping[str, int]
) -> Iterator[Mapping[str, Sequence[float]]]:
    """One service per harm, until each Deployment was tried often `enough`; when each was tried. After the block nothing fails, until all are Ready."""
    counted = Counted(ground.rate, ByName(harms))

    def tries(name: str) -> list[float]:
        return [
            at
            for at, request in tuple(counted.asked)
            if request.verb == "apply" and request.target.resource == "deployments" and request.name == name
        ]

    def lacking(_: Picture) -> str:
        return too_few({name: len(tries(name)) for name, number in enough.items() if len(tries(name)) < number})

    with ground.namespace("-".join(sorted(harms))) as namespace:
        ground.proxy.hooks = counted
        for name in harms:
            ground.observer.admin.service(namespace, name)
        ground.observer.until(lacking, ground.within)
        assert counted.flood() == ""
        yield {name: tries(name) for name in harms}
        counted.inner = Hooks()
        ground.observer.until(lambda seen: unready(seen, namespace, len(harms)), ground.within)


def too_few(tries: dict[str, int]) -> str:
    """What was tried, and how often, where that is not enough."""
    return f"tried {tries}" if tries else ""


def slower_and_slower(ground: Ground, harms: Mapping[str, First], enough: Mapping[str, int]) -> None:
    """Each is tried a quarter and half a second after it failed, and then after the longest wait of the hurried operator: one second."""
    with failing(ground, harms, enough) as tried:
        for name, times in tried.items():
            # And two looks more.
            assert len(times) <= times[-1] - times[0] + 5, (
                f"{name} tried too often: {len(times)} times in {times[-1] - times[0]:.0f} s"
            )


def test_a_write_that_never_succeeds_is_tried_ever_more_slowly(ground: Ground) -> None:
    harms: dict[str, First] = {
        "conflicting": Refused(times=ALWAYS, answer=refusal(409, "Conflict")),
        "broken": Refused(times=ALWAYS),
        "cut": CutBefore(times=ALWAYS),
        "swallowed": Swallowed(times=ALWAYS),
        "unanswered": AnswerLost(times=1),
    }

    slower_and_slower(ground, harms, {"conflicting": 8, "broken": 8, "cut": 8, "swallowed": 3, "unanswered": 1})


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(ground: Ground) -> None:
    """Between the tries of one reconcile, and before the next one."""
    busy = refusal(429, "TooManyRequests", Retry_After=str(RETRY_AFTER))
    harms = {"throttled": Refused(times=ALWAYS, answer=busy)}

    with failing(ground, harms, {"throttled": THROTTLED_TRIES + 2}) as tried:
        assert min(later - sooner for sooner, later in pairwise(tried["throttled"])) >= RETRY_AFTER


def test_what_is_as_it_should_be_is_left_alone(ground: Ground) -> None:
    """Whatever makes the operator look again, it writes nothing."""
    with ground.namespace("rest") as namespace:
        scenario = Scenario(ground.observer.admin, namespace)
        scenario.begin()
        ground.observer.until(scenario.begun, ground.within)
        ground.until_still()
        written = len(ground.proxy.writes)

        for look in range(LOOKS):
            before = ground.outcome("Done")
            for name in STAYING:
                scenario.touch(name, str(look))
            eventually(lambda before=before: ground.outcome("Done") >= before + len(STAYING), "a look at each")  # type: ignore[misc]

        assert [str(write) for write in ground.proxy.writes[written:]] == []


def test_many_at_once_are_served_at_the_rate_that_is_allowed(ground: Ground) -> None:
    with ground.namespace("many") as namespace:
        counted = ground.proxy.hooks = Counted(ground.rate)
        for number in range(MANY):
            ground.observer.admin.service(namespace, f"m{number}", replicas=0)

        ground.observer.until(lambda seen: unready(seen, namespace, MANY), ground.within)

        assert counted.flood() == ""
        assert len(counted.asked) > 2 * ground.rate + ON_THE_WAY, "so few would not show it"


def unready(seen: Picture, namespace: str, number: int) -> str:
    """Which of the services are not Ready."""
    mine = [service for service in seen.services if place(service)[0] == namespace]
    late = [place(one)[1] for one in mine if conditions(one).get("Ready", {}).get("status") != "True"]
    return f"of {len(mine)} services {late} are not Ready" if late or len(mine) < number else ""


def too_small(storm: int, enough: int) -> str:
    """So many watches were begun."""
    return f"{storm} watches" if storm < enough else ""


STORMS = [
    pytest.param(
        {"deployments": EXPIRED_AT_ONCE, "services": AT_ONCE, "pods": EXPIRED_AT_ONCE, "inferenceservices": AT_ONCE},
        frozenset({"configmaps"}),
        40,
        id="each ends as soon as it has begun",
    ),
    pytest.param(dict.fromkeys(WATCHED, refusal(410, "Expired")), frozenset(), 15, id="each is answered with HTTP 410"),
]


@pytest.mark.parametrize(("answers", "cut", "enough"), STORMS if FULL else STORMS[:1])
def test_watches_that_never_live_are_begun_ever_more_slowly(
    ground: Ground, answers: dict[str, Answer], cut: frozenset[str], enough: int
) -> None:
    ground.observer.wrong.clear()
    storm = Storm(answers, cut)
    counted = ground.proxy.hooks = Counted(ground.rate, storm)
    end_watches(ground.proxy, BROKEN)

    def asked(resource: str, verb: str) -> list[float]:
        """By kopf: the operator's own comparisons list metadata."""
        return [
            at
            for at, request in tuple(counted.asked)
            if (request.target.resource, request.verb) == (resource, verb) and not is_comparison(request)
        ]

    def lacking(_: Picture) -> str:
        return too_small(storm.done.total(), enough)

    ground.observer.until(lacking, ground.within)
    assert counted.flood() == ""
    for resource in WATCHED:
        for verb in ("list", "watch"):
            times = asked(resource, verb)
            allowed = IN_A_ROW + (times[-1] - times[0]) / SECONDS + 1 if times else 0
            assert len(times) <= allowed, (
                f"{verb} of {resource} asked too often: {len(times)} times, {allowed:.1f} allowed"
            )
    ground.run(Hooks())
