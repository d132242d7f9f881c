"""The Secret with a generated API key."""

import base64

from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved


def build_api_key(service: Resolved, api_key: str) -> Manifest:
    """It can be edited: a second line is a second key, and the operator never writes it again."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(service, names.api_key_secret(service.name, service.uid)),
        "type": "Opaque",
        "data": {names.API_KEYS_KEY: base64.b64encode(f"{api_key}\n".encode()).decode()},
    }
