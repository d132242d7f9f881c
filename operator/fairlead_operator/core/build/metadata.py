"""The metadata of every child."""

from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved


def metadata(service: Resolved, name: str) -> Manifest:
    """Labels by which children are watched, and the owner with whom they go."""
    return {
        "name": name,
        "namespace": service.namespace,
        "labels": names.labels(service.name),
        "ownerReferences": [names.owner(service.name, service.uid)],
    }
