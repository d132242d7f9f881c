"""A harness that finds no bug in an operator that has one proves nothing: each breakage of broken.py is found."""

from pathlib import Path

import pytest

from fairlead_cli.local.controlplane import ControlPlane
from proof.crash import steps
from proof.crash.broken import BREAKAGES
from proof.crash.lane import Kill, Point, lane
from proof.crash.nursery import Nursery
from proof.crash.steps import Step
from proof.results import FULL, Tally
from simulated.nodes import Pool

#: Seconds: what is wrong for so long stays wrong, since an operator that is well needs less for a step.
ENOUGH = 30.0
REVISION, DEPLOYMENT, STATUS = (
    Point(f"apply {what}") for what in ("controllerrevisions", "deployments", "inferenceservices/status")
)
#: The step in which each breakage shows, after its predecessors, and at which write.
WHERE: dict[str, tuple[tuple[Step, ...], Kill]] = {
    "pods know the operator": ((steps.CREATE,), Kill("after", STATUS)),
    "names of chance": ((steps.CREATE,), Kill("after", REVISION)),
    "status first": ((steps.CREATE,), Kill("after", STATUS)),
    "prunes what it remembers": ((steps.CREATE, steps.SCALE_DOWN), Kill("before", DEPLOYMENT)),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("breakage", list(BREAKAGES) if FULL else ["pods know the operator"])
def test_a_broken_operator_is_found(
    plane: ControlPlane, nodes: Pool, nursery: Nursery, crash_tally: Tally, tmp_path: Path, breakage: str
) -> None:
    path, kill = WHERE[breakage]
    name = breakage.replace(" ", "-")
    with crash_tally.breaking(breakage):
        with lane(plane, nodes, nursery, tmp_path / "calm", f"{name}-calm") as here:
            calm = [here.calm(step) for step in path]

        with Nursery(tmp_path / "log", breakage) as ill, lane(plane, nodes, ill, tmp_path / "broken", name) as here:
            for step in path[:-1]:
                here.calm(step)
            hit, wrong = here.disturbed(path[-1], kill, calm[-1], ENOUGH)

        print(f"{breakage}, killed {kill.when} {hit}: {wrong}")
        assert hit
        assert wrong != []
