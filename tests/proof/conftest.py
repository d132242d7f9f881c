"""The ground of tests/simulated: a whole control plane, and nodes whose kubelets are simulated. The faults have a smaller one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.conftest import admin, kubectl
from fairlead_cli.local.controlplane import ControlPlane
from proof import fault_ground
from proof.results import FULL, SEEDS, Tally, share
from simulated.conftest import plane

__all__ = ["admin", "kubectl", "plane"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is proved is counted. One process may have a share of them only.

    Not the faults: whether a fault met anything at all hangs on the moment, and is asked as well.
    """
    for item in items:
        if Path(__file__).parent in item.path.parent.parents:
            item.add_marker("counted")
    items[:] = share(items, os.environ.get("FAIRLEAD_PROOF_SHARE", ""))


@pytest.fixture(scope="session")
def fault_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """API server and controllers for one operator after the other."""
    with fault_ground.control_plane(tmp_path_factory.mktemp("fault-plane")) as started:
        yield started


@pytest.fixture(scope="session")
def fault_tally() -> Tally:
    """Of this run."""
    return Tally(
        "faults",
        notes=[
            f"seeds of the mix: {SEEDS[0]} to {SEEDS[-1]}",
            "waits of the operator: its own" if FULL else "waits of the operator: shortened",
        ],
    )
