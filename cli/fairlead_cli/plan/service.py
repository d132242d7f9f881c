"""The InferenceService in a file, judged as the operator would judge it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fairlead_cli.local.errors import LocalError
from fairlead_operator.api.v1alpha1 import API_VERSION, KIND
from fairlead_operator.core import engines
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Defaults, Resolved, resolve

#: The images of the operator's release, so that arguments are judged by the parsers of their engines.
_DEFAULTS = Defaults("runtime", "runtime-cpu", engine_version=engines.ACCELERATOR, engine_version_cpu=engines.CPU)


class PlanError(LocalError):
    """The plan cannot be made; the message says what to change. Nothing is said of whether the model fits."""

    exit_code = 3


def read(path: Path) -> Resolved:
    """The one InferenceService in the file. Raises PlanError."""
    try:
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    # A scalar that is not what its tag says, such as `!!int ;` or the 45th of a month, ends PyYAML in any of these.
    except (OSError, yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from error
    found = [one for one in documents if isinstance(one, Mapping) and one.get("kind") == KIND]
    if len(found) != 1:
        raise PlanError(
            f"{path} has {len(found)} objects of kind {KIND}; a plan is for one: write it into a file of its own"
        )
    if found[0].get("apiVersion") != API_VERSION:
        raise PlanError(f"{path}: apiVersion is {found[0].get('apiVersion')!r}; write {API_VERSION}")
    annotations = _stored(found[0])["metadata"].get("annotations")
    if annotations is not None and not isinstance(annotations, Mapping):
        raise PlanError(f"{path}: metadata.annotations is no map; correct it")
    outcome = resolve(_stored(found[0]), _DEFAULTS)
    if isinstance(outcome, Rejection):
        raise PlanError(f"{outcome.reason}: {outcome.message}")
    return outcome


def _stored(document: Mapping[str, Any]) -> dict[str, Any]:
    """As the API server would return it."""
    metadata = document.get("metadata")
    named = dict(metadata) if isinstance(metadata, Mapping) else {}
    return {**document, "metadata": {"namespace": "default", "uid": "-", **named}}
