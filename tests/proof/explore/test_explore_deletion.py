"""Whenever a service is deleted, nothing is left of it, and its name can be taken again at once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from api.cluster import Manifest, conditions
from fairlead_operator.core.names import SERVICE_LABEL
from proof.explore import judging, specs
from proof.explore.conftest import Judge, Size
from proof.explore.ground import KINDS, PATIENCE, Ground, by_service, settle
from proof.explore.rules import Spec, laid_over
from proof.explore.schema import examples
from simulated.fates import STUCK, Fate, record

#: Services of each phase.
EACH = 1
#: Services that are brought to their phase at the same time.
AT_ONCE = 12
#: Seconds between two looks at a phase that may be short.
OFTEN = 0.1


@dataclass(frozen=True)
class Phase:
    """The spec that leads there is laid over a sound one of `pods` replicas; `change`, if any, over that once it is Ready."""

    name: str
    reached: Callable[[Ground, str], object] = lambda ground, name: True
    spec: Spec | None = None
    change: Spec | None = None
    pods: int = 2
    propagation: str = "Background"


def there(kind: str) -> Callable[[Ground, str], bool]:
    """Once there is one of the kind."""
    return lambda ground, name: any(ours(ground, name, kind))


def ours(ground: Ground, name: str, kind: str) -> list[Manifest]:
    """Its objects of the kind."""
    return ground.objects([kind], f"{SERVICE_LABEL}={name}")


def says(ground: Ground, name: str) -> Manifest:
    """Its Ready, once its spec is observed; {} until then."""
    service = ground.service(name) or {"metadata": {"generation": 0}}
    observed = (service.get("status") or {}).get("observedGeneration") == service["metadata"]["generation"]
    return conditions(service)["Ready"] if observed else {}


def because(*reasons: str) -> Callable[[Ground, str], bool]:
    """Once Ready has one of the reasons."""
    return lambda ground, name: says(ground, name).get("reason") in reasons


def fated(fate: Fate) -> Spec:
    """Pods of this fate."""
    return {"engine": {"env": [fate.variable()]}}


def two_templates(ground: Ground, name: str) -> bool:
    """Once pods of the old and of the new spec are there."""
    return len({pod["metadata"]["labels"]["fairlead.dev/template"] for pod in ours(ground, name, "Pod")}) == 2


ready = because("AllReplicasReady")
PHASES = (
    Phase("as soon as it is there"),
    *(Phase(f"once there is a {kind}", there(kind)) for kind in KINDS),
    Phase("while its pods start", because("Starting"), fated(STUCK)),
    Phase("once it is Ready", ready),
    Phase("once it is Ready, children first", ready, propagation="Foreground"),
    Phase("while its pods drain, children first", ready, fated(Fate(drains="3s")), propagation="Foreground"),
    Phase("as soon as it is changed", change={"engine": {"seed": 7}}),
    Phase("in the middle of a rollout", two_templates, change=fated(STUCK)),
    Phase("once its rollout is blocked", because("RolloutBlocked", "KVCacheTooSmall"), change=fated(record("KVCacheTooSmall"))),
    Phase("as soon as it is to have more pods", change={"replicas": 3}),
    Phase("as soon as it is to have fewer pods", change={"replicas": 1}),
    Phase("as soon as it is suspended", change={"suspend": True}),
    Phase("while it is suspended", because("Suspended"), change={"suspend": True}),
    Phase("while it is suspended from the beginning", because("Suspended"), {"suspend": True}),
    Phase("while it has no pods", because("ScaledToZero"), pods=0),
    Phase("while it is refused", because("DeniedArgument"), {"image": "", "engine": {"extraArgs": ["--api-key=x"], "env": []}}),
    Phase("once its change is refused", because("DeniedArgument"), change={"image": "", "engine": {"extraArgs": ["--api-key=x"], "env": []}}),
    Phase("while there is no node for it", because("Unschedulable"), {"placement": {"nodeSelector": {"nowhere": "to-be-found"}}}),
    Phase("while its pods are rejected", because("PodRejected"), {"placement": {"runtimeClassName": "none"}}),
    Phase("while its engine fails", because("KVCacheTooSmall"), fated(record("KVCacheTooSmall"))),
    Phase("once it was given up", lambda ground, name: conditions(ground.service(name)).get("UpToDate", {}).get("reason") == "GivenUp",
          fated(record("KVCacheTooSmall")), pods=1),
)  # fmt: skip


def waits_for(condition: Callable[[], object]) -> bool:
    """Whether it comes about; a moment in passing is caught."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(OFTEN)
    return False


def bring(ground: Ground, name: str, phase: Phase, sound: Spec) -> str:
    """To its phase, and delete it there; what went wrong, "" for nothing."""
    spec = laid_over(specs.of_size(sound, phase.pods), phase.spec or {})
    if refused := ground.create(name, spec).message:
        return f"refused: {refused}"
    if phase.change is not None:
        if not waits_for(lambda: ready(ground, name)):
            return f"never Ready: {says(ground, name)}"
        if refused := ground.respecify(name, laid_over(spec, phase.change)).message:
            return f"its change is refused: {refused}"
    if not waits_for(lambda: phase.reached(ground, name)):
        return f"never there: {says(ground, name)}; {spec}"
    ground.delete_service(name, phase.propagation)
    return ""


@pytest.mark.timeout(PATIENCE * 30)
def test_nothing_is_left_whenever_it_is_deleted(field: Ground, size: Size, judge: Judge) -> None:
    planned = [phase for phase in PHASES for _ in range(size.count(EACH))]
    sound = examples(specs.sound(), len(planned), size.seed)
    cases = {f"d{number}": case for number, case in enumerate(zip(planned, sound, strict=True))}

    with ThreadPoolExecutor(AT_ONCE) as beside:
        went = dict(zip(cases, beside.map(lambda name: bring(field, name, *cases[name]), cases), strict=True))
    complaints: dict[str, object] = {
        f"{name} {cases[name][0].name}": problem for name, problem in went.items() if problem
    }

    # Every second name is taken again before anybody has cleaned up.
    successors = {name: specs.of_size(spec, 1) for name, (_, spec) in list(cases.items())[::2]}
    taken = settle(
        lambda: {name: message for name, spec in successors.items() if (message := again(field, name, spec))}
    )
    complaints |= {f"{name} again": message for name, message in taken.items()}

    def left() -> dict[str, object]:
        services, objects = field.services(), by_service(field.objects(KINDS))
        told: dict[str, object] = {name: why for name in successors if (why := judging.unready(services.get(name)))}
        told |= {
            name: f"{cases[name][0].name}: left are {[obj['kind'] for obj in found]}"
            for name, found in objects.items()
            if name not in successors
        }
        return told

    # When the successors are Ready the operator has looked at everything that was deleted before.
    complaints |= settle(left)
    for name in field.services():
        field.delete_service(name)
    complaints |= settle(
        lambda: {"in the end": [field.path(obj) for obj in everything(field)]} if everything(field) else {}
    )
    judge("deletions at a phase", len(cases), complaints)


def again(ground: Ground, name: str, spec: Spec) -> str:
    """Take the name again, once; why that is not possible yet, "" when it is done."""
    there_is = ground.service(name)
    if there_is is not None and not there_is["metadata"].get("deletionTimestamp") and there_is["spec"]["replicas"] == 1:
        return ""
    return ground.create(name, spec).message


def everything(ground: Ground) -> list[Manifest]:
    """All objects in the namespace, labelled or not, but what Kubernetes puts into each."""
    return [obj for obj in ground.objects(KINDS, selector="") if obj["metadata"]["name"] != "kube-root-ca.crt"]
