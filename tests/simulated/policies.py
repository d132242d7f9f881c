"""What stands between a Deployment and its pods in other people's clusters: admission that gates, diverts or drops."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from api.cluster import Kubectl, Manifest
from api.objects import RefusedError
from fairlead_operator.core import names

#: Of a namespace: which of the policies holds in it.
LABEL: Final = "tests.fairlead.dev/policy"
#: Kueue's webhook holds each pod of a queue back by this gate until there is quota.
GATE: Final = "kueue.x-k8s.io/admission"
#: Where the operator's template has the model's volume.
_MODEL: Final = "/spec/template/spec/volumes/4"


def _policy(name: str, group: str, resource: str, patch: str, selected: Manifest | None = None) -> list[Manifest]:
    """In force where the namespace has the label, or for the objects that are selected."""
    api = {"apiVersion": "admissionregistration.k8s.io/v1"}
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            **(selected or {"namespaceSelector": {"matchLabels": {LABEL: name}}}),
            "resourceRules": [rule if resource != "pods" else {**rule, "operations": ["CREATE"]}],
        },
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    return [
        {**api, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {**api, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name}},
    ]


#: Pods that name a queue wait for it, as Kueue has it.
_IN_QUEUE: Final = {"objectSelector": {"matchExpressions": [{"key": names.QUEUE_LABEL, "operator": "Exists"}]}}
#: Nobody schedules new pods.
UNATTENDED: Final = "unattended"
#: Image volumes are unknown, as before Kubernetes 1.35: the field is dropped, and what is left is an empty folder.
WITHOUT_IMAGE_VOLUMES: Final = "without-image-volumes"
POLICIES: Final = [
    *_policy("queued", "", "pods", f'[JSONPatch{{op: "add", path: "/spec/schedulingGates", value: [{{"name": "{GATE}"}}]}}]', _IN_QUEUE),
    *_policy(UNATTENDED, "", "pods", '[JSONPatch{op: "replace", path: "/spec/schedulerName", value: "nobody"}]'),
    *_policy(
        WITHOUT_IMAGE_VOLUMES, "apps", "deployments",
        f'has(object.spec.template.spec.volumes[4].image) ? [JSONPatch{{op: "remove", path: "{_MODEL}/image"}}, '
        f'JSONPatch{{op: "add", path: "{_MODEL}/emptyDir", value: Object.spec.template.spec.volumes.emptyDir{{}}}}] : []',
    ),
]  # fmt: skip


def _admitted(admin: Kubectl, namespace: str, manifest: Manifest) -> Manifest:
    """What admission would make of it; {} while the namespace is not complete."""
    try:
        text = replace(admin, namespace=namespace)(
            "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest
        )
    except RefusedError:
        return {}
    admitted: Manifest = json.loads(text)["spec"]
    return admitted


def _pod(**labels: str) -> Manifest:
    spec = {"containers": [{"name": "probe", "image": "example.com/probe:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "labels": labels}, "spec": spec}


def _deployment() -> Manifest:
    volumes = [{"name": f"volume-{number}", "emptyDir": {}} for number in range(4)]
    template = _pod(app="probe")
    template["spec"]["volumes"] = [*volumes, {"name": "model", "image": {"reference": "example.com/model:1"}}]
    del template["apiVersion"], template["kind"], template["metadata"]["name"]
    spec = {"selector": {"matchLabels": {"app": "probe"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe"}, "spec": spec}


def _queues(admin: Kubectl) -> bool:
    return "schedulingGates" in _admitted(admin, f"probe-{UNATTENDED}", _pod(**{names.QUEUE_LABEL: "probe"}))


def _leaves_unattended(admin: Kubectl) -> bool:
    return _admitted(admin, f"probe-{UNATTENDED}", _pod()).get("schedulerName") == "nobody"


def _drops_image_volumes(admin: Kubectl) -> bool:
    admitted = _admitted(admin, f"probe-{WITHOUT_IMAGE_VOLUMES}", _deployment())
    return bool(admitted) and "image" not in admitted["template"]["spec"]["volumes"][4]


#: Each tells whether one of the policies is in force.
PROBES: Final[tuple[Callable[[Kubectl], bool], ...]] = (_queues, _leaves_unattended, _drops_image_volumes)
