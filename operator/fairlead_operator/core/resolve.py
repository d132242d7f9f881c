"""From what the user wrote to what will be built, or to the sentence that says why it cannot be.

Total: every raw object ends in Resolved or Rejection. A Rejection touches no running pod.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fairlead_operator.api.fields import amount
from fairlead_operator.api.pod import DEFAULT_ACCELERATOR, SecretKeyRef
from fairlead_operator.api.v1alpha1 import InferenceService, Spec
from fairlead_operator.core import arguments, environment, names
from fairlead_operator.core.fingerprint import revision_name
from fairlead_operator.core.images import judge_images
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.source import Source, SourceKind, parse_source
from fairlead_runtime import profiles
from fairlead_runtime.config import (
    MODEL_PATH,
    Device,
    Engine,
    Model,
    Parallelism,
    RateLimit,
    RuntimeConfig,
    Serving,
    Speculative,
)

__all__ = ["Defaults", "Rejection", "Resolved", "resolve"]

#: Policy, not API: documented at `spec.resources`. An engine takes a front end and one worker per accelerator.
CPUS_BASE, CPUS_PER_ACCELERATOR = 2, 2
GIB_BASE, GIB_PER_ACCELERATOR = 8, 8
#: The CPU engine holds 2.7 GB (measured, with the 512Mi of KV cache that the runtime takes by default, and a tiny model); a small
#: model's weights fit beside it.
CPU_DEVICE_CPU, CPU_DEVICE_MEMORY = "500m", "6Gi"


@dataclass(frozen=True)
class NetworkAccess:
    """From where the pods may be reached, labels as pairs."""

    #: The namespace of the operator, which asks the management port.
    operator: str
    #: Labels of the namespaces that may ask it too; none: no other may.
    monitoring: tuple[tuple[str, str], ...] = ()
    #: Labels of the namespaces, beside the service's own, that may use the serving port; none: everybody may.
    clients: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Defaults:
    """What the operator's settings decide for every service."""

    runtime_image: str
    runtime_image_cpu: str
    #: Another hub than the public one, as HF_ENDPOINT; "" means the public one.
    hub_endpoint: str = ""
    #: Registries and repositories that services may name; none allows all.
    allowed_images: tuple[str, ...] = ()
    #: vLLM's version in each of the two images; "" where it is not known.
    engine_version: str = ""
    engine_version_cpu: str = ""
    #: None makes no NetworkPolicy.
    network: NetworkAccess | None = None


@dataclass(frozen=True)
class Resolved:
    """A service with every default filled in: builders decide nothing."""

    name: str
    namespace: str
    uid: str
    spec: Spec
    source: Source
    config: RuntimeConfig
    image: str
    #: Pods wanted: 0 when suspended.
    replicas: int
    #: Resource name, or "" on CPUs.
    accelerator: str
    #: Accelerators per replica, 0 on CPUs.
    accelerators: int
    cpu: str
    memory: str
    hub_endpoint: str
    drain_seconds: int
    #: The key of a Secret that holds the API keys, one's own or the generated one; None leaves the port open.
    api_keys: SecretKeyRef | None
    network: NetworkAccess | None
    #: NAME-HASH of what shapes the pods: the name of its revision, and of what is pinned for it.
    revision_name: str

    @property
    def moves(self) -> bool:
        """Whether the model's revision is a branch or a tag, and may be another commit tomorrow."""
        return self.config.model.moves

    @property
    def needs_hub(self) -> bool:
        """Whether anything is fetched from the hub: the model, or the drafting model."""
        return self.source.kind is SourceKind.HUB or bool(
            self.config.engine.speculative and self.config.engine.speculative.model
        )


