"""What the operator writes, and what is left of its work when it is killed, with real controllers at work beside it."""

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from api.audit import Audit
from api.cluster import Kubectl, Manifest, conditions, eventually
from api.listening import listening
from api.operators import OperatorProcess
from fairlead_cli.local.controlplane import ControlPlane
from simulated.nodes import Pool

SEED = int(os.environ.get("FAIRLEAD_SEED", "20261125"))
#: Seconds after a step within which the operator is killed: its writes take about one.
MOMENTS = 1.2
KINDS = "deployment,service,configmap,poddisruptionbudget,controllerrevision"
OURS = "app.kubernetes.io/managed-by=fairlead"


def settled(kubectl: Kubectl, name: str) -> bool:
    """Whether the current spec is carried out."""
    found = kubectl.get("infs", name) or {}
    ready = conditions(found).get("Ready", {})
    return (ready.get("status"), ready.get("observedGeneration")) == ("True", found["metadata"]["generation"])


def test_twenty_looks_and_a_restart_write_nothing(plane: ControlPlane, kubectl: Kubectl, pool: Pool, operator: OperatorProcess) -> None:  # fmt: skip
    pool.add(4)
    kubectl.apply(pool.service(replicas=2))
    kubectl.apply(pool.service("refused", engine={"extraArgs": ["--api-key=x"]}))
    kubectl.apply(pool.service("wanting", parallelism={"tensor": 8}))
    eventually(lambda: settled(kubectl, "mistral"), "Ready")
    # What was counted while the first service's pods were on their way is counted anew after half a minute.
    eventually(lambda: "2 of 4 are free" in conditions(kubectl.get("infs", "wanting")).get("Scheduled", {}).get("message", ""), "numbers", 45.0)  # fmt: skip
    assert operator.end() == 0
    audit = Audit(plane.audit_log)  # from its end on: the event of what was seen last comes after its status
    before = operator.log.stat().st_size

    usual = operator.environment
    operator.environment = {**usual, "FAIRLEAD_RESYNC_SECONDS": "0.3"}
    operator.start()

    def looks() -> bool:
        with operator.log.open() as log:
            log.seek(before)
            counts = Counter(json.loads(line).get("service") for line in log if '"reconciled"' in line)
        return all(counts[f"{kubectl.namespace}/{name}"] >= 20 for name in ("mistral", "refused", "wanting"))

    try:
        eventually(looks, "twenty looks at each", 40.0)
        assert [write for write in audit.writes() if write.namespace == kubectl.namespace] == []
    finally:
        operator.end()
        operator.environment = usual
        operator.start().ready()
        eventually(operator.leads, "leadership")


#: What is done to the services: each a name, and what becomes of its spec; None deletes it.
STEPS: tuple[tuple[str, Manifest | None], ...] = (
    ("first", {"replicas": 1}),
    ("first", {"replicas": 3}),
    ("doomed", {"replicas": 2}),
    ("first", {"engine": {"seed": 1}}),
    ("second", {"replicas": 2}),
    ("doomed", {"engine": {"seed": 1}, "replicas": 3}),
    ("second", {"engine": {"maxModelLen": 1024}}),
    ("doomed", None),
    ("second", {"replicas": 0}),
    ("first", {"engine": {"seed": 2}, "replicas": 2}),
)


def play(kubectl: Kubectl, pool: Pool, meanwhile: Callable[[], None]) -> None:
    """All steps, each carried out before the next."""
    wanted: dict[str, int] = {}
    with counted(kubectl) as most:
        for name, change in STEPS:
            most.clear()
            before = wanted.get(name, 0)
            if change is None:
                kubectl.delete("infs", name)
            elif name in wanted:
                kubectl.patch("infs", name, {"spec": change})
            else:
                kubectl.apply(pool.service(name, **change))
            meanwhile()
            wanted[name] = 0 if change is None else change.get("replicas", before)
            if change is None:
                eventually(lambda name=name: not labelled(kubectl, name), f"the end of {name}", 60.0)  # type: ignore[misc]
            else:
                eventually(lambda name=name: settled(kubectl, name), f"{name} as asked for, seed {SEED}", 60.0)  # type: ignore[misc]
            eventually(lambda name=name: len(pods(kubectl, name)) == wanted[name], "the pods asked for")  # type: ignore[misc]
            # One more while a template is replaced, never more.
            assert most[name] <= max(before, wanted[name]) + 1, f"seed {SEED}"


