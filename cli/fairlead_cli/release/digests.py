"""dist/digests.json: what belongs to a release, each with its SHA-256."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fairlead_cli.images.layout import Image
from fairlead_cli.release.source import Source

NAME = "digests.json"
Kind = Literal["wheel", "chart", "image", "sbom"]


@dataclass(frozen=True)
class Part:
    """One thing that is released."""

    name: str
    kind: Kind
    sha256: str
    """Hexadecimal; of the file, for an image of its manifest: what follows @sha256: in its reference."""

    @classmethod
    def file(cls, path: Path, kind: Kind) -> "Part":
        """A file of dist/."""
        return cls(path.name, kind, hashlib.sha256(path.read_bytes()).hexdigest())

    @classmethod
    def image(cls, image: Image) -> "Part":
        """An image of dist/images."""
        return cls(image.ref, "image", image.digest.removeprefix("sha256:"))


def write(out: Path, source: Source, parts: Iterable[Part]) -> Path:
    """The list of all parts, in a fixed order."""
    listed = [vars(part) for part in sorted(parts, key=lambda part: (part.kind, part.name))]
    file = out / NAME
    content = {"version": source.version, "commit": source.commit, "parts": listed}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return file
