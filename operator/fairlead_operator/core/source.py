"""Where the weights come from, taken apart."""

import re
from enum import StrEnum
from typing import NamedTuple

from fairlead_operator.api.engine import CLAIM, HUB, IMAGE, URI_PATTERN
from fairlead_operator.core.rejection import Rejection


class SourceKind(StrEnum):
    """The scheme of `spec.model.uri`."""

    HUB = "hf"
    CLAIM = "pvc"
    IMAGE = "oci"


class Source(NamedTuple):
    """`reference` is ORG/NAME, the claim's name or the image; `path` is the folder within a claim, "" for its root."""

    kind: SourceKind
    reference: str
    path: str = ""


def parse_source(uri: str) -> Source | Rejection:
    """The parts of `uri`; a Rejection names the forms that exist."""
    if not re.fullmatch(URI_PATTERN, uri) or ".." in uri:
        return Rejection(
            "InvalidSpec",
            f"{uri!r} is not a model uri; write hf://ORG/NAME, pvc://CLAIM/PATH or oci://IMAGE in spec.model.uri",
            "spec.model.uri",
        )
    if uri.startswith(HUB):
        return Source(SourceKind.HUB, uri.removeprefix(HUB))
    if uri.startswith(IMAGE):
        return Source(SourceKind.IMAGE, uri.removeprefix(IMAGE))
    claim, _, path = uri.removeprefix(CLAIM).partition("/")
    return Source(SourceKind.CLAIM, claim, path.strip("/"))
