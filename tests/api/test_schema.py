"""Every bound and every rule of the CRD, on a real API server: one value inside is accepted, one outside refused."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from api import shapes
from api.client import Api, connect
from api.cluster import Kubectl, eventually, service
from api.conftest import CRD
from api.objects import RefusedError
from fairlead_cli.local.controlplane import ControlPlane

SCHEMA = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
BOUNDS = list(shapes.bounds(SPEC))


@pytest.fixture(scope="module")
def api(plane: ControlPlane, admin: Kubectl) -> Iterator[Api]:
    """Dry runs in one namespace."""
    with connect(plane.kubeconfig) as http:
        yield Api(http, "default")


@pytest.mark.parametrize("bound", [pytest.param(bound, id=bound.title) for bound in BOUNDS])
def test_bound(api: Api, bound: shapes.Bound) -> None:
    accepted = api.try_create({**service(), "spec": shapes.around(SPEC, bound.path, bound.inside)})
    refused = api.try_create({**service(), "spec": shapes.around(SPEC, bound.path, bound.outside)})

    assert accepted.message == ""
    assert refused.code == 422
    assert bound.words in refused.message
    named = [part for part in bound.path if part not in {"[]", "{}"}]
    assert ".".join(["spec", *named[:1]]) in refused.message
    assert all(part in refused.message for part in named)


def test_every_string_and_list_of_the_spec_is_bounded() -> None:
    """CEL's cost estimate and etcd both need it."""
    open_ended = [
        ".".join(path)
        for path, node in shapes.nodes(SPEC)
        if (node.get("type") == "string" and not {"maxLength", "enum"} & node.keys())
        or (node.get("type") == "array" and "maxItems" not in node)
        or (node.get("type") == "integer" and not {"minimum", "maximum"} <= node.keys())
    ]

    assert open_ended == []


