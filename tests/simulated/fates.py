"""What becomes of a pod on a simulated node: a kubelet's part, played by kwok.

A template says it in an environment variable, which the spec of an InferenceService can set; the annotation of one pod says
otherwise for that pod, at any time. kwok picks each pod's next stage by jq expressions on both.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from api.cluster import Manifest

#: Among the variables that a spec may set, and read by nothing.
VARIABLE: Final = "NCCL_FATE"
ANNOTATION: Final = "tests.fairlead.dev/fate"
#: A status that is written over and over would keep the machine busy: the kubelet, too, waits longer and longer.
RESTART: Final = "1500ms"


@dataclass(frozen=True)
class Fate:
    """Durations are Go's: 300ms, 2s. Without any word a pod is Ready soon and stays so."""

    #: From the container's start to Ready; "" is never.
    ready: str = "200ms"
    #: `waiting` of a container that is not created.
    waiting: Manifest | None = None
    #: `terminated` of a container that ends, without its times.
    ends: Manifest | None = None
    #: How often it ends before it stays; 0 is for ever.
    times: int = 0
    #: From the container's start to its end.
    lives: str = "200ms"
    #: It serves before it ends: `lives` then counts from Ready.
    serves: bool = False
    #: From the pod's deletion until it is gone.
    drains: str = "0s"
    #: `reason` and `message` of a pod that its kubelet gives up.
    gives_up: Manifest | None = None

    def text(self) -> str:
        """For the annotation of a pod."""
        told = {name: value for name, value in vars(self).items() if value or name == "ready"}
        return json.dumps(told)

    def variable(self) -> Manifest:
        """For `spec.engine.env`."""
        return {"name": VARIABLE, "value": self.text()}


STUCK: Final = Fate(ready="")


def record(code: str, message: str = "it failed", field: str = "", suggestion: str = "", **more: Any) -> Fate:
    """Its engine fails each time, and its runtime says why in the termination record."""
    told = {"code": code, "message": message, "field": field, "suggestion": suggestion}
    text = json.dumps({**told, "phase": "loading", "engineVersion": "0.33.0"})
    return Fate(**{"ends": {"exitCode": 1, "reason": "Error", "message": text}, "lives": "100ms", **more})


_FATE: Final = (
    f'(.metadata.annotations["{ANNOTATION}"]'
    f' // ([.spec.containers[0].env[]? | select(.name == "{VARIABLE}") | .value] | .[0]) // "{{}}" | fromjson)'
)
_CONTAINER: Final = ".status.containerStatuses[0]"
_STATE: Final = f"({_CONTAINER}.state // {{}})"
#: Whether the container is meant to end once more.
_ENDS: Final = f"({_FATE} | .ends != null and ((.times // 0) == 0 or .times > $restarts))"
_LIVES: Final = f'({_CONTAINER}.restartCount // 0) as $restarts | .metadata.deletionTimestamp == null and .status.phase != "Failed" and '

_NOW: Final = """
{{- $now := Now }}
{{- $text := "{}" }}
{{- range (index .spec.containers 0).env }}{{ if eq .name "VARIABLE" }}{{ $text = .value }}{{ end }}{{ end }}
{{- with .metadata.annotations }}{{ with index . "ANNOTATION" }}{{ $text = . }}{{ end }}{{ end }}
{{- $fate := fromJson $text }}
{{- $restarts := 0 }}{{ $started := $now }}
{{- with .status.containerStatuses }}{{ with index . 0 }}
{{- $restarts = int .restartCount }}{{ with .state.running }}{{ $started = .startedAt }}{{ end }}
{{- end }}{{ end }}
""".replace("VARIABLE", VARIABLE).replace("ANNOTATION", ANNOTATION)


