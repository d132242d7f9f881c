"""What must hold at any moment, whatever goes wrong between operator and API server: pure checks of what the server shows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead_operator.api import v1alpha1
from fairlead_operator.core import names

Manifest = dict[str, Any]
#: Namespace and name of an InferenceService.
Key = tuple[str, str]

#: What the injected errors call themselves: nobody may ever read it in a status or an event.
INJECTED = "injected"


@dataclass(frozen=True)
class Picture:
    """One look at the API server: the services were listed first, then their children, then the pods."""

    services: Sequence[Manifest] = ()
    children: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()


@dataclass
class Past:
    """What earlier pictures showed, as far as it matters."""

    #: Services that had a Ready pod at some time.
    served: set[Key] = field(default_factory=set)
    #: Uids of services that were there, and of those that had gone at the last look.
    known: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    #: Uids of children seen so far.
    children: set[str] = field(default_factory=set)


def violations(now: Picture, past: Past) -> list[str]:
    """What is wrong now; takes the picture into the past."""
    past.served |= {service_of(pod) for pod in now.pods if is_ready(pod)}
    found = [
        *_deployments(now.children),
        *(wrong for child in now.children for wrong in _child(child, past)),
        *(wrong for service in now.services for wrong in _service(service, past)),
    ]
    there = {service["metadata"]["uid"] for service in now.services}
    past.gone = (past.known | past.gone) - there
    past.known |= there
    past.children |= {child["metadata"]["uid"] for child in now.children}
    return found


def place(obj: Manifest) -> Key:
    """Namespace and name."""
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def service_of(obj: Manifest) -> Key:
    """The service that a child or a pod belongs to, by its label."""
    return obj["metadata"]["namespace"], obj["metadata"].get("labels", {}).get(names.SERVICE_LABEL, "")


def is_ready(pod: Manifest) -> bool:
    """By the pod's own condition."""
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions") or ())


def conditions(service: Manifest) -> dict[str, Manifest]:
    """Of a service's status, by type."""
    return {item["type"]: item for item in (service.get("status") or {}).get("conditions") or ()}


def controller(child: Manifest) -> Mapping[str, Any]:
    """Its controlling owner, {} if there is none."""
    references = child["metadata"].get("ownerReferences") or ()
    return next((one for one in references if one.get("controller")), {})


def _deployments(children: Sequence[Manifest]) -> Iterator[str]:
    counts = Counter(service_of(child) for child in children if child["kind"] == "Deployment")
    for service, number in counts.items():
        if number > 1:
            yield f"{number} Deployments of {'/'.join(service)}"


def _child(child: Manifest, past: Past) -> Iterator[str]:
    title = f"{child['kind']} {'/'.join(place(child))}"
    owner = controller(child)
    if (owner.get("kind"), owner.get("apiVersion")) != (v1alpha1.KIND, f"{v1alpha1.GROUP}/{v1alpha1.VERSION}"):
        yield f"{title} has no owner"
    elif owner["uid"] in past.gone and child["metadata"]["uid"] not in past.children:
        yield f"{title} was made for a service that had gone"


def _service(service: Manifest, past: Past) -> Iterator[str]:
    title, found = "/".join(place(service)), conditions(service)
    generation, status = service["metadata"]["generation"], service.get("status") or {}
    for owner, seen in ((title, status), *((f"{title} {kind}", item) for kind, item in found.items())):
        if seen.get("observedGeneration", 0) > generation:
            yield f"{owner} observed generation {seen['observedGeneration']} of {generation}"
    wanted = service.get("spec", {}).get("replicas", 1)
    if wanted and found.get("Ready", {}).get("status") == "True" and place(service) not in past.served:
        yield f"{title} is Ready and never had a Ready pod"
    accepted = found.get("Accepted", {})
    if accepted.get("status") == "False":
        yield f"{title} is not Accepted: {accepted.get('reason')}, {accepted.get('message')}"
    if "Stalled" in found:
        yield f"{title} is Stalled: {found['Stalled'].get('message')}"
    if INJECTED in str(status):
        yield f"{title} tells its user of an injected error: {status}"
