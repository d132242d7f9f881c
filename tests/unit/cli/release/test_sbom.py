"""The bill of materials of an image that is made here, layer by layer."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fairlead_cli.images.layout import NAME, Image, Layout
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.release.sbom import Recipe, bill

PACKAGES = "usr/lib/python3.11/site-packages"
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
BASE = {
    "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS,
    f"{PACKAGES}/pip-25.dist-info/METADATA": "Name: pip\nVersion: 25\n\nText\n",
}
UPPER = {
    f"{PACKAGES}/.wh.pip-25.dist-info": "",
    f"{PACKAGES}/Some_Thing-1.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: Some.Thing\nVersion: 1.0\n",
    f"{PACKAGES}/setuptools/_vendor/inside-3.dist-info/METADATA": "Name: inside\nVersion: 3\n",
}
HASHES = ("a" * 64, "b" * 64)
LOCK = (
    f"some-thing==1.0 \\\n    --hash=sha256:{HASHES[0]} \\\n    --hash=sha256:{HASHES[1]}\n"
    f"other==2 ; sys_platform == 'win32' \\\n    --hash=sha256:{HASHES[0]}\n"
    f"left-out==3 \\\n    --hash=sha256:{HASHES[0]}\n"
)


def packed(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as layer:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            layer.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def made(folder: Path, *layers: dict[str, str]) -> tuple[Layout, Image]:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return f"sha256:{digest}"

    manifest = {"config": {"digest": add(b"{}")}, "layers": [{"digest": add(packed(layer))} for layer in layers]}
    image = Image("fairlead/operator:1", add(json.dumps(manifest).encode()))
    index = {"manifests": [{"digest": image.digest, "annotations": {NAME: image.ref}}]}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return Layout(folder), image


def recipe(folder: Path, text: str = LOCK) -> Recipe:
    lock = folder / "operator.txt"
    lock.write_text(text, encoding="utf-8")
    return Recipe("operator", lock, not_installed=("left-out",))


def test_it_lists_what_is_locked_for_the_image_and_what_dpkg_installed(tmp_path: Path) -> None:
    layout, image = made(tmp_path, BASE, UPPER)

    text = bill(recipe(tmp_path), layout, image, "1.2.0", 1_700_000_000)

    document: dict[str, Any] = json.loads(text)
    by_purl = {component["purl"]: component for component in document["components"]}
    assert set(by_purl) == {
        "pkg:pypi/fairlead@1.2.0",
        "pkg:pypi/some-thing@1.0",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12",
    }
    published = by_purl["pkg:pypi/some-thing@1.0"]["externalReferences"][0]["hashes"]
    assert sorted(entry["content"] for entry in published) == list(HASHES)
    assert document["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": image.digest[7:]}]
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert text == bill(recipe(tmp_path), layout, image, "1.2.0", 1_700_000_000)


@pytest.mark.parametrize(
    ("lock", "says"),
    [
        pytest.param(LOCK.replace("1.0", "1.1"), "differ in some-thing 1.0, some-thing 1.1", id="another version"),
        pytest.param(f"{LOCK}more==4 --hash=sha256:{HASHES[0]}\n", "differ in more 4", id="locked and not installed"),
        pytest.param(LOCK.replace("left-out", "leftout"), "differ in leftout 3", id="only what is named is left out"),
    ],
)
def test_an_image_of_another_lock_file_is_refused(tmp_path: Path, lock: str, says: str) -> None:
    layout, image = made(tmp_path, BASE, UPPER)

    with pytest.raises(BuildFailed, match=says):
        bill(recipe(tmp_path, lock), layout, image, "1", 1)


def test_a_package_that_no_lock_file_names_is_refused(tmp_path: Path) -> None:
    without_removal = {path: text for path, text in UPPER.items() if "/.wh." not in path}
    layout, image = made(tmp_path, BASE, without_removal)

    with pytest.raises(BuildFailed, match="differ in pip 25"):
        bill(recipe(tmp_path), layout, image, "1", 1)


def test_a_document_that_the_schema_does_not_allow_is_refused(tmp_path: Path) -> None:
    layout, image = made(tmp_path, BASE, UPPER)
    # A digest that is too long to be one.
    wrong = Image(image.ref, f"{image.digest}0")
    layout.blob(wrong.digest).write_bytes(layout.blob(image.digest).read_bytes())

    with pytest.raises(BuildFailed, match="is no CycloneDX"):
        bill(recipe(tmp_path), layout, wrong, "1", 1)


def test_an_image_without_packages_is_refused(tmp_path: Path) -> None:
    layout, image = made(tmp_path, {"model/config.json": "{}"})

    with pytest.raises(BuildFailed, match="has no var/lib/dpkg/status"):
        bill(recipe(tmp_path), layout, image, "1", 1)
