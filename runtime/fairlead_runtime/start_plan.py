"""The plan that the engine's front end makes when it knows the model and before anything is loaded.

It reads config.json as the engine will, of a second model that guesses tokens too, and the headers of weights that lie in a folder.
A model that cannot be read leaves the plan out: the engine finds the same and says it better. The accelerator is asked through the engine's platform, which needs no context on it.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairlead_runtime import memory, planned
from fairlead_runtime.config import Device, RuntimeConfig

#: (name of a file, model, revision) -> its JSON, None where it cannot be had.
Fetch = Callable[[str, str, str | None], Any]
#: -> (bytes of memory, name); None and "" where it does not say.
Accelerator = Callable[[], tuple[int | None, str]]


def plan(
    config: RuntimeConfig, fetch: Fetch, accelerator: Accelerator, environ: Mapping[str, str]
) -> memory.Plan | None:
    """None where the model cannot be read. fetch: for models that are no folder."""
    folder = Path(config.model.path) if config.model.path else None
    try:
        found = _read(folder, config.model.repository or "", config.model.revision, fetch)
        if found is None:
            return None
        gpu, name = accelerator() if config.device is Device.ACCELERATOR else (None, "")
        return memory.plan(*found, planned.settings(config, environ, name), gpu, _draft(config, fetch))
    except (OSError, ValueError) as error:
        print(f"no plan of the memory: {error}", file=sys.stderr)
        return None


def _draft(config: RuntimeConfig, fetch: Fetch) -> memory.Draft | None:
    """None where there is none whose memory can be computed. The plan says of every such method that it is not computed in full."""
    name = planned.drafting(config)
    if not name:
        return None
    folder = Path(name)
    try:
        found = _read(folder if folder.is_dir() else None, name, None, fetch)
    except (OSError, ValueError) as error:
        print(f"no plan of the memory of {name}: {error}", file=sys.stderr)
        return None
    return planned.draft(config, *found) if found else None


def _read(
    folder: Path | None, repository: str, revision: str | None, fetch: Fetch
) -> tuple[memory.ModelConfig, memory.Weights | None] | None:
    """None where the hub does not show it. Raises OSError, ValueError."""
    document = _local(folder) if folder else fetch("config.json", repository, revision)
    if document is None:
        return None
    model = memory.read_config(document)
    return model, _weights(folder, model)


def _weights(folder: Path | None, model: memory.ModelConfig) -> memory.Weights | None:
    """None where they are of a format that config.json does not tell of."""
    if folder is None:
        return memory.by_shape(model)
    found = memory.in_folder(folder, model)
    return found if found or any(folder.glob("*.gguf")) else memory.by_shape(model)


def _local(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def of_engine(config: RuntimeConfig) -> memory.Plan | None:
    """By what is installed here."""
    return plan(config, _from_hub, _accelerator, os.environ)


def _from_hub(name: str, repository: str, revision: str | None) -> Any:
    from vllm.transformers_utils.repo_utils import get_hf_file_to_dict  # noqa: PLC0415 - only inside the engine's image

    try:
        return get_hf_file_to_dict(name, repository, revision or "main")
    except Exception as error:  # noqa: BLE001 - the hub's client has many; the engine meets it next and says what to do
        print(f"no plan of the memory: {name} of {repository}: {error}", file=sys.stderr)
        return None


def _accelerator() -> tuple[int | None, str]:
    from vllm.platforms import current_platform  # noqa: PLC0415 - only inside the engine's image

    try:
        return int(current_platform.get_device_total_memory(0)), str(current_platform.get_device_name(0))
    except Exception as error:  # noqa: BLE001 - drivers raise what they like; the engine meets it next
        print(f"no plan of the memory: the accelerator does not say how much it has: {error}", file=sys.stderr)
        return None, ""
