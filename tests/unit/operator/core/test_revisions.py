"""Which spec is which revision, what a later release keeps of it, and what is kept at all."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from fairlead_operator.api.v1alpha1 import Spec
from fairlead_operator.core.build import build_objects
from fairlead_operator.core.build.revision import build_revision
from fairlead_operator.core.fingerprint import SHAPES_NO_POD
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.pinning import pin
from fairlead_operator.core.resolve import Defaults, Resolved, resolve
from fairlead_operator.core.revisions import Failure, Revision, Rollout, kept, read
from unit.operator.builders import ServiceBuilder, deployment, service, snapshot

ASKED = service().replicas(2)
#: A change of each field of the spec. A new field is added here, and to SHAPES_NO_POD if pods do not depend on it.
CHANGES: dict[str, Any] = {
    "model": {"uri": "oci://example.test/other:1"},
    "engine": {"seed": 1},
    "parallelism": {"tensor": 2},
    "replicas": 5,
    "autoscaling": {"maxReplicas": 3},
    "suspend": True,
    "serving": {"drainSeconds": 400},
    "resources": {"cpu": "9"},
    "placement": {"priorityClassName": "high"},
    "imagePullSecrets": [{"name": "registry"}],
    "disruption": "Block",
    "image": "example.test/own:1",
    "rollout": {"strategy": "Replace"},
}


def annotated(asked: ServiceBuilder, **annotations: str) -> ServiceBuilder:
    raw = deepcopy(asked.raw)
    raw["metadata"]["annotations"] = {f"fairlead.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}  # fmt: skip
    return ServiceBuilder(raw)


def stored(*revisions: Revision) -> tuple[Manifest, ...]:
    """The revisions as ControllerRevisions."""
    return tuple(build_revision(ASKED.resolved, revision) for revision in revisions)


def of(name: str, number: int, *, served: bool = False, asked: ServiceBuilder = ASKED) -> Revision:
    return replace(asked.revision, name=name, number=number, served=served)


def next_release(asked: ServiceBuilder) -> Resolved:
    """What a release with another default image, and so with another template, makes of it."""
    outcome = resolve(asked.raw, Defaults("example.test/runtime:9.9.9", "example.test/runtime-cpu:9.9.9"))
    assert isinstance(outcome, Resolved)
    return outcome


def accepted(
    asked: ServiceBuilder, generation: int = 3, status: str = "True", up_to_date: str = "AllPodsCurrent"
) -> ServiceBuilder:
    """With the status of an operator that carried out that generation; the service has generation 3."""
    condition = {"type": "Accepted", "status": status, "reason": "Valid", "observedGeneration": generation}
    return asked.with_status({"conditions": [condition, {"type": "UpToDate", "reason": up_to_date}]})


@pytest.mark.parametrize("field", [name for name in CHANGES if name in {f.alias for f in Spec.model_fields.values()}])
def test_new_pods_come_with_what_shapes_them_alone(field: str) -> None:
    """Whatever renders another template is another revision, and whatever is none renders the same template."""
    changed = ASKED.top(**{field: CHANGES[field]})

    other = changed.revision.name != ASKED.revision.name

    assert other == (changed.revision.template != ASKED.revision.template)
    assert other == (field not in SHAPES_NO_POD)


def test_every_field_of_the_spec_is_judged() -> None:
    assert {field.alias for field in Spec.model_fields.values()} == CHANGES.keys()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(service(), "mistral-0b5383382a", id="the least spec"),
        pytest.param(service().spec("engine", maxModelLen=4096, kvCacheMemory="20Gi"), "mistral-a4100aa0af", id="with an engine's settings"),
    ],
)  # fmt: skip
def test_the_key_of_a_spec_never_changes(asked: ServiceBuilder, expected: str) -> None:
    """If this fails, the next upgrade renders every service anew, and restarts it where a builder has changed."""
    assert asked.revision.name == expected


def test_a_default_written_out_is_the_same_spec() -> None:
    """A later CRD has more defaults, which the API server fills in by itself."""
    written = ASKED.spec("engine", startTimeoutSeconds=1800).spec("serving", requestTimeoutSeconds=300).top(image="")

    assert written.revision.name == ASKED.revision.name


def test_the_next_release_applies_what_is_kept() -> None:
    children = (*stored(ASKED.revision), deployment(ASKED))

    revision = pin(next_release(ASKED), snapshot(ASKED, children=children))
    objects = build_objects(next_release(ASKED), Rollout(revision, revision))

    assert revision == ASKED.revision
    assert objects == ASKED.objects


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(ASKED.spec("engine", seed=1), "9.9.9", id="another spec"),
        pytest.param(annotated(ASKED, adopt_defaults="9.9.9"), "9.9.9", id="the annotation that asks for new defaults"),
        pytest.param(ASKED.replicas(7), "0.1.0", id="more replicas of the same spec"),
        pytest.param(annotated(ASKED, note="x"), "0.1.0", id="an annotation of somebody else"),
    ],
)
def test_new_defaults_come_with(asked: ServiceBuilder, expected: str) -> None:
    children = (*stored(ASKED.revision), deployment(ASKED))

    revision = pin(next_release(asked), snapshot(accepted(asked), children=children))

    assert revision.template.pod["spec"]["containers"][0]["image"] == f"example.test/runtime:{expected}"


SKIPPING = annotated(ASKED, skip_plan="true")


def test_the_annotation_that_overrides_the_plan_is_another_revision_and_another_template() -> None:
    assert SKIPPING.revision.name != ASKED.revision.name
    assert SKIPPING.revision.template.hash != ASKED.revision.template.hash
    assert annotated(ASKED, skip_plan="false").revision == ASKED.revision


def short_of_memory(asked: ServiceBuilder, code: str = "KVCacheTooSmall", template: str = "") -> ServiceBuilder:
    """Its newest failure; template: of other pods than those of ASKED."""
    failure = {"code": code, "template": template or ASKED.revision.template.hash}
    return asked.with_status({"lastFailure": failure})


@pytest.mark.parametrize(
    ("asked", "served", "stays"),
    [
        pytest.param(SKIPPING, True, True, id="what has served needs no leave to start"),
        pytest.param(SKIPPING, False, False, id="what never served gets it"),
        pytest.param(short_of_memory(SKIPPING), True, False, id="a pod on a smaller accelerator was refused by the plan"),
        pytest.param(short_of_memory(SKIPPING, "EngineDied"), True, True, id="a pod failed otherwise"),
        pytest.param(short_of_memory(SKIPPING, template="0123456789"), True, True, id="pods of an earlier spec were refused"),
        pytest.param(SKIPPING.spec("engine", seed=1), True, False, id="another spec"),
        pytest.param(annotated(ASKED, skip_plan="true", adopt_defaults="9.9.9"), True, False, id="new defaults are asked for too"),
    ],
)  # fmt: skip
def test_pods_that_serve_stay_when_the_plan_is_overridden(asked: ServiceBuilder, *, served: bool, stays: bool) -> None:
    """So does an upgrade to a release that first tells the runtime of the annotation."""
    known = replace(ASKED.revision, served=served)

    revision = pin(next_release(asked), snapshot(asked, children=(*stored(known), deployment(ASKED))))

    assert (revision == known) == stays
    assert ("skipPlan" in revision.template.config) != stays


def test_taking_the_annotation_away_makes_new_pods() -> None:
    made = of(SKIPPING.revision.name, 1, served=True, asked=SKIPPING)

    revision = pin(ASKED.resolved, snapshot(ASKED, children=stored(made)))

    assert revision == replace(ASKED.revision, number=2)


def test_going_back_makes_the_kept_revision_the_newest() -> None:
    first, second = of(ASKED.revision.name, 1, served=True), of("mistral-second", 2)

    revision = pin(ASKED.resolved, snapshot(ASKED, children=stored(first, second)))

    assert revision == replace(first, number=3, served=False), "whether it serves again is yet to be seen"


def test_going_back_to_a_revision_that_failed_is_another_try() -> None:
    first = replace(of(ASKED.revision.name, 1), failure=Failure("KVCacheTooSmall", "3072 < 4096", "0123456789"))

    revision = pin(ASKED.resolved, snapshot(ASKED, children=stored(first, of("mistral-second", 2, served=True))))

    assert revision.failure is None


def test_what_failed_stays_known_while_the_spec_asks_for_it() -> None:
    second = replace(of(ASKED.revision.name, 2), failure=Failure("KVCacheTooSmall", "3072 < 4096", "0123456789"))

    assert pin(ASKED.resolved, snapshot(ASKED, children=stored(of("mistral-first", 1, served=True), second))) == second


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(accepted(ASKED), "0.1.0", id="made for this generation: what runs becomes the revision"),
        pytest.param(accepted(ASKED, generation=2), "9.9.9", id="the spec has changed since"),
        pytest.param(accepted(ASKED, status="False"), "9.9.9", id="this generation was refused: what runs is an older one"),
        pytest.param(accepted(ASKED, up_to_date="WriteFailed"), "9.9.9", id="the API server kept refusing this generation: what runs may be an older one"),
        pytest.param(ASKED, "9.9.9", id="nobody said so"),
        pytest.param(annotated(accepted(ASKED), adopt_defaults="9.9.9"), "9.9.9", id="new defaults are asked for"),
    ],
)  # fmt: skip
def test_a_deployment_without_a_revision(asked: ServiceBuilder, expected: str) -> None:
    live = deployment(ASKED)
    live["spec"]["template"]["spec"] |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always"}

    revision = pin(next_release(asked), snapshot(asked, children=(live, ASKED.child("ConfigMap"))))

    assert revision.template.pod["spec"]["containers"][0]["image"] == f"example.test/runtime:{expected}"
    if expected == "0.1.0":
        assert revision.template.config == ASKED.revision.template.config
        assert revision.template.hash == ASKED.revision.template.hash


def test_what_others_added_to_the_live_template_is_not_adopted() -> None:
    live = deployment(ASKED)
    template = live["spec"]["template"]
    template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "2026-11-24T12:00:00Z"
    template["metadata"]["labels"]["team"] = "nlp"
    template["spec"]["containers"].append({"name": "sidecar", "image": "example.test/sidecar"})
    template["spec"]["initContainers"] = [{"name": "init", "image": "example.test/init"}]
    template["spec"]["volumes"].append({"name": "sidecar", "emptyDir": {}})

    asked = accepted(ASKED)
    revision = pin(next_release(asked), snapshot(asked, children=(live, ASKED.child("ConfigMap"))))

    assert revision.template == ASKED.revision.template


def test_what_is_written_is_read() -> None:
    failed = replace(of("mistral-b", 2), failure=Failure("KVCacheTooSmall", "3072 < 4096", "0123456789"))
    revisions = (of("mistral-a", 1, served=True), failed)

    assert read([*stored(*reversed(revisions)), deployment(ASKED)]) == revisions


def test_a_revision_that_this_release_cannot_read_is_none() -> None:
    foreign = {**stored(ASKED.revision)[0], "data": {"spec": {}}}

    assert read([foreign]) == ()


OTHER = service().spec("engine", seed=1)
A, B, C, D = (of(f"mistral-{letter}", number, served=True, asked=OTHER) for number, letter in enumerate("abcd", 1))


@pytest.mark.parametrize(
    ("history", "running", "expected"),
    [
        pytest.param((A, B, C, D), (), "bcd", id="the wanted one and the two newest that served"),
        pytest.param((A, replace(B, served=False), C, D), (), "acd", id="one that never served is dropped"),
        pytest.param((replace(A, template=ASKED.revision.template), B, C, D), (ASKED.revision.template.hash,), "abcd", id="one whose pods still run stays"),
    ],
)  # fmt: skip
def test_kept(history: tuple[Revision, ...], running: tuple[str, ...], expected: str) -> None:
    assert [revision.name for revision in kept(history, [D.name], running)] == [f"mistral-{letter}" for letter in expected]  # fmt: skip