HUB, IMAGE, CLAIM = "hf://org/model", "oci://registry.example/model:1", "pvc://models/mistral"
QUANTITY = "must be a quantity of more than 0, such as 20Gi"
QUANTITIES = (
    ("engine", "kvCacheMemory"),
    ("resources", "cpu"),
    ("resources", "memory"),
    ("resources", "ephemeralStorage"),
    ("placement", "minAcceleratorMemory"),
)
#: message of the rule -> specs it accepts, specs it refuses. Metadata rules have their own test.
RULES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "uri must be hf://ORG/NAME, pvc://CLAIM/PATH or oci://IMAGE": (
        [{"model": {"uri": uri}} for uri in (HUB, IMAGE, CLAIM, "pvc://models", "oci://r:5000/m@sha256:0")],
        [{"model": {"uri": uri}} for uri in ("mistral", "s3://bucket/x", "hf://org", "hf://o/m/x", "pvc://", "oci://")],
    ),
    "uri must not contain '..'": (
        [{"model": {"uri": "pvc://models/a.b/c"}}],
        [{"model": {"uri": "pvc://models/../other"}}],
    ),
    "revision applies to hf:// models only: remove it, or name the version in the uri": (
        [{"model": {"uri": HUB, "revision": "v1"}}],
        [{"model": {"uri": uri, "revision": "v1"}} for uri in (IMAGE, CLAIM)],
    ),
    "tokenSecretRef applies to hf:// models only: for oci:// use spec.imagePullSecrets": (
        [{"model": {"uri": HUB, "tokenSecretRef": {"name": "hf", "key": "token"}}}],
        [{"model": {"uri": uri, "tokenSecretRef": {"name": "hf", "key": "token"}}} for uri in (IMAGE, CLAIM)],
    ),
    "maxModelLen must be a number of tokens from 1 to 100000000, or Auto": (
        [{"engine": {"maxModelLen": value}} for value in (1, 4096, 100_000_000, "Auto")],
        [{"engine": {"maxModelLen": value}} for value in (0, -1, 100_000_001, "auto", "4096", "")],
    ),
    QUANTITY: (
        [{"engine": {"kvCacheMemory": 1}}, *({group: {field: "1.5Gi"}} for group, field in QUANTITIES)],
        [{"engine": {"kvCacheMemory": 0}}, *({group: {field: "0Gi"}} for group, field in QUANTITIES)],
    ),
    "this method drafts with a second model: set speculative.model": (
        [
            {"engine": {"speculative": {"method": "ngram", "tokens": 3}}},
            {"engine": {"speculative": {"method": "eagle3", "tokens": 3, "model": HUB}}},
        ],
        [{"engine": {"speculative": {"method": method, "tokens": 3}}} for method in ("draft_model", "eagle", "eagle3")],
    ),
    "set exactly one of value and valueFrom": (
        [
            {"engine": {"env": [{"name": "A", "value": ""}]}},
            {"engine": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
        ],
        [
            {"engine": {"env": [{"name": "A"}]}},
            {"engine": {"env": [{"name": "A", "value": "", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
        ],
    ),
    "kvCacheMemory and gpuMemoryUtilizationPercent exclude each other: keep one": (
        [{"engine": {"kvCacheMemory": "1Gi"}}, {"engine": {"gpuMemoryUtilizationPercent": 90}}],
        [{"engine": {"kvCacheMemory": "1Gi", "gpuMemoryUtilizationPercent": 90}}],
    ),
    "apiKey and apiKeySecretRef exclude each other: keep apiKeySecretRef for keys of your own, or apiKey Generate for one that is made": (
        [{"serving": {"apiKey": "Generate"}}, {"serving": {"apiKeySecretRef": {"name": "s", "key": "k"}}}],
        [{"serving": {"apiKey": "Generate", "apiKeySecretRef": {"name": "s", "key": "k"}}}],
    ),
    "drainSeconds must be at least requestTimeoutSeconds, or a stopping pod cuts requests that are in time": (
        [{"serving": {"drainSeconds": 300}}, {"serving": {"drainSeconds": 60, "requestTimeoutSeconds": 60}}],
        [{"serving": {"drainSeconds": 299}}, {"serving": {"drainSeconds": 60, "requestTimeoutSeconds": 61}}],
    ),
    "autoscaling.maxReplicas must be at least autoscaling.minReplicas: raise the one or lower the other": (
        [
            {"autoscaling": rules}
            for rules in (
                {"maxReplicas": 1},
                {"minReplicas": 0, "maxReplicas": 1},
                {"minReplicas": 3, "maxReplicas": 3},
                {"maxReplicas": 8, "targetWaitingRequests": 1, "targetKVCacheUsagePercent": 50, "idleSeconds": 60},
            )
        ],
        [{"autoscaling": {"minReplicas": 4, "maxReplicas": 3}}, {"autoscaling": {"minReplicas": 2, "maxReplicas": 1}}],
    ),
    "device CPU takes no accelerator: remove acceleratorName": (
        [{"resources": {"acceleratorName": "amd.com/gpu"}}],
        [{"resources": {"device": "CPU", "acceleratorName": "amd.com/gpu"}}],
    ),
    "device CPU has no accelerator memory to share: set engine.kvCacheMemory instead": (
        [{"resources": {"device": "CPU"}, "engine": {"kvCacheMemory": "1Gi"}}],
        [{"resources": {"device": "CPU"}, "engine": {"gpuMemoryUtilizationPercent": 90}}],
    ),
    "device CPU has no kernels for fp8 weights: choose engine.profile Balanced, Latency or Throughput": (
        [
            {"engine": {"profile": "ThroughputFP8"}},
            {"engine": {"profile": "LatencyFP8"}, "resources": {"device": "Accelerator"}},
            *(
                {"resources": {"device": "CPU"}, "engine": {"profile": name}}
                for name in ("Balanced", "Latency", "Throughput")
            ),
        ],
        [{"resources": {"device": "CPU"}, "engine": {"profile": name}} for name in ("LatencyFP8", "ThroughputFP8")],
    ),
    "surgeWaitSeconds applies to strategy Auto only: remove it, or set strategy to Auto": (
        [
            {"rollout": rollout}
            for rollout in (
                {"surgeWaitSeconds": 5},
                {"strategy": "Auto", "surgeWaitSeconds": 5},
                {"strategy": "Surge"},
                {"strategy": "Replace", "onFailure": "Hold"},
            )
        ],
        [{"rollout": {"strategy": strategy, "surgeWaitSeconds": 5}} for strategy in ("Surge", "Replace")],
    ),
    "device CPU takes no accelerator: remove placement.minAcceleratorMemory": (
        [{"placement": {"minAcceleratorMemory": "40Gi"}}],
        [{"resources": {"device": "CPU"}, "placement": {"minAcceleratorMemory": "40Gi"}}],
    ),
}
CASES = [
    pytest.param(message, spec, accepted, id=f"{message.split(':')[0]} {'accepts' if accepted else 'refuses'} {spec}")
    for message, sides in RULES.items()
    for accepted, specs in zip((True, False), sides, strict=True)
    for spec in specs
]


def test_every_rule_of_the_spec_has_cases() -> None:
    rules = {rule["message"] for _, node in shapes.nodes(SPEC) for rule in node.get("x-kubernetes-validations", ())}

    assert rules == RULES.keys()


@pytest.mark.parametrize(("message", "spec", "accepted"), CASES)
def test_rule(api: Api, message: str, spec: dict[str, Any], accepted: bool) -> None:  # noqa: FBT001
    answer = api.try_create({**service(), "spec": {**service()["spec"], **spec}})

    if accepted:
        assert answer.message == ""
    else:
        assert answer.code == 422
        assert message in answer.message


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("a", True), ("a" * 50, True), ("a-1", True), ("a" * 51, False), ("1a", False), ("a.b", False)],
)
def test_a_name_must_do_for_a_service(api: Api, name: str, accepted: bool) -> None:  # noqa: FBT001
    answer = api.try_create(service(name))

    assert (answer.code < 300) == accepted
    assert accepted or "metadata.name must be at most 50 characters" in answer.message


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        pytest.param(*row, id=row[0])
        for row in (
            ("maxNumSeqs", 1, 65_536),
            ("maxNumBatchedTokens", 1, 100_000_000),
            ("gpuMemoryUtilizationPercent", 1, 100),
            ("blockSize", 1, 4096),
            ("seed", 0, 4_294_967_295),
            ("startTimeoutSeconds", 30, 86_400),
        )
    ],
)
def test_numbers_of_the_engine_have_bounds(api: Api, field: str, lowest: int, highest: int) -> None:
    codes = {
        value: api.try_create(service(engine={field: value})).code
        for value in (lowest - 1, lowest, highest, highest + 1)
    }

    assert codes == {lowest - 1: 422, lowest: 201, highest: 201, highest + 1: 422}