def ending(kubectl: Kubectl) -> Manifest:
    """What there is, without what differs between two namespaces anyway."""
    children = kubectl.items(KINDS, OURS)
    return {
        "owners": sorted({owner(child) for child in children}),
        "children": sorted((essence(child) for child in in_use(children)), key=str),
        "pods": sorted(item["metadata"]["labels"]["fairlead.dev/template"] for item in kubectl.items("pod")),
        "conditions": [
            (item["metadata"]["name"], kind, seen["status"], seen["reason"])
            for item in kubectl.items("infs")
            for kind, seen in conditions(item).items()
        ],
    }


def owner(child: Manifest) -> str:
    """The service it belongs to."""
    return str(child["metadata"]["ownerReferences"][0]["name"])


def in_use(children: list[Manifest]) -> list[Manifest]:
    """Without the revisions, and their configs, that are kept to go back to: which of them there are hangs on moments."""
    newest: dict[str, int] = {}
    mounted: set[str] = set()
    for child in children:
        if child["kind"] == "ControllerRevision":
            newest[owner(child)] = max(newest.get(owner(child), 0), child["revision"])
        if child["kind"] == "Deployment":
            volumes = child["spec"]["template"]["spec"]["volumes"]
            mounted |= {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    return [
        child
        for child in children
        if (child["kind"] != "ControllerRevision" or child["revision"] == newest[owner(child)])
        and (child["kind"] != "ConfigMap" or child["metadata"]["name"] in mounted)
    ]


def differences(one: Manifest, other: Manifest) -> list[str]:
    """What only one of them has, or what differs in both."""
    return [
        f"{part}: {item}"
        for part in one
        for item in [*one[part], *other[part]]
        if (item in one[part]) != (item in other[part])
    ]


def labelled(kubectl: Kubectl, name: str) -> list[Manifest]:
    """All that is there for a service."""
    return kubectl.items(f"{KINDS},pod,replicaset", f"fairlead.dev/service={name}")


def pods(kubectl: Kubectl, name: str) -> list[Manifest]:
    """Its pods, the stopping ones too."""
    return kubectl.items("pod", f"fairlead.dev/service={name}")


def essence(item: Manifest) -> dict[str, Any]:
    """A child by what it should be."""
    spec = {name: value for name, value in item.get("spec", {}).items() if name not in {"clusterIP", "clusterIPs"}}
    text = json.dumps({"spec": spec, "data": item.get("data")}, sort_keys=True)
    return {"kind": item["kind"], "name": item["metadata"]["name"], "content": text}


@contextmanager
def counted(kubectl: Kubectl) -> Iterator[Counter[str]]:
    """The most pods of each service that were there at once and not on their way out, by a watch."""
    most: Counter[str] = Counter()
    alive: dict[str, str] = {}

    def note(kind: str, pod: Manifest) -> None:
        metadata = pod["metadata"]
        alive.pop(metadata["name"], None)
        if kind != "DELETED" and "deletionTimestamp" not in metadata:
            alive[metadata["name"]] = metadata["labels"]["fairlead.dev/service"]
        for name, count in Counter(alive.values()).items():
            most[name] = max(most[name], count)

    with listening(kubectl.kubeconfig, f"/api/v1/namespaces/{kubectl.namespace}/pods", note):
        yield most


@pytest.mark.timeout(240)
def test_killed_at_any_time_the_end_is_the_same(kubectl: Kubectl, pool: Pool, operator: OperatorProcess) -> None:
    """Ten steps, create to delete, each with one kill -9 at a random moment after it."""
    pool.add(16)
    moments = random.Random(SEED)
    print(f"seed {SEED}")

    def kill() -> None:
        threading.Event().wait(moments.uniform(0, MOMENTS))
        operator.end(signal.SIGKILL)
        operator.start()

    calm = kubectl.new_namespace(f"{kubectl.namespace}-calm")

    play(calm, pool, lambda: None)
    play(kubectl, pool, kill)

    with suppress(AssertionError):  # what differs is told below
        eventually(lambda: not differences(ending(kubectl), ending(calm)), "the same end")
    assert differences(ending(kubectl), ending(calm)) == []
    operator.ready()
    calm.delete_all("infs")
