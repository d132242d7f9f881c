"""The RuntimeConfig as an immutable ConfigMap, one for each content."""

from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved


def config_map_name(service: Resolved) -> str:
    """NAME-HASH of the content."""
    return names.config_name(service.name, service.config.canonical_json())


def build_config_map(service: Resolved) -> Manifest:
    """What the runtime reads at start. Never changed: another content is another ConfigMap, and another pod template."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(service, config_map_name(service)),
        "immutable": True,
        "data": {names.CONFIG_KEY: service.config.canonical_json()},
    }
