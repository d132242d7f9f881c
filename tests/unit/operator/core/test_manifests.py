"""Golden manifests: what is built, in full. FAIRLEAD_UPDATE_GOLDEN=1 writes them anew; look at the difference."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_operator.api.pod import REQUIRED
from fairlead_operator.core.build.pod import build_pod_template, template_hash
from fairlead_operator.core.resolve import Defaults, Resolved, resolve
from unit.operator.builders import DEFAULTS, ServiceBuilder, service

GOLDEN = Path(__file__).parent / "golden"
SERVICES = {
    "oci-on-one-accelerator": service(),
    "hub-with-everything": service("llama")
    .replicas(3)
    .model("hf://org/llama", revision="v1", name="llama-3", tokenSecretRef={"name": "hf", "key": "token"}, cache={"claimName": "cache"})
    .spec("engine", profile="Throughput", maxModelLen="Auto", maxNumSeqs=64, kvCacheMemory="20Gi", dtype="bfloat16", prefixCaching=False,
          extraArgs=["--enable-auto-tool-choice"], env=[{"name": "NCCL_DEBUG", "value": "INFO"},
          {"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}])
    .spec("parallelism", tensor=2)
    .spec("serving", apiKeySecretRef={"name": "keys", "key": "all"}, requestTimeoutSeconds=600,
          maxQueuedRequests=0, rateLimit={"requestsPerSecond": 10, "burst": 50})
    .spec("resources", ephemeralStorage="100Gi")
    .spec("placement", nodeSelector={"pool": "gpu"}, tolerations=[{"key": "gpu", "operator": "Exists"}], priorityClassName="high",
          runtimeClassName="nvidia", minAcceleratorMemory="40Gi", supplementalGroups=[2000])
    .top(imagePullSecrets=[{"name": "registry"}]),
    "claim-on-cpu": service("tiny").on_cpu().model("pvc://models/tiny/v1").top(disruption="Block"),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_golden(name: str) -> None:
    # The revision's data is what the ConfigMap and the Deployment show already.
    objects = [{key: value for key, value in built.items() if (built["kind"], key) != ("ControllerRevision", "data")} for built in SERVICES[name].objects]  # fmt: skip
    built = yaml.safe_dump_all(objects, sort_keys=True, width=120)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("FAIRLEAD_UPDATE_GOLDEN") == "1":
        path.write_text(built, encoding="utf-8")

    assert built == path.read_text(encoding="utf-8")


def _pod(asked: ServiceBuilder) -> dict[str, Any]:
    spec: dict[str, Any] = build_pod_template(asked.resolved)["spec"]
    return spec


def _env(asked: ServiceBuilder) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in _pod(asked)["containers"][0]["env"]}


@pytest.mark.parametrize("name", SERVICES)
def test_pods_meet_the_restricted_standard(name: str) -> None:
    pod = _pod(SERVICES[name])
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert not any("hostPath" in volume for volume in pod["volumes"])
    assert "cpu" not in container["resources"]["limits"]


def test_the_template_hash_follows_the_template_and_nothing_else() -> None:
    first = template_hash(service().resolved)

    assert template_hash(service().replicas(5).resolved) == first
    assert template_hash(service().spec("engine", maxModelLen=128).resolved) != first
    assert template_hash(service().spec("engine", seed=1).resolved) != first


def test_a_revision_holds_what_the_other_children_are_made_from() -> None:
    data = service().child("ControllerRevision")["data"]

    assert data["template"] == service().child("Deployment")["spec"]["template"]
    assert data["config"] == service().child("ConfigMap")["data"]["config.json"]


def test_another_configuration_is_another_config_map() -> None:
    one, other = (
        asked.child("ConfigMap")["metadata"]["name"] for asked in (service(), service().spec("engine", seed=1))
    )

    assert one != other


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(service(), None, id="one replica may be evicted"),
        pytest.param(service().top(disruption="Block"), 0, id="one replica that may not be"),
        pytest.param(service().replicas(2), 1, id="of two, one at a time"),
        pytest.param(service().replicas(2).top(disruption="Block"), 1, id="Block is about a single replica"),
        pytest.param(service().replicas(2).suspended(), None, id="nothing runs, nothing to protect"),
    ],
)
def test_disruption_budget(asked: ServiceBuilder, expected: int | None) -> None:
    budgets = [
        manifest["spec"]["maxUnavailable"] for manifest in asked.objects if manifest["kind"] == "PodDisruptionBudget"
    ]

    assert budgets == ([] if expected is None else [expected])


def test_only_a_hub_model_may_go_to_the_hub() -> None:
    assert _env(service())["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in _env(service().model("hf://a/b"))


@pytest.mark.parametrize("accelerator", ["amd.com/gpu", "gpu.intel.com/i915", "nvidia.com/mig-1g.10gb"])
def test_accelerators_of_any_vendor_are_asked_for_by_their_resource_name(accelerator: str) -> None:
    pod = _pod(service().spec("resources", acceleratorName=accelerator).spec("parallelism", tensor=2))
    resources = pod["containers"][0]["resources"]

    assert resources["limits"][accelerator] == resources["requests"][accelerator] == "2"
    assert "nvidia.com/gpu" not in resources["limits"]
    assert {"key": accelerator, "operator": "Exists"} in pod["tolerations"]


@pytest.mark.parametrize(("tensor", "pipeline", "shared"), [(1, 1, "2Gi"), (2, 1, "3Gi"), (1, 2, "3Gi"), (4, 2, "9Gi")])
def test_each_accelerator_of_a_replica_is_asked_for_and_has_shared_memory(
    tensor: int, pipeline: int, shared: str
) -> None:
    pod = _pod(service().spec("parallelism", tensor=tensor, pipeline=pipeline))

    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == str(tensor * pipeline)
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared}} in pod["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in pod["containers"][0]["volumeMounts"]


def test_a_queue_is_named_on_the_deployment_and_on_its_pods_and_never_in_the_selector() -> None:
    asked = service().spec("placement", queueName="team-a")
    deployment = asked.child("Deployment")

    assert deployment["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert deployment["spec"]["template"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert deployment["spec"]["selector"]["matchLabels"] == {"fairlead.dev/service": "mistral"}
    assert template_hash(asked.resolved) != template_hash(service().resolved)


def test_the_operators_hub_endpoint_yields_to_the_users() -> None:
    defaults = Defaults(DEFAULTS.runtime_image, DEFAULTS.runtime_image_cpu, hub_endpoint="http://mirror.test")

    def endpoint(asked: ServiceBuilder) -> list[str]:
        resolved = resolve(asked.raw, defaults)
        assert isinstance(resolved, Resolved)
        env = build_pod_template(resolved)["spec"]["containers"][0]["env"]
        return [variable["value"] for variable in env if variable["name"] == "HF_ENDPOINT"]

    hub = service().model("hf://a/b")
    assert endpoint(hub) == ["http://mirror.test"]
    assert endpoint(hub.spec("engine", env=[{"name": "HF_ENDPOINT", "value": "http://own.test"}])) == [
        "http://own.test"
    ]
    assert endpoint(service()) == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(service().model("hf://a/b"), True, id="the default branch moves"),
        pytest.param(service().model("hf://a/b", revision="v1"), True, id="a tag may move"),
        pytest.param(service().model("hf://a/b", revision="0" * 40), False, id="a commit does not"),
        pytest.param(service().model("pvc://a/b"), False, id="a folder has none"),
    ],
)
def test_what_moves_can_be_pinned(asked: ServiceBuilder, expected: bool) -> None:  # noqa: FBT001
    pins = [volume for volume in _pod(asked)["volumes"] if volume["name"] == "pinned"]

    assert bool(pins) == expected
    assert not pins or pins[0]["configMap"] == {"name": asked.revision.name, "optional": True}


def test_cpu_pods_see_no_gpu() -> None:
    assert _env(service().on_cpu())["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in _env(service())


def test_grace_period_covers_the_whole_stop() -> None:
    assert _pod(service().spec("serving", drainSeconds=400))["terminationGracePeriodSeconds"] == 10 + 5 + 400 + 20


def test_least_memory_goes_into_every_alternative_of_the_users_affinity() -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    own = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term, term]}}
    affinity = _pod(service().spec("placement", affinity={"nodeAffinity": own}, minAcceleratorMemory="40Gi"))[
        "affinity"
    ]
    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]

    assert [len(each["matchExpressions"]) for each in terms] == [2, 2]
    assert terms[0]["matchExpressions"][1] == {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["40959"]}


@pytest.mark.parametrize(
    "required",
    [None, {}, {"nodeSelectorTerms": None}, {"nodeSelectorTerms": [{}]}, {"nodeSelectorTerms": [{"matchExpressions": None}]}],
)  # fmt: skip
def test_least_memory_goes_into_an_affinity_that_requires_nothing(required: Any) -> None:
    own = {REQUIRED: required}

    affinity = _pod(service().spec("placement", affinity={"nodeAffinity": own}, minAcceleratorMemory="40Gi"))[
        "affinity"
    ]

    demand = {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["40959"]}
    assert affinity == {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [demand]}]}}}


def test_a_model_claim_is_mounted_read_only_and_keeps_its_owner() -> None:
    pod = _pod(service().model("pvc://models/a"))

    assert {"name": "model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}} in pod["volumes"]
    assert "fsGroup" not in pod["securityContext"]
    assert _pod(service().model("hf://a/b", cache={"claimName": "c"}))["securityContext"]["fsGroup"] == 10001
