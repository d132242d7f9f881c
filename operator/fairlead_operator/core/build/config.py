"""What the runtime reads at start, as immutable ConfigMaps: its configuration, and the commit that a moving revision is pinned to."""

from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import Revision
from fairlead_runtime.config import PINNED_PATH


def build_pin(service: Resolved, revision: Revision) -> Manifest | None:
    """The commit that pods of a moving model revision find from now on; None where none is known, or none is needed."""
    if not revision.commit:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(service, revision.name),
        "immutable": True,
        "data": {PINNED_PATH.rpartition("/")[2]: revision.commit},
    }


def config_map_name(service: Resolved) -> str:
    """NAME-HASH of the content."""
    return names.config_name(service.name, service.config.canonical_json())


def build_config_map(service: Resolved, content: str) -> Manifest:
    """What the runtime reads at start. Never changed: another content is another ConfigMap, and another pod template."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(service, names.config_name(service.name, content)),
        "immutable": True,
        "data": {names.CONFIG_KEY: content},
    }