def test_unknown_fields_are_refused_under_strict_validation(api: Api) -> None:
    answer = api.try_create(service(engine={"maxModelLenn": 4096}))

    assert answer.code == 400
    assert 'unknown field "spec.engine.maxModelLenn"' in answer.message


def test_unknown_fields_are_dropped_with_a_warning_otherwise(api: Api) -> None:
    answer = api.try_create(service(engine={"maxModelLenn": 4096}), validation="Warn")

    assert answer.code == 201
    assert "maxModelLenn" not in str(answer.body["spec"])
    assert any("spec.engine.maxModelLenn" in warning for warning in answer.warnings)


def test_defaults_are_filled_in(api: Api) -> None:
    given = service(serving={}, resources={}, engine={}, parallelism={}, autoscaling={"maxReplicas": 3})
    spec = api.try_create(given).body["spec"]

    assert spec["replicas"] == 1
    assert spec["suspend"] is False
    assert spec["serving"] == {"requestTimeoutSeconds": 300}
    assert spec["resources"] == {"device": "Accelerator"}
    assert spec["parallelism"] == {"tensor": 1, "pipeline": 1}
    assert spec["engine"] == {"startTimeoutSeconds": 1800}
    assert spec["autoscaling"] == {
        "minReplicas": 1,
        "maxReplicas": 3,
        "targetWaitingRequests": 5,
        "targetKVCacheUsagePercent": 80,
        "scaleDownDelaySeconds": 300,
        "idleSeconds": 900,
    }


def explained(kubectl: Kubectl, field: str) -> str:
    """The explanation, or nothing while the server does not know the resource yet."""
    try:
        return kubectl("explain", field)
    except RefusedError:
        return ""


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("infs.spec", ["model", "engine", "replicas", "The model to serve, and how"]),
        ("infs.spec.engine", ["maxModelLen", "gpuMemoryUtilizationPercent", "Settings of vLLM"]),
        ("infs.spec.model.uri", ["Where the weights are"]),
        ("infs.status.conditions", ["lastTransitionTime"]),
    ],
)
def test_kubectl_explain_reads_well(kubectl: Kubectl, field: str, words: list[str]) -> None:
    text = eventually(lambda: explained(kubectl, field), f"kubectl explain {field}")

    assert [word for word in words if word not in text] == []


def test_every_field_of_the_spec_is_described() -> None:
    silent = [
        ".".join(path)
        for path, node in shapes.nodes(SPEC)
        if path[-1:] not in {("[]",), ("{}",), ()} and not node.get("description")
    ]

    assert silent == []