def _status(phase: str, state: str, *, ready: bool = False, restarts: str = "$restarts", last: str = "{}") -> str:
    word = str(ready).lower()
    return f"""{_NOW}
phase: {phase}
startTime: {{{{ or .status.startTime $now | Quote }}}}
hostIP: {{{{ NodeIPWith .spec.nodeName | Quote }}}}
podIP: {{{{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}}}
conditions:
- {{type: Initialized, status: "True", lastTransitionTime: {{{{ $now | Quote }}}}}}
- {{type: ContainersReady, status: "{word.title()}", lastTransitionTime: {{{{ $now | Quote }}}}}}
- {{type: Ready, status: "{word.title()}", lastTransitionTime: {{{{ $now | Quote }}}}}}
containerStatuses:
- name: {{{{ (index .spec.containers 0).name }}}}
  image: {{{{ (index .spec.containers 0).image | Quote }}}}
  imageID: ""
  ready: {word}
  started: {word}
  restartCount: {{{{ {restarts} }}}}
  state: {state}
  lastState: {last}
"""


_RUNNING: Final = "{running: {startedAt: {{ $started | Quote }}}}"
_STARTED: Final = "{running: {startedAt: {{ $now | Quote }}}}"
_WAITING: Final = '{waiting: {{ or $fate.waiting (dict "reason" "ContainerCreating") | toJson }}}'
_BACK_OFF: Final = "{waiting: {reason: CrashLoopBackOff, message: back-off restarting failed container}}"
_ENDED: Final = '{terminated: {{ merge (dict "startedAt" $started "finishedAt" $now) $fate.ends | toJson }}}'
_BEFORE: Final = "{{ with (index .status.containerStatuses 0).lastState }}{{ toJson . }}{{ else }}{}{{ end }}"


def _stage(name: str, when: str, then: Manifest, delay: str = "") -> Manifest:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [{"key": when, "operator": "In", "values": ["true"]}]},
            **({"delay": {"durationMilliseconds": 0, "durationFrom": {"expressionFrom": delay}}} if delay else {}),
            "next": then,
        },
    }


#: At most one of them fits a pod at a time.
STAGES: Final = (
    _stage(
        "pod-is-taken",
        f"{_LIVES}{_CONTAINER} == null and {_FATE}.gives_up == null",
        {"statusTemplate": _status("Pending", _WAITING)},
    ),
    _stage(
        "pod-is-given-up",
        f"{_LIVES}{_FATE}.gives_up != null",
        {"statusTemplate": _NOW + "phase: Failed\nreason: {{ $fate.gives_up.reason | Quote }}\nmessage: {{ $fate.gives_up.message | Quote }}"},
    ),
    _stage(
        "container-starts",
        f'{_LIVES}{_STATE}.waiting.reason == "ContainerCreating" and {_FATE}.waiting == null',
        {"statusTemplate": _status("Running", _STARTED)},
    ),
    _stage(
        "container-is-ready",
        f'{_LIVES}{_STATE}.running != null and ({_CONTAINER}.ready | not) and {_FATE}.ready != ""'
        f" and (({_ENDS} | not) or {_FATE}.serves)",
        {"statusTemplate": _status("Running", _RUNNING, ready=True, last=_BEFORE)},
        f'{_FATE}.ready // "200ms"',
    ),
    _stage(
        "container-ends",
        f"{_LIVES}{_STATE}.running != null and {_ENDS} and (({_FATE}.serves | not) or {_CONTAINER}.ready)",
        {"statusTemplate": _status("Running", _BACK_OFF, last=_ENDED)},
        f'{_FATE}.lives // "200ms"',
    ),
    _stage(
        "container-starts-again",
        f'{_LIVES}{_STATE}.waiting.reason == "CrashLoopBackOff"',
        {"statusTemplate": _status("Running", _STARTED, restarts="add $restarts 1", last=_BEFORE)},
        f'"{RESTART}"',
    ),
    _stage(
        "pod-is-gone",
        ".metadata.deletionTimestamp != null",
        {"delete": True},
        f'{_FATE}.drains // "0s"',
    ),
)  # fmt: skip
