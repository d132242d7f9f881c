"""From the spec to what is built, or to a sentence."""

import json
from dataclasses import replace
from typing import Any

import pytest

from fairlead_operator.api.pod import REQUIRED
from fairlead_operator.api.v1alpha1 import InferenceService
from fairlead_operator.core.fingerprint import fingerprint
from fairlead_operator.core.rejection import Rejection, name_taken, refused_by_api_server
from fairlead_operator.core.resolve import Defaults, Resolved, resolve
from fairlead_operator.core.source import Source, SourceKind, parse_source
from unit.operator.builders import DEFAULTS, ServiceBuilder, service

#: What nodes cannot be required by.
NO_NODE_AFFINITIES: tuple[Any, ...] = (
    "x",
    [],
    {"nodeSelectorTerms": "x"},
    {"nodeSelectorTerms": ["x"]},
    {"nodeSelectorTerms": [{"matchExpressions": {}}]},
    {"nodeSelectorTerms": [{"matchFields": [{"key": "a", "operater": "In"}]}]},
    {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]}]},
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param("hf://org/name", Source(SourceKind.HUB, "org/name"), id="hub"),
        pytest.param("pvc://claim/a/b/", Source(SourceKind.CLAIM, "claim", "a/b"), id="claim with a folder"),
        pytest.param("pvc://claim", Source(SourceKind.CLAIM, "claim"), id="whole claim"),
        pytest.param(
            "oci://host:5000/a/b:1@sha256:ab",
            Source(SourceKind.IMAGE, "host:5000/a/b:1@sha256:ab"),
            id="image with port, tag and digest",
        ),
    ],
)
def test_source(uri: str, expected: Source) -> None:
    assert parse_source(uri) == expected


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        pytest.param(service().model("s3://bucket/x"), "InvalidSpec", "spec.model.uri", id="an unknown scheme"),
        pytest.param(
            service().model("hf://name-only"),
            "InvalidSpec",
            "spec.model.uri",
            id="a hub model without its organisation",
        ),
        pytest.param(service().model("pvc://claim/../x"), "InvalidSpec", "spec.model.uri", id="a way out of the claim"),
        pytest.param(
            service().model("oci://a/b", revision="main"),
            "InvalidSpec",
            "spec.model.revision",
            id="a revision of an image",
        ),
        pytest.param(
            service().model("pvc://a/b", tokenSecretRef={"name": "a", "key": "b"}),
            "InvalidSpec",
            "spec.model.tokenSecretRef",
            id="a token for a claim",
        ),
        pytest.param(
            service().spec("engine", kvCacheMemory="1Gi", gpuMemoryUtilizationPercent=50),
            "InvalidSpec",
            "spec.engine.kvCacheMemory",
            id="two sizes of the cache",
        ),
        pytest.param(
            service().on_cpu().spec("engine", gpuMemoryUtilizationPercent=50),
            "InvalidSpec",
            "spec.engine.gpuMemoryUtilizationPercent",
            id="a share of no GPU",
        ),
        *(
            pytest.param(
                service().on_cpu().spec("engine", profile=profile),
                "InvalidSpec",
                "spec.engine.profile",
                id=f"{profile} on CPUs, which have no kernels for it",
            )
            for profile in ("LatencyFP8", "ThroughputFP8")
        ),
        pytest.param(
            service().spec("engine", profile="Fast"), "InvalidSpec", "spec.engine.profile", id="no such profile"
        ),
        pytest.param(
            service().on_cpu().spec("resources", acceleratorName="x.test/y"),
            "InvalidSpec",
            "spec.resources.acceleratorName",
            id="an accelerator on CPUs",
        ),
        pytest.param(
            service().on_cpu().spec("placement", minAcceleratorMemory="1Gi"),
            "InvalidSpec",
            "spec.placement.minAcceleratorMemory",
            id="accelerator memory on CPUs",
        ),
        pytest.param(
            service().spec("serving", drainSeconds=10),
            "InvalidSpec",
            "spec.serving.drainSeconds",
            id="a drain shorter than a request",
        ),
        pytest.param(
            service().spec("serving", apiKey="Generate", apiKeySecretRef={"name": "s", "key": "k"}),
            "InvalidSpec",
            "spec.serving.apiKey",
            id="a key that is made beside one's own",
        ),
        pytest.param(service().top(unknown=1), "InvalidSpec", "spec.unknown", id="an unknown field"),
        pytest.param(
            service().spec("engine", extraArgs=["--port=1"]),
            "DeniedArgument",
            "spec.engine.extraArgs",
            id="a refused argument",
        ),
        pytest.param(
            service().spec("engine", env=[{"name": "LD_PRELOAD", "value": "x"}]),
            "DeniedArgument",
            "spec.engine.env",
            id="a refused variable",
        ),
        pytest.param(
            service().spec("engine", kvCacheMemory="9" * 400 + "Ei"),
            "InvalidSpec",
            "spec.engine.kvCacheMemory",
            id="a size with more digits than the API server takes",
        ),
        pytest.param(
            service().spec("engine", kvCacheMemory="5Gi\n"),
            "InvalidSpec",
            "spec.engine.kvCacheMemory",
            id="a size with the end of a line",
        ),
        pytest.param(
            service().model("oci://example.test/m:1\n"),
            "InvalidSpec",
            "spec.model.uri",
            id="a uri with the end of a line",
        ),
        pytest.param(service("1st"), "InvalidSpec", "metadata.name", id="a name that no Service can have"),
        *(
            pytest.param(
                service().spec("placement", affinity={"nodeAffinity": {REQUIRED: required}}, **least),
                "InvalidSpec",
                "spec.placement.affinity.nodeAffinity",
                id=f"a node affinity that requires {required!r}{' beside a least memory' if least else ''}",
            )
            for least in ({}, {"minAcceleratorMemory": "40Gi"})
            for required in NO_NODE_AFFINITIES
        ),
    ],
)
def test_rejected(asked: ServiceBuilder, reason: str, field: str) -> None:
    assert (asked.rejection.reason, asked.rejection.field) == (reason, field)


