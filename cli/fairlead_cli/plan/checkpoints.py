"""Where the model's shape and the size of its weights come from: a folder, or the hub."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from fairlead_cli.plan.service import PlanError
from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.source import SourceKind
from fairlead_runtime import memory, planned

#: A user waits for it, and large models have many headers.
MOST_BYTES, MOST_SECONDS = 256 * 2**20, 120.0


def find(service: Resolved, folder: Path | None, environ: Mapping[str, str] = os.environ) -> Checkpoint:
    """folder: wins over the model's uri. Raises PlanError."""
    if folder is not None:
        return in_folder(folder)
    if service.source.kind is not SourceKind.HUB:
        raise PlanError(
            f"{service.spec.model.uri} cannot be read from here: name the model's folder with --model-folder"
        )
    return _of_hub(service.source.reference, service.spec.model.revision or "", "spec.model", environ)


def draft(service: Resolved, folder: Path | None, environ: Mapping[str, str] = os.environ) -> memory.Draft | None:
    """The second model that guesses tokens; None where none can be counted, and with a folder, which answers alone. Raises PlanError."""
    name = planned.drafting(service.config)
    if not name or folder is not None:
        return None
    found = _of_hub(name, "", "spec.engine.speculative.model", environ)
    return planned.draft(service.config, found.model, found.weights)


def _of_hub(repository: str, revision: str, field: str, environ: Mapping[str, str]) -> Checkpoint:
    """field: of the InferenceService, which names the repository. Raises PlanError."""
    # The client of the hub takes a tenth of a second to import, which a folder need not wait for.
    from fairlead_operator.controller.hub import PUBLIC, Hub, UnreadableError  # noqa: PLC0415

    hub = Hub(
        endpoint=environ.get("HF_ENDPOINT") or PUBLIC,
        token=environ.get("HF_TOKEN", ""),
        most_bytes=MOST_BYTES,
        most_seconds=MOST_SECONDS,
    )
    try:
        return hub.read(repository, revision)
    except UnreadableError as error:
        raise PlanError(
            f"hf://{repository} cannot be read: {error}; correct {field}, set HF_ENDPOINT or HF_TOKEN, or name a folder with --model-folder"
        ) from error


def in_folder(folder: Path) -> Checkpoint:
    """Only config.json and headers are read. Raises PlanError."""
    try:
        model = memory.read_config(json.loads((folder / "config.json").read_bytes()))
        return Checkpoint(model, memory.in_folder(folder, model) or memory.by_shape(model))
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(
            f"{folder} is no model's folder that can be read: {error}; it needs config.json and *.safetensors"
        ) from error
