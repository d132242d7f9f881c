"""Which commit of a hub repository this pod serves, settled before anything is fetched.

A branch or a tag moves. The first runtime that starts resolves it and reports it; the operator pins that commit for every
pod that comes later, so that all replicas of one spec serve the same weights.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead_runtime import locations
from fairlead_runtime.config import COMMIT, RuntimeConfig

log = logging.getLogger(__name__)

#: What the hub takes when no revision is named.
DEFAULT: Final = "main"
#: Seconds for the one question to the hub.
TIMEOUT: Final = 10.0


def settled(config: RuntimeConfig, environ: Mapping[str, str]) -> RuntimeConfig:
    """The configuration with a commit instead of a branch or tag: the pinned one, else the one of this moment.

    Unchanged where the hub does not say: the engine asks it again, and what it then complains of is diagnosed.
    """
    if not config.model.moves:
        return config
    commit = _pinned(environ) or _ask(config)
    return (
        config.model_copy(update={"model": config.model.model_copy(update={"revision": commit})}) if commit else config
    )


def _pinned(environ: Mapping[str, str]) -> str | None:
    try:
        text = Path(locations.pinned_path(environ)).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return text if COMMIT.match(text) else None


def _ask(config: RuntimeConfig) -> str | None:
    # With the environment as the engine will see it: the endpoint, the token and being offline are read at import.
    from huggingface_hub import HfApi  # noqa: PLC0415

    try:
        commit = HfApi().model_info(config.model.repository or "", revision=config.model.revision, timeout=TIMEOUT).sha
    except Exception as refusal:  # noqa: BLE001 - whatever it is, the engine will meet it again and is diagnosed
        log.warning("which commit %s is could not be told: %s", config.model.revision or DEFAULT, refusal)
        return None
    return commit if commit and COMMIT.match(commit) else None