def test_no_image_for_the_device_names_the_setting() -> None:
    outcome = resolve(service().on_cpu().raw, Defaults(runtime_image="x", runtime_image_cpu=""))

    assert isinstance(outcome, Rejection)
    assert "FAIRLEAD_RUNTIME_IMAGE_CPU" in outcome.message


NEXT_RELEASE = replace(DEFAULTS, engine_version="0.32")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        pytest.param(service().spec("engine", extraArgs=["--gone"]), "UnknownEngineArgument", id="an argument"),
        pytest.param(service().spec("engine", kvCacheDtype="fp3"), "UnsupportedByEngine", id="a field's value"),
    ],
)
def test_what_is_kept_for_a_spec_runs_no_other_engine_by_which_to_judge_it(asked: ServiceBuilder, reason: str) -> None:
    former = asked.resolved.revision_name

    kept = resolve(asked.raw, NEXT_RELEASE, {"mistral-of-another-spec", former})
    changed = resolve(asked.spec("engine", seed=1).raw, NEXT_RELEASE, {former})

    assert isinstance(kept, Resolved)
    assert kept.revision_name == former
    assert isinstance(changed, Rejection)
    assert changed.reason == reason


def test_what_may_never_be_passed_on_is_refused_whatever_is_kept() -> None:
    asked = service().spec("engine", extraArgs=["--port=1"])
    kept = f"mistral-{fingerprint(InferenceService.parse(asked.raw).spec, {})}"

    assert isinstance(resolve(asked.raw, NEXT_RELEASE, {kept}), Rejection)


@pytest.mark.parametrize(
    ("asked", "cpu", "memory", "accelerators"),
    [
        pytest.param(service(), "4", "16Gi", 1, id="one accelerator"),
        pytest.param(
            service().spec("parallelism", tensor=4, pipeline=2),
            "18",
            "72Gi",
            8,
            id="tensor times pipeline accelerators",
        ),
        pytest.param(service().on_cpu(), "500m", "6Gi", 0, id="CPU"),
        pytest.param(service().spec("resources", cpu=3, memory="9Gi"), "3", "9Gi", 1, id="what is asked for wins"),
    ],
)
def test_default_requests(asked: ServiceBuilder, cpu: str, memory: str, accelerators: int) -> None:
    resolved = asked.resolved

    assert (resolved.cpu, resolved.memory, resolved.accelerators) == (cpu, memory, accelerators)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(service(), None, id="on accelerators the engine takes its share"),
        pytest.param(service().on_cpu(), None, id="on CPUs the runtime's own default holds"),
        pytest.param(service().on_cpu().spec("engine", kvCacheMemory="1Gi"), 2**30, id="what is asked for wins"),
        pytest.param(service().spec("engine", kvCacheMemory="203m"), 1, id="part of a byte is a byte"),
        pytest.param(service().spec("engine", kvCacheMemory="1500m"), 2, id="one and a half are two"),
    ],
)
def test_kv_cache_memory(asked: ServiceBuilder, expected: int | None) -> None:
    assert asked.resolved.config.engine.kv_cache_memory_bytes == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(service(), None, id="none"),
        pytest.param(service().on_cpu().spec("engine", profile="Throughput"), "Throughput", id="on CPUs, without fp8"),
        pytest.param(service().spec("engine", profile="ThroughputFP8"), "ThroughputFP8", id="on accelerators"),
    ],
)
def test_the_profile_is_the_runtimes_to_spell_out(asked: ServiceBuilder, expected: str | None) -> None:
    engine = asked.resolved.config.engine

    assert engine.profile == expected
    assert (engine.quantization, engine.extra_args) == (None, ())


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(service(), 300, id="default"),
        pytest.param(service().spec("serving", requestTimeoutSeconds=900), 900, id="as long as a request may take"),
        pytest.param(service().spec("serving", drainSeconds=1200), 1200, id="what is asked for wins"),
    ],
)
def test_drain(asked: ServiceBuilder, expected: int) -> None:
    assert asked.resolved.drain_seconds == asked.resolved.config.serving.drain_seconds == expected


