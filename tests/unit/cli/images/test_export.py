"""Layers out of buildah's storage, byte for byte."""

import base64
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from fairlead_cli.images.export import FILE, SEGMENT, Exporter
from fairlead_cli.local.errors import BuildFailed

#: The tar of the layer: a header, a file, padding, an empty file's header.
PIECES = (b"header", b"content of the file", b"padding")
DIGEST = f"sha256:{hashlib.sha256(b''.join(PIECES)).hexdigest()}"


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """One layer with one file, as the overlay driver keeps it."""
    files = tmp_path / "overlay" / "abc" / "diff" / "opt"
    files.mkdir(parents=True)
    (files / "file").write_bytes(PIECES[1])
    layers = tmp_path / "overlay-layers"
    layers.mkdir()
    (layers / "layers.json").write_text(json.dumps([{"id": "abc", "diff-digest": DIGEST}]))
    entries = [
        {"type": SEGMENT, "payload": base64.b64encode(PIECES[0]).decode()},
        {"type": FILE, "name": "opt/file", "size": len(PIECES[1]), "payload": "AAAAAAAAAAA="},
        {"type": SEGMENT, "payload": base64.b64encode(PIECES[2]).decode()},
        {"type": FILE, "name": "opt/", "payload": None},
    ]
    with gzip.open(layers / "abc.tar-split.gz", "wt") as out:
        out.writelines(f"{json.dumps(entry)}\n" for entry in entries)
    return tmp_path


def test_a_layer_is_put_together_as_it_was(storage: Path, tmp_path: Path) -> None:
    Exporter(storage, "overlay").write_layer(DIGEST, tmp_path / "blob")

    assert (tmp_path / "blob").read_bytes() == b"".join(PIECES)


def test_a_changed_file_is_found_out_and_nothing_is_left(storage: Path, tmp_path: Path) -> None:
    (storage / "overlay" / "abc" / "diff" / "opt" / "file").write_bytes(b"another content....")

    with pytest.raises(BuildFailed, match="was changed"):
        Exporter(storage, "overlay").write_layer(DIGEST, tmp_path / "blob")

    assert not list(tmp_path.glob("blob*"))


def test_a_layer_that_is_not_there_is_named(storage: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="has no layer sha256:0"):
        Exporter(storage, "overlay").write_layer("sha256:0", tmp_path / "blob")
