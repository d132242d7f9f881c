"""The rules between fields: how a spec is mended that breaks one, and how one is broken on purpose.

The schema says them in CEL, by whose messages they are told here; a rule without a row fails a test.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from api import shapes

Spec = dict[str, Any]
DRAFTING: Final = ("draft_model", "eagle", "eagle3", "medusa", "mlp_speculator", "dflash", "dspark")
FP8: Final = ("LatencyFP8", "ThroughputFP8")
DEFAULT_TIMEOUT: Final = 300


@dataclass(frozen=True)
class Rule:
    """`mend` changes a copy in place so that the rule holds; `broken` is laid over a spec so that it does not."""

    message: str
    field: str
    mend: Callable[[Spec], None]
    broken: Spec


def part(spec: Spec, *path: str) -> Spec:
    """The object at the path, an empty one where there is none."""
    for name in path:
        spec = spec.get(name) or {}
    return spec


def _without(*path: str, when: Callable[[Spec], bool]) -> Callable[[Spec], None]:
    def mend(spec: Spec) -> None:
        if when(spec):
            part(spec, *path[:-1]).pop(path[-1], None)

    return mend


def _on_cpu(spec: Spec) -> bool:
    return part(spec, "resources").get("device") == "CPU"


def _not_from_hub(spec: Spec) -> bool:
    return not str(spec["model"]["uri"]).startswith("hf://")


def _with_draft(spec: Spec) -> None:
    speculative = part(spec, "engine", "speculative")
    if speculative.get("method") in DRAFTING:
        speculative.setdefault("model", "hf://a/b")


def _one_source(spec: Spec) -> None:
    for variable in part(spec, "engine").get("env") or ():
        if "valueFrom" in variable:
            variable.pop("value", None)
        else:
            variable.setdefault("value", "")


def _at_most(spec: Spec) -> None:
    rules = part(spec, "autoscaling")
    if rules:
        rules["maxReplicas"] = max(rules["maxReplicas"], rules.get("minReplicas", 1))


def _drain(spec: Spec) -> None:
    serving = part(spec, "serving")
    if "drainSeconds" in serving:
        serving["requestTimeoutSeconds"] = min(
            serving["drainSeconds"], serving.get("requestTimeoutSeconds", DEFAULT_TIMEOUT)
        )


_HUB: Final = {"model": {"uri": "oci://registry.example/model:1"}}
_CPU: Final = {"resources": {"device": "CPU"}}
RULES: Final = (
    Rule("revision applies to hf:// models only", "spec.model.revision",
         _without("model", "revision", when=_not_from_hub), {"model": {**_HUB["model"], "revision": "main"}}),
    Rule("tokenSecretRef applies to hf:// models only", "spec.model.tokenSecretRef",
         _without("model", "tokenSecretRef", when=_not_from_hub), {"model": {**_HUB["model"], "tokenSecretRef": {"name": "a", "key": "b"}}}),
    Rule("this method drafts with a second model", "spec.engine.speculative.model",
         _with_draft, {"engine": {"speculative": {"method": "eagle3", "tokens": 1, "model": None}}}),
    Rule("set exactly one of value and valueFrom", "spec.engine.env[0]", _one_source, {"engine": {"env": [{"name": "A"}]}}),
    Rule("kvCacheMemory and gpuMemoryUtilizationPercent exclude each other", "spec.engine.kvCacheMemory",
         _without("engine", "kvCacheMemory", when=lambda spec: "gpuMemoryUtilizationPercent" in part(spec, "engine")),
         {"engine": {"kvCacheMemory": "1Gi", "gpuMemoryUtilizationPercent": 50}, "resources": {"device": "Accelerator"}}),
    Rule("autoscaling.maxReplicas must be at least", "spec.autoscaling.maxReplicas", _at_most, {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}),
    Rule("drainSeconds must be at least requestTimeoutSeconds", "spec.serving.drainSeconds",
         _drain, {"serving": {"drainSeconds": 5, "requestTimeoutSeconds": 6}}),
    Rule("apiKey and apiKeySecretRef exclude each other", "spec.serving.apiKey",
         _without("serving", "apiKey", when=lambda spec: "apiKeySecretRef" in part(spec, "serving")),
         {"serving": {"apiKey": "Generate", "apiKeySecretRef": {"name": "a", "key": "b"}}}),
    Rule("device CPU takes no accelerator: remove acceleratorName", "spec.resources.acceleratorName",
         _without("resources", "acceleratorName", when=_on_cpu), {"resources": {"device": "CPU", "acceleratorName": "amd.com/gpu"}}),
    Rule("device CPU has no accelerator memory to share", "spec.engine.gpuMemoryUtilizationPercent",
         _without("engine", "gpuMemoryUtilizationPercent", when=_on_cpu), {**_CPU, "engine": {"gpuMemoryUtilizationPercent": 50, "kvCacheMemory": None}}),
    Rule("device CPU has no kernels for fp8 weights", "spec.engine.profile",
         _without("engine", "profile", when=lambda spec: _on_cpu(spec) and part(spec, "engine").get("profile") in FP8),
         {**_CPU, "engine": {"profile": "LatencyFP8"}}),
    Rule("device CPU takes no accelerator: remove placement.minAcceleratorMemory", "spec.placement.minAcceleratorMemory",
         _without("placement", "minAcceleratorMemory", when=_on_cpu), {**_CPU, "placement": {"minAcceleratorMemory": "1Gi"}}),
    Rule("surgeWaitSeconds applies to strategy Auto only", "spec.rollout.surgeWaitSeconds",
         _without("rollout", "surgeWaitSeconds", when=lambda spec: part(spec, "rollout").get("strategy", "Auto") != "Auto"),
         {"rollout": {"strategy": "Surge", "surgeWaitSeconds": 5}}),
)  # fmt: skip
#: Rules on one field alone: what the schema's strategies give holds them, and `breaks` breaks them.
ALONE: Final = (
    "uri must be hf://",
    "uri must not contain '..'",
    "maxModelLen must be a number",
    "must be a quantity of more than 0",
)


def mended(spec: Spec) -> Spec:
    """A copy that holds every rule."""
    whole = copy.deepcopy(spec)
    for rule in RULES:
        rule.mend(whole)
    return whole


def laid_over(spec: Any, patch: Any) -> Any:
    """A copy with the patch merged in, as a JSON merge patch: None takes a field away."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(spec) if isinstance(spec, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = laid_over(merged.get(name), value)
    return merged


def messages(spec: shapes.Schema) -> set[str]:
    """Of every rule in the schema."""
    return {rule["message"] for _, node in shapes.nodes(spec) for rule in node.get("x-kubernetes-validations", ())}