@pytest.mark.parametrize(
    ("serving", "told"),
    [
        pytest.param({}, {}, id="no limit, nothing told: a runtime that knows none can still read it"),
        pytest.param({"maxQueuedRequests": 0}, {"maxQueuedRequests": 0}, id="none may wait"),
        pytest.param(
            {"rateLimit": {"requestsPerSecond": 5}}, {"rateLimit": {"requestsPerSecond": 5}}, id="a rate alone"
        ),
        pytest.param(
            {"rateLimit": {"requestsPerSecond": 5, "burst": 9}},
            {"rateLimit": {"requestsPerSecond": 5, "burst": 9}},
            id="a rate with a burst",
        ),
    ],
)
def test_limits_are_told_to_the_runtime(serving: dict[str, Any], told: dict[str, Any]) -> None:
    config = service().spec("serving", **serving).resolved.config

    assert json.loads(config.canonical_json()).get("serving", {}) == told


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        pytest.param(None, None, id="none: a runtime that knows no such field can still read it"),
        pytest.param({"fairlead.dev/skip-plan": "true"}, True, id="the user knows better than the plan"),
        pytest.param({"fairlead.dev/skip-plan": "false"}, None, id="the user does not"),
        pytest.param({"fairlead.dev/retry": "true"}, None, id="another annotation"),
    ],
)
def test_that_the_plan_is_overridden_is_told_to_the_runtime(
    annotations: dict[str, str] | None,
    told: bool | None,  # noqa: FBT001
) -> None:
    raw = service().raw
    asked = ServiceBuilder({**raw, "metadata": {**raw["metadata"], "annotations": annotations}})

    assert json.loads(asked.child("ConfigMap")["data"]["config.json"]).get("skipPlan") is told


def test_suspended_wants_no_pod_and_keeps_replicas() -> None:
    resolved = service().replicas(3).suspended().resolved

    assert (resolved.replicas, resolved.spec.replicas) == (0, 3)


def test_a_drafting_model_needs_the_hub_even_beside_an_image() -> None:
    speculative = {"method": "eagle3", "model": "hf://a/draft", "tokens": 3}
    resolved = service().spec("engine", speculative=speculative).resolved

    assert resolved.needs_hub
    assert resolved.config.engine.speculative is not None
    assert resolved.config.engine.speculative.model == "a/draft"


def test_defaults_of_the_operator_reach_only_services_without_their_own_image() -> None:
    assert service().resolved.image == DEFAULTS.runtime_image
    assert service().on_cpu().resolved.image == DEFAULTS.runtime_image_cpu
    assert service().top(image="own/image:1").resolved.image == "own/image:1"


@pytest.mark.parametrize(
    ("status", "message", "field"),
    [
        pytest.param(
            422,
            'Deployment "x" is invalid: spec.template.spec.affinity.nodeAffinity: Required value',
            "spec.placement.affinity",
            id="a wrong affinity",
        ),
        pytest.param(
            500,
            "failed to create typed patch object: .spec.template.spec.affinity.bogus: field not declared in schema",
            "spec.placement.affinity",
            id="an unknown field of affinity",
        ),
        pytest.param(422, 'Deployment "x" is invalid: spec.replicas', "", id="something unforeseen"),
        pytest.param(400, "error decoding YAML: could not find expected ':'", "", id="a key longer than YAML takes"),
        pytest.param(
            403,
            'admission webhook "vdeployment.kb.io" denied the request: metadata.labels[kueue.x-k8s.io/queue-name]: field is immutable',
            "spec.placement.queueName",
            id="Kueue keeps a queue while pods are Ready",
        ),
        pytest.param(
            403,
            "deployments \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            "",
            id="an administrator's policy",
        ),
    ],
)
def test_an_apply_refused_for_its_content_is_a_rejection(status: int, message: str, field: str) -> None:
    verdict = refused_by_api_server("Deployment", status, message)

    assert verdict is not None
    assert (verdict.reason, verdict.field) == ("InvalidSpec", field)


@pytest.mark.parametrize(
    ("status", "message"),
    [(500, "etcd leader changed"), (429, "too many requests"), (403, "forbidden"), (409, "conflict")],
)
def test_an_apply_refused_for_now_is_none(status: int, message: str) -> None:
    assert refused_by_api_server("Deployment", status, message) is None


@pytest.mark.parametrize(
    ("references", "holder"),
    [
        pytest.param([], "is not controlled by this InferenceService", id="nobody's"),
        pytest.param(
            [{"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "a", "controller": True}],
            "belongs to InferenceService.serving.kserve.io a",
            id="a kind of the same name in another group",
        ),
        pytest.param(
            [{"apiVersion": "v1", "kind": "Node", "name": "n"}, {"apiVersion": "v1", "kind": "Pod", "name": "p", "controller": True}],
            "belongs to Pod p",
            id="the owner that controls it is named",
        ),
    ],
)  # fmt: skip
def test_who_has_taken_a_name_is_said(references: list[dict[str, Any]], holder: str) -> None:
    verdict = name_taken("Service", "mistral", references)

    assert verdict.message.startswith(f"Service mistral exists and {holder}; ")
