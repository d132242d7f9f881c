"""The pause image is an OCI archive whose parts refer to each other by their real digests."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from fairlead_cli.local import pause


def files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: content.read() for member in tar if (content := tar.extractfile(member))}


def blob(parts: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """What a descriptor names, checked as containerd does."""
    content = parts[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
    assert hashlib.sha256(content).hexdigest() == descriptor["digest"].removeprefix("sha256:")
    assert len(content) == descriptor["size"]
    return content


def test_from_the_index_to_the_program(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF and so on")

    parts = files(pause.archive(program, "localhost/fairlead/pause:1"))

    assert json.loads(parts["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    [entry] = json.loads(parts["index.json"])["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": "localhost/fairlead/pause:1"}
    manifest = json.loads(blob(parts, entry))
    config = json.loads(blob(parts, manifest["config"]))
    [layer] = manifest["layers"]
    content = blob(parts, layer)
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert config["config"]["Entrypoint"] == ["/pause"]
    assert not config["config"]["User"].startswith("0")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert tar.getmember("pause").mode == 0o755
    assert files(content) == {"pause": program.read_bytes()}


def test_the_same_program_gives_the_same_image(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")

    assert pause.archive(program, "name") == pause.archive(program, "name")
