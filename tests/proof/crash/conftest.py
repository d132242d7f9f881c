"""The ground of tests/simulated: a whole control plane, and nodes whose kubelets are simulated."""

from collections.abc import Iterator

import pytest

from api.cluster import Kubectl
from api.conftest import admin, kubectl
from proof.crash.nursery import Nursery
from proof.results import Tally
from simulated.conftest import plane
from simulated.nodes import Pool

__all__ = ["admin", "kubectl", "plane"]


@pytest.fixture(scope="session")
def nodes(admin: Kubectl) -> Pool:
    """Accelerators for all lanes."""
    pool = Pool(admin, "proof")
    pool.add(128)
    return pool


@pytest.fixture(scope="session")
def crash_tally() -> Tally:
    """Of this run."""
    return Tally("crash")


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Of operators that are well."""
    with Nursery(tmp_path_factory.mktemp("nursery") / "log") as started:
        yield started
