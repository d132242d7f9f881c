"""Digests of what the user wrote: whether new pods are due, and whether what has failed is worth another try."""

from collections.abc import Mapping
from typing import Any, Final

from fairlead_operator.api.v1alpha1 import Spec
from fairlead_operator.core import names

#: Fields of the spec that shape no pod. Whatever is not named here does: a field too many makes new pods, one too few keeps old ones.
SHAPES_NO_POD: Final = frozenset({"replicas", "autoscaling", "suspend", "disruption", "rollout"})


def fingerprint(spec: Spec, annotations: Mapping[str, str]) -> str:
    """Differs when new pods are due: the user changed what shapes them, overrides the plan, or asked for a release's new defaults.

    Fields that have their default count as left out: a later CRD may have more of them, and the API server fills those in.
    """
    shape = _written(spec, SHAPES_NO_POD)
    # Only where it is set: services that never heard of it keep their digests.
    skip = {"skipPlan": True} if names.skips_plan(annotations) else {}
    return names.digest({"spec": shape, "adoptDefaults": annotations.get(names.ADOPT_DEFAULTS, ""), **skip})


def revision_name(service: str, spec: Spec, annotations: Mapping[str, str]) -> str:
    """NAME-HASH."""
    return f"{service}-{fingerprint(spec, annotations)}"


def attempt(spec: Spec, annotations: Mapping[str, str]) -> str:
    """Differs when what has failed is worth another try: after any change by the user, but not because a scaler scaled."""
    asked = {name: annotations.get(name, "") for name in (names.ADOPT_DEFAULTS, names.RETRY)}
    return names.digest({"spec": _written(spec, frozenset({"replicas"})), "annotations": asked})


def _written(spec: Spec, without: frozenset[str]) -> Mapping[str, Any]:
    """What the user wrote and does not equal a default."""
    dumped: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=set(without))
    return dumped
