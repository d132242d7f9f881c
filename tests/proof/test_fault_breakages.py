"""A harness that finds no bug in an operator that has one proves nothing: each breakage of fault_breakages.py is found."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from api.pods import ready as started
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.core import names
from proof import fault_ground, test_faults
from proof.fault_breakages import BREAKAGES
from proof.fault_ground import RATE, RUN, TESTS, Ground, broken_ground, program
from proof.harm import Harm, Refused, Swallowed, everything, writes
from proof.invariants import Manifest, Picture
from proof.observer import Admin
from proof.proxy import Proxy
from proof.requests import refusal
from proof.results import FULL, Tally
from proof.scenario import REPLICAS, STAYING, Scenario, differences
from proof.test_faults import Watched, broken, expired
from proof.watch_harm import ExpiredPages, SlowLists, Stale

#: Seconds: what is wrong for so long stays wrong, since an operator that is well needs less.
ENOUGH = 45.0
#: Requests per second: less than an operator without a limit asks on a slow machine.
LITTLE = 8
#: Of one write: with a second between them they take half a minute; without a wait some seconds, on a slow machine a few times that.
MANY_TRIES = 30


@dataclass(frozen=True)
class Found:
    """`case` fails, and says `told`, a regular expression for what only this breakage brings about. `rate` is what the operator is allowed, in requests per second."""

    case: Callable[[Ground], None]
    told: str
    rate: int = RATE


def requests(harm: Callable[[], Harm]) -> Callable[[Ground], None]:
    return lambda ground: test_faults.test_requests(ground, harm)


def watches(harm: Callable[[Proxy], Harm], **more: object) -> Callable[[Ground], None]:
    return lambda ground: test_faults.test_watches(ground, Watched(harm, **more))  # type: ignore[arg-type]


def storm(ground: Ground) -> None:
    answers, cut, enough = test_faults.STORMS[0].values
    test_faults.test_watches_that_never_live_are_begun_ever_more_slowly(ground, answers, cut, enough)  # type: ignore[arg-type]


def tried_alone(ground: Ground) -> None:
    """One service has the whole rate: of several that share it, none would be tried much more than once a second."""
    test_faults.slower_and_slower(ground, {"broken": Refused(times=test_faults.ALWAYS)}, {"broken": MANY_TRIES})


FOUND: dict[str, Found] = {
    "blames the user": Found(requests(lambda: Refused(everything)), "is not Accepted"),
    "writes status each time": Found(
        test_faults.test_what_is_as_it_should_be_is_left_alone, "apply inferenceservices/status"
    ),
    "knows no limit": Found(
        test_faults.test_many_at_once_are_served_at_the_rate_that_is_allowed, r"\d+ requests in \d+\.\d s", LITTLE
    ),
    "watches without a pause": Found(storm, r"requests in \d+\.\d s|asked too often"),
    "loses what failed": Found(
        requests(lambda: Refused(writes, answer=refusal(409, "Conflict"))), "came to nothing, and was not tried again"
    ),
    "asks again at once": Found(tried_alone, r"tried too often|requests in \d+\.\d s"),
    "hears no retry after": Found(test_faults.test_a_busy_server_is_left_alone_for_as_long_as_it_asks, ">= 2"),
    "takes a part for the whole": Found(
        watches(lambda _: ExpiredPages(), changing=expired, late=True), r"InferenceService \S+ is taken for gone"
    ),
    "believes old news": Found(watches(lambda _: Stale(), harmless=True), "begun anew"),
    "waits for ever": Found(
        requests(lambda: Swallowed(test_faults.SOME)), r"was not answered for \d+ s, and is waited for"
    ),
    "misses the unseen": Found(
        test_faults.test_what_is_deleted_while_nothing_is_watched, r"Service \S+/shrinks is not known to be gone"
    ),
    "watches once": Found(
        watches(lambda _: SlowLists(), changing=broken), "nothing is watched, and no watch was begun"
    ),
}
#: For CI: what is found within seconds.
QUICK = ("blames the user", "writes status each time")


def test_each_breakage_breaks_something_that_is_there() -> None:
    """In a process of its own. What is found by which case is told for each."""
    code = "from proof.fault_breakages import BREAKAGES\nfor broken in BREAKAGES.values(): broken()"

    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(TESTS)})

    assert FOUND.keys() == BREAKAGES.keys()


def service(name: str, **status: object) -> Manifest:
    return {"metadata": {"namespace": "faults-1", "name": name, "generation": 2}, "spec": {}, "status": status}


def child(kind: str, name: str) -> Manifest:
    labels = {names.SERVICE_LABEL: name}
    return {"kind": kind, "metadata": {"namespace": "faults-1", "name": name, "labels": labels}, "status": {}}


def seen(status: str) -> list[Manifest]:
    """All services, with that at their generation; one is never Ready."""
    ready = {"type": "Ready", "observedGeneration": 2, "reason": "Starting"}
    return [service(name, conditions=[{**ready, "status": "False" if name == "never" else status}]) for name in STAYING]


def lacking() -> Iterator[str]:
    """Whatever can be lacking when time is over, as scenario.py, fault_ground.py and test_faults.py say it."""
    scenario = Scenario(cast("Admin", None), "faults-1")
    pods = [child("Pod", name) for name, number in REPLICAS.items() for _ in range(number)]
    for pod in pods:
        if pod["metadata"]["name"] != "never":
            pod["status"] = started()
    services = [child("Service", name) for name in STAYING]
    for picture in (
        Picture(),
        Picture([service(name) for name in STAYING]),
        Picture(seen("False")),
        Picture(seen("True")),
        Picture(seen("True"), (), pods),
        Picture(seen("True"), [*services, child("Service", "goes")], pods),
    ):
        yield scenario.changed(picture)
    assert scenario.changed(Picture(seen("True"), services, pods)) == "", (
        "the pictures lack what they are to lack, and nothing else"
    )
    yield differences({"pods of grows": ["{}"]}, {"pods of grows": []})
    yield test_faults.unready(Picture(seen("False")), "faults-1", 20)
    yield test_faults.too_few({"broken": 1})
    yield test_faults.too_small(7, 40)
    yield fault_ground.left(Picture(seen("True")))
    yield fault_ground.CHANGES
    yield fault_ground.WRITES


LACKING = tuple(lacking())


def test_everything_that_can_be_lacking_is_known() -> None:
    assert all(LACKING)
    assert len(set(LACKING)) == len(LACKING)


@pytest.mark.parametrize("breakage", list(FOUND))
def test_no_breakage_is_found_by_a_timeout_alone(breakage: str) -> None:
    assert [words for words in LACKING if re.search(FOUND[breakage].told, f"after {ENOUGH:.0f} s: {words}")] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("breakage", list(BREAKAGES) if FULL else QUICK)
def test_a_broken_operator_is_found(
    fault_plane: ControlPlane, fault_tally: Tally, tmp_path: Path, breakage: str
) -> None:
    found = FOUND[breakage]

    with (
        fault_tally.breaking(breakage),
        broken_ground(fault_plane, tmp_path, breakage, ENOUGH, found.rate) as ground,
        pytest.raises(AssertionError, match=found.told) as caught,
    ):
        found.case(ground)

    print(f"{breakage}: {str(caught.value)[:300]}")


#: In the place of the operator: it is refused the same thing for days.
REFUSED = """
from itertools import count
from fairlead_operator.controller.refusals import TRIES, Refusals
from fairlead_operator.core.refusal import Refusal
times = count(0, 86400)
refused = Refusals(lambda: next(times))
told = [refused.failed(("a", "b"), "uid", Refusal("apply Service b", "500 injected"), known=False) for _ in range(2 * TRIES)]
assert told == [None] * 2 * TRIES, told
"""


@pytest.mark.parametrize("hurried", [True, False])
def test_what_is_refused_on_purpose_is_told_to_nobody_however_long_it_takes(*, hurried: bool) -> None:
    """A slow machine is no breakage."""
    option, code = program(hurried=hurried)
    assert code.endswith(RUN)

    subprocess.run([sys.executable, option, code.removesuffix(RUN) + REFUSED], check=True)
