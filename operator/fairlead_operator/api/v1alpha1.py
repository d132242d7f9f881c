"""InferenceService, group fairlead.dev, version v1alpha1: what a user writes.

Docstrings of attributes become `kubectl explain`; bounds and CEL rules become the CRD's. A field is here only together with
the code that gives it effect. What only the operator can judge (engine arguments, environment) is judged in core/resolve.py.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field

from fairlead_operator.api.autoscaling import Autoscaling
from fairlead_operator.api.engine import Engine, ModelSource
from fairlead_operator.api.fields import Model, rule, rules
from fairlead_operator.api.pod import (
    Disruption,
    ImagePullSecret,
    Parallelism,
    Placement,
    Resources,
    Serving,
)
from fairlead_operator.api.rollout import Rollout
from fairlead_runtime import profiles

GROUP: Final = "fairlead.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "InferenceService"
PLURAL: Final = "inferenceservices"
SINGULAR: Final = "inferenceservice"
SHORT_NAME: Final = "infs"


class Spec(Model):
    """The model to serve, and how."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.engine) || !has(self.engine.gpuMemoryUtilizationPercent)"
                " || !has(self.resources) || self.resources.device != 'CPU'",
                "device CPU has no accelerator memory to share: set engine.kvCacheMemory instead",
                ".engine.gpuMemoryUtilizationPercent",
            ),
            rule(
                f"!has(self.engine) || !has(self.engine.profile) || !(self.engine.profile in {[str(name) for name in profiles.FP8]})"
                " || !has(self.resources) || self.resources.device != 'CPU'",
                "device CPU has no kernels for fp8 weights: choose engine.profile Balanced, Latency or Throughput",
                ".engine.profile",
            ),
            rule(
                "!has(self.placement) || !has(self.placement.minAcceleratorMemory)"
                " || !has(self.resources) || self.resources.device != 'CPU'",
                "device CPU takes no accelerator: remove placement.minAcceleratorMemory",
                ".placement.minAcceleratorMemory",
            ),
        )
    )

    model: ModelSource
    """The weights and the name they are served under."""
    engine: Engine = Engine()
    """Settings of vLLM. Every field is optional; unset means what the profile sets, or else the engine's own default."""
    parallelism: Parallelism = Parallelism()
    """How one replica is spread over accelerators of one node."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods that serve the model. 0 frees all accelerators; `kubectl scale` sets this."""
    autoscaling: Autoscaling | None = None
    """Has the operator set `replicas`. Unset leaves it to you, or to an autoscaler of your own; leave `replicas` out of what you apply while something else sets it."""
    suspend: bool = False
    """Takes all pods away and keeps `replicas` for later."""
    serving: Serving = Serving()
    """What the serving port promises to its clients."""
    resources: Resources = Resources()
    """What each pod asks of its node."""
    placement: Placement = Placement()
    """On which nodes the pods may run."""
    image_pull_secrets: Annotated[
        tuple[ImagePullSecret, ...],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Secrets with registry credentials, for the engine's image and for oci:// models."""
    disruption: Disruption = Disruption.ALLOW
    """Whether a single replica may be evicted, for example to empty a node. Block keeps the node from being drained. More than one replica are always evicted one at a time."""
    rollout: Rollout = Rollout()
    """How new pods take the place of old ones when the spec changes."""
    image: Annotated[str, Field(max_length=512, pattern=r"^([A-Za-z0-9][-A-Za-z0-9_.:/@]*)?$")] = ""
    """Runtime image. Defaults to the one of the operator's release."""


class Metadata(Model):
    """The part of the object's metadata that decisions rest on."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$")]
    namespace: str
    uid: str
    generation: int = 0
    deletion_timestamp: datetime | None = None


class InferenceService(Model):
    """A language model served by vLLM through an OpenAI-compatible API. The status says whether it serves, and if not, why and what to change."""

    model_config = ConfigDict(extra="ignore")

    api_version: Literal["fairlead.dev/v1alpha1"] = "fairlead.dev/v1alpha1"
    kind: Literal["InferenceService"] = "InferenceService"
    metadata: Metadata
    spec: Spec

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """The object as the API server returned it. Raises pydantic.ValidationError, whose `loc` names the field."""
        return cls.model_validate(raw)
