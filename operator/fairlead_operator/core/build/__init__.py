"""The children of an InferenceService, whole, in the order in which they are applied."""

from fairlead_operator.core.build.config import build_config_map
from fairlead_operator.core.build.network import build_service
from fairlead_operator.core.build.workload import build_deployment, build_disruption_budget
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved

__all__ = ["build_objects"]


def build_objects(service: Resolved) -> list[Manifest]:
    """Every child, in apply order: what a pod needs exists before the Deployment that makes pods.

    The PodDisruptionBudget is absent where it would promise nothing; pruning removes the one of an earlier generation.
    """
    budget = build_disruption_budget(service)
    return [
        build_config_map(service),
        build_service(service),
        *([budget] if budget else []),
        build_deployment(service),
    ]