def resolve(raw: Mapping[str, Any], defaults: Defaults, kept: Collection[str] = ()) -> Resolved | Rejection:
    """What `raw`, an InferenceService as the API server returned it, asks for.

    `kept` are names of its revisions. What was rendered for this very spec once is applied as it was then: its pods run that
    release's engine, which took it, and the engine of this release is not asked.
    """
    try:
        service = InferenceService.parse(raw)
    except ValidationError as invalid:
        return _invalid(invalid)
    spec = service.spec
    source = parse_source(spec.model.uri)
    if isinstance(source, Rejection):
        return source
    annotations = raw["metadata"].get("annotations") or {}
    name = revision_name(service.metadata.name, spec, annotations)
    version = "" if name in kept else _engine_version(spec, defaults)
    rejection = (
        _contradiction(spec, source)
        or arguments.judge(spec.engine.extra_args, version)
        or environment.judge(spec.engine.env)
        or judge_images(_named_images(spec, source, defaults), defaults.allowed_images)
    )
    if rejection:
        return rejection

    on_cpu = spec.resources.device is Device.CPU
    accelerators = 0 if on_cpu else spec.parallelism.tensor * spec.parallelism.pipeline
    drain_seconds = spec.serving.drain_seconds or spec.serving.request_timeout_seconds
    default_cpu = CPU_DEVICE_CPU if on_cpu else str(CPUS_BASE + CPUS_PER_ACCELERATOR * accelerators)
    default_memory = CPU_DEVICE_MEMORY if on_cpu else f"{GIB_BASE + GIB_PER_ACCELERATOR * accelerators}Gi"
    image = spec.image or (defaults.runtime_image_cpu if on_cpu else defaults.runtime_image)
    if not image:
        setting = "FAIRLEAD_RUNTIME_IMAGE_CPU" if on_cpu else "FAIRLEAD_RUNTIME_IMAGE"
        return Rejection(
            "InvalidSpec",
            f"the operator has no runtime image for device {spec.resources.device}; set {setting} of the operator, or spec.image",
            "spec.image",
        )
    config = _runtime_config(service, source, drain_seconds, annotations)
    if rejection := arguments.judge_rendered(config, version):
        return rejection
    return Resolved(
        name=service.metadata.name,
        namespace=service.metadata.namespace,
        uid=service.metadata.uid,
        spec=spec,
        source=source,
        config=config,
        image=image,
        replicas=0 if spec.suspend else spec.replicas,
        accelerator="" if on_cpu else (spec.resources.accelerator_name or DEFAULT_ACCELERATOR),
        accelerators=accelerators,
        cpu=str(spec.resources.cpu or default_cpu),
        memory=str(spec.resources.memory or default_memory),
        hub_endpoint=defaults.hub_endpoint,
        drain_seconds=drain_seconds,
        api_keys=_api_keys(service),
        network=defaults.network,
        revision_name=name,
    )


def _api_keys(service: InferenceService) -> SecretKeyRef | None:
    if service.spec.serving.api_key is None:
        return service.spec.serving.api_key_secret_ref
    name = names.api_key_secret(service.metadata.name, service.metadata.uid)
    return SecretKeyRef(name=name, key=names.API_KEYS_KEY)


def _named_images(spec: Spec, source: Source, defaults: Defaults) -> list[tuple[str, str]]:
    """Images that the user chose, by field; the operator's own are not judged, named or not."""
    own = {"", defaults.runtime_image, defaults.runtime_image_cpu}
    named = [] if spec.image in own else [("spec.image", spec.image)]
    return named + ([("spec.model.uri", source.reference)] if source.kind is SourceKind.IMAGE else [])


def _engine_version(spec: Spec, defaults: Defaults) -> str:
    """Of vLLM in the image that the pods get; "" for a service's own image, which may hold any."""
    on_cpu = spec.resources.device is Device.CPU
    own = defaults.runtime_image_cpu if on_cpu else defaults.runtime_image
    version = defaults.engine_version_cpu if on_cpu else defaults.engine_version
    return version if spec.image in {"", own} else ""


