"""The address of a service."""

from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved

#: What clients connect to; `status.url` carries no port for that reason.
SERVICE_PORT = 80


def build_service(service: Resolved) -> Manifest:
    """The stable address of all ready replicas: port 80 to the engine's 8000."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(service, service.name),
        "spec": {
            "selector": names.selector(service.name),
            "ports": [
                {"name": names.PORT_SERVING, "port": SERVICE_PORT, "protocol": "TCP", "targetPort": names.PORT_SERVING}
            ],
        },
    }
