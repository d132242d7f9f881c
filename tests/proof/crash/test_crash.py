"""The operator is killed at every write, right before it and right after it; the end is that of a run without a kill.

A life is the whole scenario with one kill in each step, each at another write than in all other lives. Lives run beside each other in lanes.
"""

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead_cli.local.controlplane import ControlPlane
from proof.crash.lane import Kill, Lane, Point, Seen, When, lane
from proof.crash.nursery import Nursery
from proof.crash.steps import LONG, SHORT, Step
from proof.results import FULL, Tally
from simulated.nodes import Pool

#: Beside each other on two cores: more of them only wait for each other.
LANES = 4
WHENS: tuple[When, ...] = ("before", "after")
STEPS = LONG if FULL else SHORT


#: Of how many writes of status in a step: every one of them is of one kind, and comes from one line of code.
STATUS_WRITES = 1000 if FULL else 2


@dataclass(frozen=True)
class Outcome:
    """One step of one life. hit: whether it was killed; a write of status may not come in every life."""

    step: Step
    kill: Kill | None
    hit: bool
    wrong: Sequence[str]

    def __str__(self) -> str:
        killed = f"killed {self.kill.when} {self.kill.point}" if self.kill and self.hit else "not killed"
        return f"{self.step.name}: {killed}: {'; '.join(self.wrong) or 'the same end'}"


@pytest.mark.timeout(1800)
def test_killed_at_every_write_the_end_is_the_same(
    plane: ControlPlane, nodes: Pool, nursery: Nursery, crash_tally: Tally, tmp_path: Path
) -> None:
    with lane(plane, nodes, nursery, tmp_path / "calm", "calm") as undisturbed:
        calm = {step: undisturbed.calm(step) for step in STEPS}
    for step, seen in calm.items():
        print(f"{step.name}: {', '.join(str(write) for write in seen.writes) or 'no write'}")
        assert (seen.made, seen.kept) == (step.made, step.kept), f"{step.name}, undisturbed: pods made and kept"
    points = {
        step: [point for point in seen.points if not _is_status(point) or point.nth <= STATUS_WRITES]
        for step, seen in calm.items()
    }
    lives: queue.SimpleQueue[tuple[When, int]] = queue.SimpleQueue()
    for number in range(max(len(found) for found in points.values())):
        for when in WHENS:
            lives.put((when, number))

    def live(number: int) -> list[Outcome]:
        """One lane after the other, until no life is left: a lane in which something ended wrong is not used again."""
        outcomes: list[Outcome] = []
        again = 0
        while not lives.empty():
            again += 1
            name = f"lane-{number}-{again}"
            with ExitStack() as stack:
                here = stack.enter_context(lane(plane, nodes, nursery, tmp_path / name, name))
                while (life := _next(lives)) is not None:
                    kills = {step: _kill(*life, found) for step, found in points.items()}
                    outcomes += _life(here, kills, calm)
                    if outcomes[-1].wrong:
                        break
        return outcomes

    with ThreadPoolExecutor(LANES) as lanes:
        outcomes = [outcome for found in lanes.map(live, range(LANES)) for outcome in found]

    missed = _missed(points, outcomes)
    _keep(crash_tally, outcomes, missed)
    assert [str(outcome) for outcome in outcomes if outcome.wrong] == []
    assert missed == [], "every write of a child is a point at which it was killed"


def _is_status(point: Point) -> bool:
    return point.what.endswith("/status")


def _next(lives: "queue.SimpleQueue[tuple[When, int]]") -> tuple[When, int] | None:
    try:
        return lives.get_nowait()
    except queue.Empty:
        return None


def _kill(when: When, number: int, points: Sequence[Point]) -> Kill | None:
    return Kill(when, points[number]) if number < len(points) else None


def _life(here: Lane, kills: Mapping[Step, Kill | None], calm: Mapping[Step, Seen]) -> Iterator[Outcome]:
    """Until its end, or until something ends wrong."""
    for step, seen in calm.items():
        began = time.monotonic()
        outcome = Outcome(step, kills[step], *here.disturbed(step, kills[step], seen))
        print(f"{outcome}, {time.monotonic() - began:.1f} s", flush=True)
        yield outcome
        if outcome.wrong:
            return


def _keep(tally: Tally, outcomes: Sequence[Outcome], missed: Sequence[str]) -> None:
    for outcome in outcomes:
        if outcome.hit and outcome.kill:
            tally.count(f"{outcome.step.name}: killed {outcome.kill.when} a write", failed=bool(outcome.wrong))
    for write in missed:
        tally.count(f"{write}: not killed there", failed=True)
    tally.keep()


def _missed(points: Mapping[Step, Sequence[Point]], outcomes: Sequence[Outcome]) -> list[str]:
    """Writes of children at which no life was killed. How often status is written hangs on moments."""
    hit = {(outcome.step, outcome.kill) for outcome in outcomes if outcome.hit}
    return [
        f"{step.name}: {when} {point}"
        for step, found in points.items()
        for point in found
        for when in WHENS
        if not _is_status(point) and (step, Kill(when, point)) not in hit
    ]
