"""The API resources that the controller reads or writes, as data: where they live and whether they are watched."""

from dataclasses import dataclass

from fairlead_operator.api import v1alpha1
from fairlead_operator.core import names


@dataclass(frozen=True)
class Kind:
    """One API resource. `group` is empty for the core group; `selector` filters its watch on the server."""

    group: str
    version: str
    plural: str
    name: str
    selector: str = ""

    @property
    def api_version(self) -> str:
        """As manifests write it: `apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object, or of an object's subresource; no namespace means all of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{where}", self.plural, name, subresource) if part)


#: Only what fairlead made: the memory of a watch and the load on the API server grow with our objects, not with the cluster.
MANAGED = names.CHILDREN

INFERENCE_SERVICES = Kind(v1alpha1.GROUP, v1alpha1.VERSION, v1alpha1.PLURAL, v1alpha1.KIND)
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", MANAGED)
SERVICES = Kind("", "v1", "services", "Service", MANAGED)
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", MANAGED)
POD_DISRUPTION_BUDGETS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", MANAGED)
CONTROLLER_REVISIONS = Kind("apps", "v1", "controllerrevisions", "ControllerRevision", MANAGED)
#: Only where the operator was told to make them: it has no right to them elsewhere.
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", MANAGED)
PODS = Kind("", "v1", "pods", "Pod", MANAGED)

#: Read on demand or written only: never watched.
REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet")
CORE_EVENTS = Kind("", "v1", "events", "Event")
EVENTS = Kind("events.k8s.io", "v1", "events", "Event")
NODES = Kind("", "v1", "nodes", "Node")
#: Other people's too: what they hold of a node.
ALL_PODS = Kind("", "v1", "pods", "Pod")
#: Created and never read, not even to see whether one is there.
SECRETS = Kind("", "v1", "secrets", "Secret")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")

#: Kinds that a reconcile creates and prunes.
CHILDREN = (CONTROLLER_REVISIONS, CONFIG_MAPS, SERVICES, POD_DISRUPTION_BUDGETS, NETWORK_POLICIES, DEPLOYMENTS)
WATCHED = (INFERENCE_SERVICES, *CHILDREN, PODS)


def watched(*, network_policies: bool) -> tuple[Kind, ...]:
    """What an operator watches: all of WATCHED, or all but NetworkPolicies."""
    return tuple(kind for kind in WATCHED if network_policies or kind is not NETWORK_POLICIES)


_BY_MANIFEST = {(kind.api_version, kind.name): kind for kind in CHILDREN}


def kind_of(manifest_api_version: str, manifest_kind: str) -> Kind:
    """The child kind of a manifest's apiVersion and kind. KeyError for what the controller does not own."""
    return _BY_MANIFEST[manifest_api_version, manifest_kind]
