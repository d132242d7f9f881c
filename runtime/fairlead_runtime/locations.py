"""Where things are in the pod, and how to move them outside one.

The operator mounts and the runtime reads: one place for both. Standard library only, because the supervisor reads it too.
The FAIRLEAD_* variables are for running the runtime without a pod (tests, a developer's machine); the operator sets none of them.
"""

from collections.abc import Mapping

#: Where the pod finds its RuntimeConfig; the operator mounts it there. FAIRLEAD_CONFIG moves it.
CONFIG_PATH = "/etc/fairlead/config/config.json"
#: A Secret's key is mounted here as one file; each line of it is one accepted API key. Watched for changes. FAIRLEAD_API_KEYS moves it.
API_KEYS_PATH = "/etc/fairlead/api-keys/keys"
#: The Hugging Face token, mounted as a file for hf:// models that need one. FAIRLEAD_HUB_TOKEN moves it.
HUB_TOKEN_PATH = "/etc/fairlead/hub-token/token"  # noqa: S105 - a path, not a secret
#: The commit that a moving revision of an hf:// model is pinned to, once a pod has resolved it. FAIRLEAD_PINNED moves it.
PINNED_PATH = "/etc/fairlead/pinned/commit"
#: oci:// and pvc:// models are mounted here, always the same: the compile cache's key holds the model's path.
MODEL_PATH = "/models/model"
#: Weights from the hub and compiled graphs: an emptyDir, or `model.cache.claimName`.
CACHE_PATH = "/var/cache/fairlead"
#: The OpenAI routes and /generate. FAIRLEAD_SERVING_PORT moves it.
SERVING_PORT = 8000
#: Probes, /state and /metrics: the supervisor's, never the engine's. FAIRLEAD_MANAGEMENT_PORT moves it.
MANAGEMENT_PORT = 9090
#: Read by the kubelet when the container ends: status.containerStatuses[].state.terminated.message. FAIRLEAD_TERMINATION_PATH moves it.
TERMINATION_PATH = "/dev/termination-log"


def config_path(environ: Mapping[str, str]) -> str:
    return environ.get("FAIRLEAD_CONFIG") or CONFIG_PATH


def api_keys_path(environ: Mapping[str, str]) -> str:
    return environ.get("FAIRLEAD_API_KEYS") or API_KEYS_PATH


def hub_token_path(environ: Mapping[str, str]) -> str:
    return environ.get("FAIRLEAD_HUB_TOKEN") or HUB_TOKEN_PATH


def pinned_path(environ: Mapping[str, str]) -> str:
    return environ.get("FAIRLEAD_PINNED") or PINNED_PATH


def termination_path(environ: Mapping[str, str]) -> str:
    return environ.get("FAIRLEAD_TERMINATION_PATH") or TERMINATION_PATH


def serving_port(environ: Mapping[str, str]) -> int:
    return _port(environ, "FAIRLEAD_SERVING_PORT", SERVING_PORT)


def management_port(environ: Mapping[str, str]) -> int:
    return _port(environ, "FAIRLEAD_MANAGEMENT_PORT", MANAGEMENT_PORT)


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise ValueError(f"{name} must be a port number from 0 (any free one) to 65535, not {text!r}")
    return int(text)
