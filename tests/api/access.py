"""The operator's rights in these tests: exactly what it needs, so that a request it has no business to make fails here."""

from typing import Any

USER = "operator"
#: The operator's own namespace: its Lease lies there.
SYSTEM = "fairlead-system"

RULES: list[dict[str, Any]] = [
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices/status"], "verbs": ["patch"]},
    {"apiGroups": ["fairlead.dev"], "resources": ["inferenceservices/finalizers"], "verbs": ["update"]},
    *(
        {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch", "create", "patch", "delete"]}
        for group, resources in (
            ("apps", ["deployments"]),
            ("", ["services", "configmaps"]),
            ("policy", ["poddisruptionbudgets"]),
        )
    ),
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
LEASE_RULES = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"]}
]


def local_manifests(user: str, served: str, own: str) -> list[dict[str, Any]]:
    """For an operator that serves one namespace: the same rights, there alone, and the Lease in its own."""
    api = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    subject = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    role = {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    return [
        manifest
        for namespace, rules in ((served, RULES), (own, LEASE_RULES))
        for metadata in ({"name": user, "namespace": namespace},)
        for manifest in (
            {**api, "kind": "Role", "metadata": metadata, "rules": rules},
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
        {**api, "kind": "ClusterRole", "metadata": cluster, "rules": RULES},
        {**api, "kind": "ClusterRoleBinding", "metadata": cluster, "subjects": subject, "roleRef": to("ClusterRole")},
        {**api, "kind": "Role", "metadata": local, "rules": LEASE_RULES},
        {**api, "kind": "RoleBinding", "metadata": local, "subjects": subject, "roleRef": to("Role")},
    ]
