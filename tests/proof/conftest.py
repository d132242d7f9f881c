"""The ground of tests/simulated: a whole control plane, and nodes whose kubelets are simulated."""

from api.conftest import admin, kubectl
from simulated.conftest import plane

__all__ = ["admin", "kubectl", "plane"]
