"""Everything about one service that the cluster will show, gathered once; what it will not show is remembered as a sentence."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from fairlead_cli.why.asking import SERVICES, Reader, Refusal, UnansweredError
from fairlead_cli.why.pods import Run, run_to_read
from fairlead_operator.core import names
from fairlead_operator.core.names import Manifest

#: Lines of log that are read; a few of them are told.
LINES = 400
T = TypeVar("T")


@dataclass(frozen=True)
class Log:
    """The end of one run of a pod's engine."""

    run: Run
    text: str


@dataclass(frozen=True)
class Sight:
    """One service as it was seen at `now`. None: it could not be read, and `unread` says so."""

    service: Manifest
    now: datetime
    #: {}: there is none.
    deployment: Manifest | None = None
    pods: tuple[Manifest, ...] | None = None
    #: About the service, and warnings about its pods; of v1.
    events: tuple[Manifest, ...] = ()
    leases: tuple[Manifest, ...] | None = None
    log: Log | None = None
    unread: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The service's."""
        return str(self.service["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The service's."""
        return str(self.service["metadata"]["namespace"])


def gather(reader: Reader, name: str, now: Callable[[], datetime]) -> Sight:
    """Raises UnansweredError when the service itself cannot be read; anything else that cannot be is left out."""
    service = reader.get(SERVICES, name)
    uid = service["metadata"]["uid"]
    with ThreadPoolExecutor() as beside:
        deployment = beside.submit(_try, "the Deployment", lambda: _own_deployment(reader, name, uid))
        pods = beside.submit(_try, "pods", lambda: tuple(reader.find("pods", labels=f"{names.SERVICE_LABEL}={name}")))
        ours = beside.submit(_try, "events", lambda: reader.find("events", fields=f"involvedObject.uid={uid}"))
        theirs = beside.submit(
            _try, "events of pods", lambda: reader.find("events", fields="involvedObject.kind=Pod,type=Warning")
        )
        leases = beside.submit(read_leases, reader)
        answers = (deployment.result(), pods.result(), ours.result(), theirs.result())
    known = {pod["metadata"]["uid"] for pod in answers[1][0] or ()}
    sight = Sight(
        service=service,
        now=now(),
        deployment=answers[0][0],
        pods=answers[1][0],
        events=(
            *(answers[2][0] or ()),
            *(event for event in answers[3][0] or () if event["involvedObject"].get("uid") in known),
        ),
        leases=leases.result(),
        # Whoever may not list events hears it once.
        unread=tuple(dict.fromkeys(said for _, said in answers[:3] if said)),
    )
    return _with_log(reader, sight)


def _try(what: str, ask: Callable[[], T]) -> tuple[T | None, str]:
    try:
        return ask(), ""
    except UnansweredError as refusal:
        return None, f"{what} could not be read: {refusal.brief}"


def _own_deployment(reader: Reader, name: str, uid: str) -> Manifest:
    try:
        found = reader.get("deployments.apps", name)
    except UnansweredError as refusal:
        if refusal.refusal is Refusal.ABSENT:
            return {}
        raise
    return found if names.is_controlled_by(found, uid) else {}


def read_leases(reader: Reader) -> tuple[Manifest, ...] | None:
    """Few users may read them, and nothing but this one sentence is lost without: no word about it."""
    try:
        return tuple(reader.find("leases.coordination.k8s.io", fields=f"metadata.name={names.LEASE}", everywhere=True))
    except UnansweredError:
        return None


def _with_log(reader: Reader, sight: Sight) -> Sight:
    run = run_to_read(sight.service, sight.pods or (), wanted_template(sight.service, sight.deployment))
    if run is None:
        return sight
    attempts = (run, replace(run, previous=False)) if run.previous else (run,)
    said = ""
    for attempt in attempts:
        try:
            text = reader.log(attempt.pod, previous=attempt.previous, lines=LINES)
        except UnansweredError as refusal:
            said = said or f"the log of pod {run.pod} could not be read: {refusal.brief}"
            continue
        return replace(sight, log=Log(attempt, text))
    return replace(sight, unread=(*sight.unread, said))


def wanted_replicas(service: Manifest) -> int:
    """Pods that the spec asks for now."""
    spec = service.get("spec") or {}
    return 0 if spec.get("suspend") else int(spec.get("replicas", 1))


def wanted_template(service: Manifest, deployment: Manifest | None) -> str:
    """The hash of the template that pods are to have; "" when that is not known.

    The Deployment's own, unless a rollout failed and was taken back: then none of the pods has it, as the status says.
    """
    status = service.get("status") or {}
    blocked = any(row.get("reason") == "RolloutBlocked" for row in status.get("conditions") or ())
    if blocked and status.get("updatedReplicas") == 0:
        return "taken back"
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    return str((template.get("metadata") or {}).get("labels", {}).get(names.TEMPLATE_LABEL, ""))
