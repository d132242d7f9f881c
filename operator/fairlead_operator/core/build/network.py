"""The address of a service, and who may come to it."""

from collections.abc import Iterable
from typing import Any

from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_runtime.config import MANAGEMENT_PORT, SERVING_PORT

#: What clients connect to; `status.url` carries no port for that reason.
SERVICE_PORT = 80
#: Kubernetes gives every namespace its name as this label.
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


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


def build_network_policy(service: Resolved) -> Manifest | None:
    """The serving port for clients; the management port, which has no key, for the operator and monitoring. Nothing else.

    Ports are numbers: not every network plugin knows names. The kubelet's probes pass every policy.
    """
    access = service.network
    if access is None:
        return None
    operators = {
        **_namespace({NAMESPACE_LABEL: access.operator}),
        "podSelector": {"matchLabels": names.OPERATOR_LABELS},
    }
    monitoring = [_namespace(access.monitoring)] if access.monitoring else []
    clients = {"from": [{"podSelector": {}}, _namespace(access.clients)]} if access.clients else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(service, service.name),
        "spec": {
            "podSelector": {"matchLabels": names.selector(service.name)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {**clients, "ports": _ports(SERVING_PORT)},
                {"from": [operators, *monitoring], "ports": _ports(MANAGEMENT_PORT)},
            ],
        },
    }


def _namespace(labels: dict[str, str] | Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": dict(labels)}}


def _ports(number: int) -> list[dict[str, Any]]:
    return [{"port": number, "protocol": "TCP"}]