def _invalid(error: ValidationError) -> Rejection:
    """The first complaint. Only seen when CRD and operator differ: the API server refuses such a spec before."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
    return Rejection(
        "InvalidSpec", f"{first['msg']}; correct {field}, or bring CRD and operator to the same release", field
    )


def _contradiction(spec: Spec, source: Source) -> Rejection | None:
    """The CRD's own rules once more, for objects that were stored under an older CRD."""
    engine, on_cpu = spec.engine, spec.resources.device is Device.CPU
    checks = (
        (
            source.kind is not SourceKind.HUB and spec.model.revision,
            "spec.model.revision",
            "revision applies to hf:// models only; remove it",
        ),
        (
            source.kind is not SourceKind.HUB and spec.model.token_secret_ref,
            "spec.model.tokenSecretRef",
            "tokenSecretRef applies to hf:// models only; remove it, oci:// uses spec.imagePullSecrets",
        ),
        (
            engine.kv_cache_memory is not None and engine.gpu_memory_utilization_percent is not None,
            "spec.engine.kvCacheMemory",
            "kvCacheMemory and gpuMemoryUtilizationPercent exclude each other; keep one",
        ),
        (
            on_cpu and engine.gpu_memory_utilization_percent is not None,
            "spec.engine.gpuMemoryUtilizationPercent",
            "device CPU has no accelerator memory to share; set engine.kvCacheMemory instead",
        ),
        (
            on_cpu and engine.profile in profiles.FP8,
            profiles.FIELD,
            "device CPU has no kernels for fp8 weights; choose Balanced, Latency or Throughput",
        ),
        (
            on_cpu and spec.resources.accelerator_name,
            "spec.resources.acceleratorName",
            "device CPU takes no accelerator; remove acceleratorName",
        ),
        (
            on_cpu and spec.placement.min_accelerator_memory is not None,
            "spec.placement.minAcceleratorMemory",
            "device CPU takes no accelerator; remove minAcceleratorMemory",
        ),
        (
            spec.autoscaling is not None and spec.autoscaling.max_replicas < spec.autoscaling.min_replicas,
            "spec.autoscaling.maxReplicas",
            "maxReplicas must be at least minReplicas; raise the one or lower the other",
        ),
        (
            spec.serving.drain_seconds is not None
            and spec.serving.drain_seconds < spec.serving.request_timeout_seconds,
            "spec.serving.drainSeconds",
            "a stopping pod would cut requests that are in time; set drainSeconds to requestTimeoutSeconds or more",
        ),
        (
            spec.serving.api_key is not None and spec.serving.api_key_secret_ref is not None,
            "spec.serving.apiKey",
            "apiKey and apiKeySecretRef exclude each other; keep one",
        ),
    )
    return next((Rejection("InvalidSpec", message, field) for broken, field, message in checks if broken), None)


def _runtime_config(
    service: InferenceService, source: Source, drain_seconds: int, annotations: Mapping[str, str]
) -> RuntimeConfig:
    spec, engine = service.spec, service.spec.engine
    rate = spec.serving.rate_limit
    memory = engine.kv_cache_memory
    speculative = engine.speculative
    hub = source.kind is SourceKind.HUB
    return RuntimeConfig(
        model=Model(
            served_name=spec.model.name or service.metadata.name,
            path=None if hub else MODEL_PATH,
            repository=source.reference if hub else None,
            revision=spec.model.revision,
            trust_remote_code=spec.model.trust_remote_code,
        ),
        engine=Engine(
            profile=engine.profile,
            max_model_len=engine.max_model_len,
            max_num_seqs=engine.max_num_seqs,
            max_num_batched_tokens=engine.max_num_batched_tokens,
            gpu_memory_utilization_percent=engine.gpu_memory_utilization_percent,
            # Part of a byte counts as a whole one, as Kubernetes has it.
            kv_cache_memory_bytes=None if memory is None else math.ceil(amount(memory)),
            block_size=engine.block_size,
            dtype=engine.dtype.value if engine.dtype else None,
            kv_cache_dtype=engine.kv_cache_dtype,
            quantization=engine.quantization,
            prefix_caching=engine.prefix_caching,
            chunked_prefill=engine.chunked_prefill,
            seed=engine.seed,
            speculative=Speculative(
                method=speculative.method,
                tokens=speculative.tokens,
                model=speculative.model.removeprefix("hf://") if speculative.model else None,
            )
            if speculative
            else None,
            extra_args=engine.extra_args,
        ),
        parallelism=Parallelism(tensor=spec.parallelism.tensor, pipeline=spec.parallelism.pipeline),
        device=spec.resources.device,
        serving=Serving(
            require_api_key=_api_keys(service) is not None,
            request_timeout_seconds=spec.serving.request_timeout_seconds,
            drain_seconds=drain_seconds,
            max_queued_requests=spec.serving.max_queued_requests,
            rate_limit=rate and RateLimit(requests_per_second=rate.requests_per_second, burst=rate.burst),
        ),
        start_timeout_seconds=engine.start_timeout_seconds,
        skip_plan=names.skips_plan(annotations),
    )
