"""From a Sight to a Story: whether the service is healthy, and if not, what is wrong, what to change, and what happens next. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fairlead_cli.why.acting import Acting, acting
from fairlead_cli.why.chain import deployment_line, engine_line, spec_line
from fairlead_cli.why.cures import Cure, Target, cure
from fairlead_cli.why.events import Event, by_uid, read
from fairlead_cli.why.gathering import Log, Sight, wanted_replicas, wanted_template
from fairlead_cli.why.lines import telling
from fairlead_cli.why.outlook import outlook
from fairlead_cli.why.pods import Failure, Replica, replicas
from fairlead_cli.why.spans import since
from fairlead_cli.why.trouble import ASLEEP, CALM, NOT_SEEN_YET, Trouble, find_cause, find_trouble, others
from fairlead_operator.core.moments import moment
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.reasons import REASONS, Retry

#: The label selector of the operator's pods, as the chart writes it.
OPERATOR: Final = "app.kubernetes.io/name=fairlead,app.kubernetes.io/component=operator"


@dataclass(frozen=True)
class Story:
    """One service, told. `serves`: whether requests are answered now, by pods of whatever spec; None when that is not known."""

    name: str
    namespace: str
    at: datetime
    healthy: bool
    headline: str
    serves: bool | None
    trouble: Trouble | None
    #: Other failures of pods, by reason: how many pods, and one's words.
    also: Mapping[str, tuple[int, str]]
    cure: Cure | None
    next: str
    #: Why nobody acts, or "".
    nobody: str
    #: The chain from spec to Deployment, a sentence each.
    spec: str
    deployment: str
    pods: tuple[Replica, ...]
    wanted: int
    ready_pods: int
    engine: str
    log: Log | None
    log_lines: tuple[str, ...]
    events: tuple[Event, ...]
    unread: tuple[str, ...]


def tell(sight: Sight, flags: tuple[str, ...] = ()) -> Story:
    """`flags` are what the user gave kubectl to reach the cluster; commands repeat them."""
    service, status = sight.service, sight.service.get("status") or {}
    conditions = {row["type"]: row for row in status.get("conditions") or ()}
    act = acting(sight)
    events = read(sight.events)
    pods = replicas(service, sight.pods, by_uid(events), wanted_template(service, sight.deployment))
    wanted = wanted_replicas(service)
    ready_pods = sum(1 for pod in pods if pod.phase == "Ready")
    healthy = _is_healthy(conditions, act, sight, pods, wanted)
    trouble = find_trouble(conditions, act, pods, healthy=healthy)
    target = Target(sight.name, sight.namespace, flags)
    failures = [pod.failure for pod in pods if pod.failure and pod.wanted is not False]
    cause = find_cause(trouble, failures, status)
    return Story(
        name=sight.name,
        namespace=sight.namespace,
        at=sight.now,
        healthy=healthy,
        headline=_headline(conditions, act, sight.now, healthy=healthy),
        serves=_serves(conditions, sight, ready_pods),
        trouble=trouble,
        also=others(trouble, cause, failures),
        cure=_cure(service, trouble, cause, act, target),
        next=outlook(trouble, cause, act, status, sight.deployment, wanted),
        nobody=act.nobody,
        spec=spec_line(service, act, sight.now, wanted),
        deployment=deployment_line(sight, pods, wanted),
        pods=pods,
        wanted=wanted,
        ready_pods=ready_pods,
        engine=engine_line(status, pods),
        log=sight.log,
        log_lines=telling(sight.log.text) if sight.log else (),
        events=events,
        unread=sight.unread,
    )


def _is_healthy(conditions: Mapping[str, Any], act: Acting, sight: Sight, pods: Sequence[Replica], wanted: int) -> bool:
    """Ready is True, about this spec; and where nobody keeps it true any more, the pods bear it out."""
    if conditions.get("Ready", {}).get("status") != "True" or not act.current:
        return False
    if not act.nobody:
        return True
    return sight.pods is not None and sum(1 for pod in pods if pod.phase == "Ready") >= wanted


def _serves(conditions: Mapping[str, Any], sight: Sight, ready_pods: int) -> bool | None:
    if sight.pods is not None:
        return ready_pods > 0
    status = conditions.get("Available", {}).get("status", "Unknown")
    return None if status == "Unknown" else status == "True"


def _cure(
    service: Manifest, trouble: Trouble | None, cause: Failure | None, act: Acting, target: Target
) -> Cure | None:
    if act.nobody:
        where = ["-n", act.namespace] if act.namespace else ["-A"]
        return Cure("", None, None, shlex.join(["kubectl", "get", "pods", "-l", OPERATOR, *where, *target.flags]))
    if trouble is None or trouble.reason in CALM:
        return _wake(service, target)
    if trouble.reason == NOT_SEEN_YET:
        return None
    said = cause or Failure(trouble.reason, trouble.message, "")
    if said.code in REASONS and REASONS[said.code].retry is Retry.RESTART and not said.field:
        return Cure("", None, None, target.logs())
    # The condition's words may be whole where the pod's were cut.
    for message in (said.message, trouble.message):
        found = cure(service, said.code, message, said.field, target)
        if found and found.value is not None:
            return found
    return cure(service, said.code, said.message, said.field, target)


def _wake(service: Manifest, target: Target) -> Cure | None:
    """How to serve again; None where replicas are wanted."""
    if (service.get("spec") or {}).get("suspend"):
        return Cure("spec.suspend", True, False, target.patch({"suspend": False}))
    if wanted_replicas(service) == 0:
        return Cure("spec.replicas", 0, 1, target.kubectl("scale", f"infs/{target.name}", "--replicas=1"))
    return None


def _headline(conditions: Mapping[str, Any], act: Acting, now: datetime, *, healthy: bool) -> str:
    ready = conditions.get("Ready", {})
    at = moment(ready.get("lastTransitionTime"))
    lasting = f" for {since(at, now)}" if at else ""
    if not act.current:
        return "not Ready: its status is not about this spec yet"
    if not healthy and ready.get("status") == "True":
        return "not Ready, whatever its status says"
    if ready.get("reason") in ASLEEP:
        return f"{'suspended' if ready['reason'] == 'Suspended' else 'scaled to zero'}{lasting}, as asked"
    if ready.get("reason") == "Deleting":
        return "being deleted"
    return f"Ready{lasting}" if healthy else f"not Ready{lasting}"
