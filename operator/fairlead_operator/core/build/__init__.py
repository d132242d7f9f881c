"""The children of an InferenceService, whole, in the order in which they are applied."""

from fairlead_operator.core.build.config import build_config_map, build_pin
from fairlead_operator.core.build.network import build_network_policy, build_service
from fairlead_operator.core.build.revision import build_revision
from fairlead_operator.core.build.workload import build_deployment, build_disruption_budget
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import Rollout

__all__ = ["build_objects"]


def build_objects(service: Resolved, rollout: Rollout) -> list[Manifest]:
    """Every child, in apply order: what a pod needs exists before the Deployment that makes pods.

    The revision comes first: no pod runs a template that is not kept. The PodDisruptionBudget is absent where it would
    promise nothing; pruning removes the one of an earlier generation. The NetworkPolicy precedes the pods that it closes.
    """
    budget = build_disruption_budget(service)
    policy = build_network_policy(service)
    pin = build_pin(service, rollout.target)
    return [
        build_revision(service, rollout.wanted),
        build_config_map(service, rollout.target.template.config),
        *([pin] if pin else []),
        build_service(service),
        *([budget] if budget else []),
        *([policy] if policy else []),
        build_deployment(service, rollout),
    ]
