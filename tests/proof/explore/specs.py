"""Specs to try: sound ones, which the ground carries out to Ready, and wild ones, with which anything may be wrong."""

import functools
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from proof.explore.rules import Spec, mended, part
from proof.explore.schema import SPEC, TEXT, Own, values
from simulated.fates import STUCK, VARIABLE, Fate, record

#: What the ground has, by the name that a spec refers to it.
CLAIM: Final = "models"
ACCELERATORS: Final = ("nvidia.com/gpu", "amd.com/gpu")
NODE_LABEL: Final = ("tests.fairlead.dev/pool", "explore")
#: By NVIDIA's label, in MiB.
NODE_MEMORY: Final = 81_559
PRIORITY_CLASS: Final = "explore"
RUNTIME_CLASS: Final = "explore"
#: A thousand pods each, for dozens of services, would be another test.
MOST_REPLICAS: Final = 3

_SMALL: Final = st.integers(0, MOST_REPLICAS)
_NUMBERS: Final[Own] = {
    ("replicas",): _SMALL,
    ("autoscaling", "minReplicas"): _SMALL,
    ("autoscaling", "maxReplicas"): st.integers(1, MOST_REPLICAS),
    # Nothing of the ground's time is spent asleep or on the way there.
    ("autoscaling", "idleSeconds"): st.integers(3600, 604_800),
}
_CLAIMED: Final = f"pvc://{CLAIM}/some/folder"
_WORKS: Final = ["NCCL_DEBUG", "VLLM_LOGGING_LEVEL", "OMP_NUM_THREADS", "TZ"]
#: Names that a label key has.
_KEYS: Final = st.sampled_from(["a", "example.com/zone", "A_b.c", "kubernetes.io/hostname"])

#: Values with which a service gets Ready.
_SOUND: Final[Own] = {
    **_NUMBERS,
    ("model", "uri"): st.sampled_from(["hf://org/model", "hf://o/m.gguf", "oci://registry.example:5000/m@sha256:0", f"pvc://{CLAIM}", _CLAIMED]),
    ("model", "cache", "claimName"): st.just(CLAIM),
    ("engine", "kvCacheMemory"): st.sampled_from([2**30, "512Mi", "1.5Gi", "20Gi", "1G"]),
    ("engine", "kvCacheDtype"): st.sampled_from(["auto", "fp8"]),
    ("engine", "quantization"): st.sampled_from(["fp8", "awq", "gptq"]),
    ("engine", "speculative", "method"): st.sampled_from(["ngram", "eagle3", "draft_model", "suffix"]),
    ("engine", "blockSize"): st.sampled_from([16, 32, 64, 128]),
    ("engine", "extraArgs"): st.sampled_from([[], ["--enable-auto-tool-choice", "--tool-call-parser=hermes"]]),
    ("engine", "env", "[]", "name"): st.sampled_from(_WORKS),
    ("resources", "acceleratorName"): st.sampled_from(ACCELERATORS),
    ("resources", "cpu"): st.sampled_from([1, "500m", "1.5", "2"]),
    ("resources", "memory"): st.sampled_from([2**30, "1024Mi", "8Gi", "1.5Gi", "2G", "1k"]),
    ("resources", "ephemeralStorage"): st.sampled_from([1, "1Gi", "1024Mi", "1.5G"]),
    ("placement", "nodeSelector"): st.sampled_from([{}, dict([NODE_LABEL])]),
    ("placement", "tolerations"): st.lists(st.sampled_from([{"operator": "Exists"}, {"key": "a", "value": "b"}, {"key": "example.com/a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]), max_size=2),
    ("placement", "affinity"): st.sampled_from([
        {}, {"nodeAffinity": {}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": NODE_LABEL[0], "operator": "Exists"}]}]}}},
        {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}}]}},
    ]),
    ("placement", "priorityClassName"): st.just(PRIORITY_CLASS),
    ("placement", "runtimeClassName"): st.just(RUNTIME_CLASS),
    ("placement", "queueName"): st.sampled_from(["team-a", "a.b"]),
    ("placement", "minAcceleratorMemory"): st.sampled_from([1, "16Gi", "79Gi", f"{NODE_MEMORY}Mi", "500m"]),
}  # fmt: skip

_FATES: Final = st.sampled_from(
    [
        Fate(), STUCK, record("KVCacheTooSmall"), record("EngineDied", times=1), record("ModelNotFound", times=2),
        Fate(ends={"exitCode": 137, "reason": "OOMKilled"}), Fate(waiting={"reason": "ErrImagePull", "message": 'Failed to pull image "x": not found'}),
        Fate(drains="2s"),
    ]
).map(Fate.variable)  # fmt: skip
_VARIABLES: Final = SPEC["properties"]["engine"]["properties"]["env"]
#: Values that the schema takes, chosen for what they may do further on.
_WILD: Final[Own] = {
    **_NUMBERS,
    ("engine", "env"): st.one_of(
        values(_VARIABLES, {}), _FATES.map(lambda fate: [fate]), st.sampled_from(_WORKS).map(lambda name: [{"name": name, "value": "1"}])
    ),
    ("engine", "extraArgs"): st.lists(
        st.one_of(TEXT.filter(bool), st.sampled_from(["--seed", "--seed=1", "--max-model-len", "--api-key=x", "--no-enable-log-requests", "--enforce-eager", "-", "--"])), max_size=3
    ),
    ("placement", "nodeSelector", "{key}"): st.one_of(_KEYS, _KEYS, TEXT, st.just("a" * 400)),
    ("placement", "affinity", "nodeAffinity"): st.one_of(
        values(SPEC["properties"]["placement"]["properties"]["affinity"]["properties"]["nodeAffinity"], {}),
        st.fixed_dictionaries({"requiredDuringSchedulingIgnoredDuringExecution": st.sampled_from(
            [None, [], "x", 0, {}, {"nodeSelectorTerms": None}, {"nodeSelectorTerms": ["x"]}, {"nodeSelectorTerms": []}, {"nodeSelectorTerms": [{"matchExpressions": None}]}, {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}]
        )}),
    ),
}  # fmt: skip


@functools.cache
def sound() -> st.SearchStrategy[Spec]:
    """Specs that are accepted and get Ready."""
    return values(SPEC, _SOUND).map(mended)


@functools.cache
def wild() -> st.SearchStrategy[Spec]:
    """Specs that the schema takes, its rules included."""
    return values(SPEC, _WILD).map(mended)


@functools.cache
def untamed() -> st.SearchStrategy[Spec]:
    """Specs that break no bound, but perhaps a rule."""
    return values(SPEC, _WILD)


def of_size(spec: Spec, replicas: int) -> Spec:
    """The spec with so many pods, whatever it says itself."""
    kept = {name: value for name, value in spec.items() if name not in {"autoscaling", "suspend", "replicas"}}
    return {**kept, "replicas": replicas}


def replicas(spec: Mapping[str, Any]) -> int:
    """Pods that a spec asks for, its autoscaler's bounds included."""
    if spec.get("suspend"):
        return 0
    asked = int(spec.get("replicas", 1))
    rules = part(dict(spec), "autoscaling")
    if not rules or asked == 0:
        return asked
    return max(int(rules.get("minReplicas", 1)), min(asked, int(rules["maxReplicas"])))


#: Read by the simulated kubelet: part of the spec like any other variable.
FATE: Final = VARIABLE
