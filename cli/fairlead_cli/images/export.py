"""Reads images out of buildah's storage as they were committed: layers uncompressed, one by one, each only if wanted.

`buildah push` writes every layer of an image again, compressed: minutes for an engine, and as many when only a file on
top of it changed. The storage keeps what is needed to make a layer's exact tar: its files, and the tar's other bytes in
tar-split's format (https://github.com/vbatts/tar-split). The digest proves that nothing was lost on the way.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from fairlead_cli.local.errors import BuildFailed

#: Kinds of entry in tar-split's format.
FILE, SEGMENT = 1, 2
COPY_BYTES = 4 * 1024 * 1024


class Exporter:
    """One storage folder, of either driver."""

    def __init__(self, storage: Path, driver: str) -> None:
        self.storage = storage
        self.driver = driver

    def manifest(self, name: str) -> bytes:
        """The manifest of an image. Raises BuildFailed when it is not there."""
        return (self._image(name) / "manifest").read_bytes()

    def config(self, name: str, digest: str) -> bytes:
        """The configuration that the manifest names."""
        return (self._image(name) / f"={base64.b64encode(digest.encode()).decode()}").read_bytes()

    def write_layer(self, digest: str, target: Path) -> None:
        """The layer's tar; `target` appears only when it is whole. Raises BuildFailed when the digest does not fit."""
        layer = next((x for x in self._read("layers/layers.json") if x.get("diff-digest") == digest), None)
        if layer is None:
            raise BuildFailed(
                f"the image storage {self.storage} has no layer {digest}; delete the folder and build again"
            )
        part = target.with_suffix(".part")
        whole = hashlib.sha256()
        with part.open("wb") as out:
            self._assemble(layer["id"], out, whole.update)
        if f"sha256:{whole.hexdigest()}" != digest:
            part.unlink()
            raise BuildFailed(f"layer {digest} in {self.storage} was changed; delete the folder and build again")
        part.replace(target)

    def _assemble(self, layer: str, out: IO[bytes], seen: Callable[[bytes], None]) -> None:
        files = self.storage / ("vfs/dir" if self.driver == "vfs" else "overlay") / layer
        if self.driver != "vfs":
            files /= "diff"
        with gzip.open(self.storage / f"{self.driver}-layers" / f"{layer}.tar-split.gz") as entries:
            for line in entries:
                entry = json.loads(line)
                if entry["type"] == SEGMENT:
                    content = base64.b64decode(entry["payload"] or "")
                    seen(content)
                    out.write(content)
                elif entry["type"] == FILE and entry.get("size"):
                    with (files / _name(entry)).open("rb") as file:
                        while content := file.read(COPY_BYTES):
                            seen(content)
                            out.write(content)

    def _image(self, name: str) -> Path:
        for image in self._read("images/images.json"):
            if name in image.get("names", ()):
                return self.storage / f"{self.driver}-images" / str(image["id"])
        raise BuildFailed(f"the image storage {self.storage} has no image {name}")

    def _read(self, name: str) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = json.loads((self.storage / f"{self.driver}-{name}").read_bytes())
        return content


def _name(entry: dict[str, Any]) -> str:
    """A member's path; names that are not UTF-8 are kept as bytes under another key."""
    raw = entry.get("name_raw")
    return base64.b64decode(raw).decode(errors="surrogateescape") if raw else str(entry["name"])
