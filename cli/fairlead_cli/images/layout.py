"""A folder of images as the OCI image specification lays them out, and a stream that containerd imports.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fairlead_cli.images.export import Exporter

#: The name that an entry of index.json has.
NAME = "org.opencontainers.image.ref.name"
#: The whole of the file that marks a layout.
LAYOUT = '{"imageLayoutVersion": "1.0.0"}'
#: What containerd names the image on import.
CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class Image:
    """One image: what pods write, and what it is."""

    ref: str
    digest: str
    """Of the manifest: `sha256:...`."""


class Layout:
    """Images whose layers lie there once, uncompressed, however many images share them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, ref: str) -> Image | None:
        """The image of this name, if it is there with all its blobs."""
        for entry in self._entries():
            if entry.get("annotations", {}).get(NAME) == ref:
                whole = all(self.blob(digest).is_file() for digest in (entry["digest"], *self._blobs(entry["digest"])))
                return Image(ref, entry["digest"]) if whole else None
        return None

    def images(self) -> list[Image]:
        """All images that are here."""
        return [
            Image(name, entry["digest"])
            for entry in self._entries()
            if (name := entry.get("annotations", {}).get(NAME))
        ]

    def push(self, exporter: Exporter, name: str, ref: str) -> Image:
        """Copy an image out of the storage under the name `ref`; blobs that are here already are not written again.

        Raises BuildFailed.
        """
        (self.folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        content = exporter.manifest(name)
        manifest = json.loads(content)
        for layer in manifest["layers"]:
            if not self.blob(layer["digest"]).is_file():
                exporter.write_layer(layer["digest"], self.blob(layer["digest"]))
        config = manifest["config"]["digest"]
        self.blob(config).write_bytes(exporter.config(name, config))
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blob(digest).write_bytes(content)
        entry = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(content), "annotations": {NAME: ref}}
        self._write_index([*(e for e in self._entries() if e.get("annotations", {}).get(NAME) != ref), entry])
        return Image(ref, digest)

    def adopt(self, other: "Layout", image: Image, ref: str) -> Image:
        """Take an image over from another layout under the name `ref`; on one file system its blobs take no second place."""
        (self.folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for digest in (image.digest, *other._blobs(image.digest)):  # noqa: SLF001  of the same class
            if not self.blob(digest).is_file():
                _link(other.blob(digest), self.blob(digest))
        entry = next(entry for entry in other._entries() if entry["digest"] == image.digest)  # noqa: SLF001
        self._write_index(
            [*(e for e in self._entries() if e["annotations"][NAME] != ref), {**entry, "annotations": {NAME: ref}}]
        )
        return Image(ref, image.digest)

    def sweep(self, keep: Collection[str]) -> None:
        """Forget images that are not in `keep`, and delete blobs that nothing refers to any more."""
        entries = [entry for entry in self._entries() if entry.get("annotations", {}).get(NAME) in keep]
        used = {digest for entry in entries for digest in (entry["digest"], *self._blobs(entry["digest"]))}
        self._write_index(entries)
        for blob in (self.folder / "blobs" / "sha256").iterdir():
            if f"sha256:{blob.name}" not in used:
                blob.unlink()

    def write_archive(self, image: Image, without: Collection[str], out: IO[bytes]) -> None:
        """An OCI archive as a stream; blobs in `without` are left out, because the reader has them."""
        entry = next(entry for entry in self._entries() if entry["digest"] == image.digest)
        descriptor = {key: entry[key] for key in ("mediaType", "digest", "size")}
        annotations = {CONTAINERD_NAME: image.ref, NAME: image.ref.rpartition(":")[2]}
        index = {"schemaVersion": 2, "manifests": [{**descriptor, "annotations": annotations}]}
        with tarfile.open(fileobj=out, mode="w|", bufsize=1 << 20) as archive:
            _add(archive, "oci-layout", LAYOUT.encode())
            _add(archive, "index.json", json.dumps(index).encode())
            for digest in (image.digest, *self._blobs(image.digest)):
                if digest not in without:
                    blob = self.blob(digest)
                    member = tarfile.TarInfo(f"blobs/sha256/{blob.name}")
                    member.size = blob.stat().st_size
                    with blob.open("rb") as content:
                        archive.addfile(member, content)

    def blob(self, digest: str) -> Path:
        """Where the content of a `sha256:...` lies."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def layers(self, image: Image) -> list[str]:
        """The digests of an image's layers, base first."""
        return list(self._blobs(image.digest))[1:]

    def _blobs(self, manifest: str) -> Iterator[str]:
        """The configuration and the layers of a manifest; nothing if the manifest is missing."""
        file = self.blob(manifest)
        if file.is_file():
            content = json.loads(file.read_bytes())
            yield content["config"]["digest"]
            for layer in content["layers"]:
                yield layer["digest"]

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        (self.folder / "oci-layout").write_text(LAYOUT, encoding="utf-8")
        index = self.folder / "index.json"
        fresh = index.with_suffix(".new")
        fresh.write_text(json.dumps({"schemaVersion": 2, "manifests": entries}), encoding="utf-8")
        fresh.replace(index)

    def _entries(self) -> list[dict[str, Any]]:
        index = self.folder / "index.json"
        return list(json.loads(index.read_bytes())["manifests"]) if index.is_file() else []


def _link(source: Path, target: Path) -> None:
    """A second name for the same content, or a copy on another file system."""
    try:
        os.link(source, target)
    except OSError:
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        part.replace(target)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
