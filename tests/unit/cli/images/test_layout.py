"""The layout on disk and the stream that containerd reads."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from fairlead_cli.images.layout import CONTAINERD_NAME, NAME, Image, Layout

REF = "localhost/fairlead/thing:1-abc"


def add_blob(folder: Path, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content), "mediaType": "application/octet-stream"}


def add_image(folder: Path, ref: str, *layers: bytes) -> Image:
    """An image as buildah writes it: layers, configuration, manifest, and an entry of the index."""
    content = [add_blob(folder, layer) for layer in layers]
    manifest = {"schemaVersion": 2, "config": add_blob(folder, ref.encode()), "layers": content}
    entry = add_blob(folder, json.dumps(manifest).encode())
    index = folder / "index.json"
    known = json.loads(index.read_text())["manifests"] if index.exists() else []
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": [*known, {**entry, "annotations": {NAME: ref}}]}))
    return Image(ref, str(entry["digest"]))


def archive(layout: Layout, image: Image, without: set[str]) -> dict[str, bytes]:
    out = io.BytesIO()
    layout.write_archive(image, without, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as read:
        return {member.name: content.read() for member in read if (content := read.extractfile(member))}


def test_an_image_is_found_by_its_whole_name(tmp_path: Path) -> None:
    image = add_image(tmp_path, REF, b"layer")

    assert Layout(tmp_path).find(REF) == image
    assert Layout(tmp_path).find("localhost/fairlead/thing:1-abd") is None


def test_nothing_is_found_where_nothing_was_built(tmp_path: Path) -> None:
    assert Layout(tmp_path / "never").find(REF) is None


@pytest.mark.parametrize("lost", ["layer", "config", "manifest"])
def test_an_image_with_a_lost_blob_is_not_there(tmp_path: Path, lost: str) -> None:
    image = add_image(tmp_path, REF, b"layer")
    layout = Layout(tmp_path)
    manifest = json.loads(layout.blob(image.digest).read_text())
    digests = {
        "layer": manifest["layers"][0]["digest"],
        "config": manifest["config"]["digest"],
        "manifest": image.digest,
    }

    layout.blob(digests[lost]).unlink()

    assert layout.find(REF) is None


def test_the_archive_holds_one_image_under_containerds_name(tmp_path: Path) -> None:
    image = add_image(tmp_path, REF, b"base", b"top")
    add_image(tmp_path, "localhost/fairlead/other:1", b"unrelated")

    files = archive(Layout(tmp_path), image, set())

    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == image.digest
    assert entry["annotations"][CONTAINERD_NAME] == REF
    blobs = {content for name, content in files.items() if name.startswith("blobs/")}
    assert {b"base", b"top"} <= blobs
    assert b"unrelated" not in blobs
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_layers_that_the_reader_has_are_left_out(tmp_path: Path) -> None:
    image = add_image(tmp_path, REF, b"base", b"top")
    layout = Layout(tmp_path)

    files = archive(layout, image, {layout.layers(image)[0]})

    assert b"base" not in files.values()
    assert b"top" in files.values()


def test_sweeping_keeps_shared_layers_and_deletes_the_rest(tmp_path: Path) -> None:
    kept = add_image(tmp_path, REF, b"base", b"new")
    old = add_image(tmp_path, "localhost/fairlead/thing:1-old", b"base", b"old")
    layout = Layout(tmp_path)
    base, gone = layout.layers(old)

    layout.sweep({REF})

    assert layout.images() == [kept]
    assert layout.find(REF) == kept
    assert layout.blob(base).is_file()
    assert not layout.blob(gone).exists()


def test_an_image_is_taken_over_whole_under_another_name(tmp_path: Path) -> None:
    image = add_image(tmp_path / "from", REF, b"base", b"top")
    other, target = Layout(tmp_path / "from"), Layout(tmp_path / "to")

    for ref in ("fairlead/thing:1", "fairlead/thing:1", "fairlead/thing:2"):
        target.adopt(other, image, ref)

    assert target.images() == [Image("fairlead/thing:1", image.digest), Image("fairlead/thing:2", image.digest)]
    assert target.find("fairlead/thing:2") is not None
    assert other.images() == [image]
