"""The software bill of materials of an image: CycloneDX 1.6 as JSON.

Versions and hashes of Python packages are the lock file's, which pip and uv enforced at the build; that the image holds these and
no others is checked against its layers. Debian's packages are what dpkg says in the image.
https://cyclonedx.org/docs/1.6/json/
"""

import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from fairlead_cli.images import bases, recipes
from fairlead_cli.images.layout import Image, Layout
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.release import contents, pins
from fairlead_cli.release.contents import Contents
from fairlead_cli.release.pins import Pin
from fairlead_cli.release.source import Source


@dataclass(frozen=True)
class Recipe:
    """What an image's Python packages were installed from."""

    name: str
    """As in the reference of the image: fairlead/NAME."""
    lock: Path
    not_installed: Collection[str] = ()
    """Packages of the lock file that are left out of the image."""


#: By the names of `fairlead images build`. The runtime for GPUs stands on vLLM's own image, whose parts its publisher has to name.
RECIPES = {
    "operator": Recipe("operator", recipes.ROOT / "locks" / "operator.txt"),
    "runtime": Recipe("runtime-cpu", recipes.ENGINE_LOCK, bases.NOT_INSTALLED),
}


def write(source: Source, layout: Layout, images: dict[str, Image], out: Path) -> list[Path]:
    """One file for each image that has a recipe. Raises BuildFailed."""
    files = []
    for name, recipe in RECIPES.items():
        file = out / f"fairlead-{recipe.name}-{source.version}.cdx.json"
        file.write_text(bill(recipe, layout, images[name], source.version, source.epoch), encoding="utf-8")
        files.append(file)
    return files


def bill(recipe: Recipe, layout: Layout, image: Image, version: str, epoch: int) -> str:
    """The document, the same for the same image. Raises BuildFailed when lock and image differ, or the schema does not allow it."""
    held = contents.read(layout, image)
    locked = [pin for pin in pins.read(recipe.lock, pins.linux(held.python)) if pin.name not in recipe.not_installed]
    _compare(recipe, held, locked)
    bom = Bom(
        components=[*_python(locked, version), *_system(held)],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, image.digest),
    )
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER,
        name=f"fairlead/{recipe.name}",
        version=version,
        bom_ref=image.digest,
        purl=PackageURL("oci", None, recipe.name, image.digest),
        hashes=[_hash(image.digest.removeprefix("sha256:"))],
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise BuildFailed(f"the bill of materials of {image.ref} is no CycloneDX 1.6: {wrong}")
    return text + "\n"


def _compare(recipe: Recipe, held: Contents, locked: list[Pin]) -> None:
    expected = {(pin.name, pin.version) for pin in locked}
    found = set(held.packages.items())
    if different := sorted(f"{name} {version}" for name, version in expected ^ found):
        raise BuildFailed(
            f"{recipe.lock.name} and the image of {recipe.name} differ in {', '.join(different)}: build the image from this lock file"
        )


def _python(locked: list[Pin], version: str) -> Iterator[Component]:
    purl = PackageURL("pypi", None, "fairlead", version)
    yield Component(type=ComponentType.LIBRARY, name="fairlead", version=version, purl=purl, bom_ref=str(purl))
    for pin in locked:
        purl = PackageURL("pypi", None, pin.name, pin.version)
        # The hashes are of the files that the version is published as, one of which was installed.
        published = ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(f"https://pypi.org/project/{pin.name}/{pin.version}/#files"),
            hashes=[_hash(digest) for digest in pin.sha256],
        )
        yield Component(
            type=ComponentType.LIBRARY,
            name=pin.name,
            version=pin.version,
            purl=purl,
            bom_ref=str(purl),
            external_references=[published],
        )


def _system(held: Contents) -> Iterator[Component]:
    for package in held.system:
        qualifiers = {"arch": package.architecture, "distro": f"{held.distribution}-{held.release}"}
        purl = PackageURL("deb", held.distribution, package.name, package.version, qualifiers)
        yield Component(
            type=ComponentType.LIBRARY, name=package.name, version=package.version, purl=purl, bom_ref=str(purl)
        )


def _hash(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)
