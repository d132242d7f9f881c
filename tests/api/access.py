"""The operator's rights in these tests: exactly what it needs, so that a request it has no business to make fails here."""

from collections.abc import Sequence
from typing import Any

USER = "operator"
#: The operator's own namespace: its Lease lies there.
SYSTEM = "fairlead-system"

RULES: list[dict[str, Any]] = [
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices/status"], "verbs": ["patch"]},
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices/scale"], "verbs": ["update"]},
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices/finalizers"], "verbs": ["update"]},
    *(
        {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch", "create", "patch", "delete"]}
        for group, resources in (
            ("apps", ["deployments", "controllerrevisions"]),
            ("", ["services", "configmaps"]),
            ("policy", ["poddisruptionbudgets"]),
        )
    ),
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
#: Only an operator that makes NetworkPolicies.
NETWORK_RULES: list[dict[str, Any]] = [
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["networkpolicies"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    }
]
#: Only an operator for all namespaces can have these.
CLUSTER_RULES: list[dict[str, Any]] = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
LEASE_RULES = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}]


def local_manifests(user: str, served: str, own: str, rules: Sequence[dict[str, Any]] = RULES) -> list[dict[str, Any]]:
    """For an operator that serves one namespace: the same rights, there alone, and the Lease in its own."""
    api = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    subject = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    role = {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    return [
        manifest
        for namespace, allowed in ((served, rules), (own, LEASE_RULES))
        for metadata in ({"name": user, "namespace": namespace},)
        for manifest in (
            {**api, "kind": "Role", "metadata": metadata, "rules": [*allowed]},
            {**api, "kind": "RoleBinding", "metadata": metadata, "subjects": subject, "roleRef": role},
        )
    ]


def manifests(namespace: str) -> list[dict[str, Any]]:
    """Roles and bindings for the user; `namespace` is the operator's own."""
    subject = [{"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}]
    api = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    cluster, local = {"name": "fairlead-operator"}, {"name": "fairlead-operator", "namespace": namespace}

    def to(kind: str) -> dict[str, str]:
        return {"kind": kind, "name": "fairlead-operator", "apiGroup": "rbac.authorization.k8s.io"}

    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {**api, "kind": "ClusterRole", "metadata": cluster, "rules": RULES + CLUSTER_RULES + NETWORK_RULES},
        {**api, "kind": "ClusterRoleBinding", "metadata": cluster, "subjects": subject, "roleRef": to("ClusterRole")},
        {**api, "kind": "Role", "metadata": local, "rules": LEASE_RULES},
        {**api, "kind": "RoleBinding", "metadata": local, "subjects": subject, "roleRef": to("Role")},
    ]


def bindings(users: Sequence[str], namespace: str) -> list[dict[str, Any]]:
    """The same rights for other users, who are then told apart in the audit log; `manifests` has the roles."""
    api, group = {"apiVersion": "rbac.authorization.k8s.io/v1"}, "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": user, "apiGroup": group} for user in users]
    role = {"name": "fairlead-operator", "apiGroup": group}
    metadata = {"name": "-".join(users)}
    return [
        {
            **api,
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "subjects": subjects,
            "roleRef": {**role, "kind": "ClusterRole"},
        },
        {
            **api,
            "kind": "RoleBinding",
            "metadata": {**metadata, "namespace": namespace},
            "subjects": subjects,
            "roleRef": {**role, "kind": "Role"},
        },
    ]
