"""Every spec that the API server takes is carried out, or the status says why not."""

import json
import time
from collections import Counter

import pytest

from api.audit import Audit
from api.cluster import Manifest, conditions, eventually
from api.operators import OperatorProcess
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.core.reasons import REASONS, Retry
from proof.explore import judging, specs
from proof.explore.conftest import Judge, Size
from proof.explore.ground import KINDS, PATIENCE, Ground, by_service, settle
from proof.explore.rules import Spec, part
from proof.explore.schema import examples

SOUND, WILD = 20, 30
#: Services at a time.
BATCH = 130
#: Seconds for one batch, whose services are created, judged and deleted.
BATCH_SECONDS = 2 * PATIENCE


def fate(spec: Spec) -> str:
    """The failure that a spec's pods are destined to have again and again, "" for none."""
    told = next((item for item in part(spec, "engine").get("env") or () if item["name"] == specs.FATE), None)
    ends = json.loads(told["value"]) if told else {}
    if not ends.get("ends") or ends.get("times") or specs.replicas(spec) == 0:
        return ""
    message = ends["ends"].get("message")
    return json.loads(message)["code"] if message else "HostOutOfMemory"


def found_wanting(service: Manifest, children: list[Manifest], *, sound: bool) -> list[str]:
    """Everything wrong with a service at rest."""
    complaints = judging.wrong(service, children)
    ready, spec = conditions(service)["Ready"], service["spec"]
    if sound and ready["status"] != "True":
        complaints.append(f"sound, but {ready['reason']}: {ready['message']}")
    doomed = fate(spec)
    if doomed and not judging.refused(service) and ready["reason"] not in _CAUSES_BEFORE | {doomed}:
        complaints.append(f"its pods fail with {doomed}, and it says {ready['reason']}")
    if (
        doomed
        and ready["reason"] == doomed
        and REASONS[doomed].retry is Retry.USER
        and "Stalled" not in conditions(service)
    ):
        complaints.append(f"{doomed}, and not Stalled")
    return complaints


#: What keeps pods from failing as they are meant to.
_CAUSES_BEFORE = {code for code, reason in REASONS.items() if reason.condition == "Scheduled"} | {"VolumeNotFound"}


@pytest.mark.timeout(BATCH_SECONDS * 25)
def test_every_accepted_spec_comes_to_rest(
    field: Ground, operator: OperatorProcess, exploring: ControlPlane, size: Size, judge: Judge
) -> None:
    tried = [(True, spec) for spec in examples(specs.sound(), size.count(SOUND), size.seed)]
    tried += [(False, spec) for spec in examples(specs.wild(), size.count(WILD), size.seed + 1)]
    # Sound and wild ones side by side: one that waits for ever must hold nobody up.
    tried = [one for number in range(-(-len(tried) // BATCH)) for one in tried[number :: -(-len(tried) // BATCH)]]
    complaints: dict[str, object] = {}
    reasons: Counter[str] = Counter()
    for start in range(0, len(tried), BATCH):
        batch = {f"s{start + number}": one for number, one in enumerate(tried[start : start + BATCH])}
        answers = {name: field.create(name, spec) for name, (_, spec) in batch.items()}
        complaints |= {
            name: f"refused: {answer.message}, {batch[name][1]}" for name, answer in answers.items() if answer.message
        }
        taken = {name: sound for name, (sound, _) in batch.items() if not answers[name].message}

        complaints |= at_rest(field, taken)
        services = field.services()
        reasons += Counter(conditions(services[name]).get("Ready", {}).get("reason", "-") for name in taken)
        complaints |= restarted_in_vain(
            field, operator, exploring, [name for name, sound in taken.items() if sound and name not in complaints]
        )
        for name in services:
            field.delete_service(name)
        left = settle(lambda: by_service(field.objects(KINDS)))
        complaints |= {name: f"left: {[obj['kind'] for obj in objects]}" for name, objects in left.items()}
    print(dict(reasons))
    judge("specs carried out, looked at after a restart and deleted", len(tried), complaints)


def at_rest(field: Ground, taken: dict[str, bool]) -> dict[str, object]:
    """Wait for all, then judge each; `taken` says which are sound."""

    def look() -> dict[str, object]:
        services, children = field.services(), by_service(field.objects())
        left: dict[str, object] = {}
        for name, sound in taken.items():
            service = services.get(name)
            wrong = judging.moving(service)
            if not wrong and service is not None:
                wrong = "; ".join(found_wanting(service, children.get(name, []), sound=sound))
            if wrong:
                left[name] = f"{wrong}; {json.dumps((service or {}).get('spec'))}"
        return left

    return settle(look)


def restarted_in_vain(
    field: Ground, operator: OperatorProcess, exploring: ControlPlane, names: list[str]
) -> dict[str, object]:
    """What a restarted operator writes for services that are all they should be: nothing."""

    def still() -> bool:
        """Nothing but status and events for two seconds: what a pod that became Ready last has left to write is written."""
        quiet = Audit(exploring.audit_log)
        time.sleep(2.0)
        words = {"inferenceservices/status", "events"}
        return not [one for one in quiet.writes() if one.namespace == field.namespace and one.resource not in words]

    eventually(still, "children that rest", PATIENCE)
    operator.end()
    audit, before = Audit(exploring.audit_log), operator.log.stat().st_size
    operator.start()

    def looked_at() -> bool:
        with operator.log.open() as log:
            log.seek(before)
            seen = {json.loads(line).get("service") for line in log if '"reconciled"' in line and line.endswith("\n")}
        return {f"{field.namespace}/{name}" for name in names} <= seen

    eventually(looked_at, "a look at each", PATIENCE)
    owners = {
        child["metadata"]["name"]: name for name, children in by_service(field.objects()).items() for child in children
    }
    written = [(owners.get(write.name), write) for write in audit.writes() if write.namespace == field.namespace]
    return {
        str(name): f"written after a restart: {write}"
        for name, write in written
        if name in names and write.resource != "inferenceservices/status"
    }
