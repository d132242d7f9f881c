"""What an image holds, read from its layers: packages of the distribution, and packages of Python."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from fairlead_cli.images.layout import Image, Layout
from fairlead_cli.local.errors import BuildFailed

STATUS = "var/lib/dpkg/status"
#: Below usr/lib, for etc/os-release is a link to it.
OS_RELEASE = "usr/lib/os-release"
#: Of packages that are installed; what setuptools carries inside itself has another path.
METADATA = re.compile(r".*/python(?P<python>3\.\d+)/(?:site|dist)-packages/[^/]+\.dist-info/METADATA")
#: A file of this prefix says that a lower layer's file of the name behind it is gone.
WHITEOUT = ".wh."


@dataclass(frozen=True)
class SystemPackage:
    """One of the distribution's packages, as dpkg knows it."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class Contents:
    """Everything in an image that some package manager installed."""

    distribution: str
    """Such as `debian`."""
    release: str
    """Such as `12`."""
    system: tuple[SystemPackage, ...]
    python: str
    """The minor version, such as `3.11`."""
    packages: dict[str, str]
    """Versions of Python packages by canonical name."""


def read(layout: Layout, image: Image) -> Contents:
    """Go through all layers, the upper ones win. Raises BuildFailed when the image is of no Debian or has no Python packages."""
    files: dict[str, str] = {}
    for digest in layout.layers(image):
        with tarfile.open(layout.blob(digest)) as layer:
            for path, content in _interesting(layer):
                if content is None:
                    files = {
                        known: text
                        for known, text in files.items()
                        if known != path and not known.startswith(f"{path}/")
                    }
                else:
                    files[path] = content
    metadata = {path: match["python"] for path in files if (match := METADATA.fullmatch(path))}
    if STATUS not in files or OS_RELEASE not in files or not metadata:
        raise BuildFailed(f"{image.ref} has no {STATUS}, {OS_RELEASE} or Python packages: its parts cannot be listed")
    release = dict(line.split("=", 1) for line in files[OS_RELEASE].splitlines() if "=" in line)
    headers = [HeaderParser().parsestr(files[path]) for path in metadata]
    return Contents(
        distribution=release["ID"].strip('"'),
        release=release.get("VERSION_ID", "").strip('"'),
        system=tuple(_system(files[STATUS])),
        python=next(iter(metadata.values())),
        packages={canonicalize_name(header["Name"]): header["Version"] for header in headers},
    )


def _interesting(layer: tarfile.TarFile) -> Iterator[tuple[str, str | None]]:
    """Files that are read below, with their text; None for what this layer takes away."""
    for member in layer:
        path = PurePosixPath(member.name)
        if path.name.startswith(WHITEOUT):
            yield str(path.with_name(path.name.removeprefix(WHITEOUT))), None
        elif (name := str(path)) in {STATUS, OS_RELEASE} or METADATA.fullmatch(name):
            content = layer.extractfile(member)
            if content is not None:
                yield name, content.read().decode(errors="replace")


def _system(status: str) -> Iterator[SystemPackage]:
    for paragraph in status.split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields["Status"] == "install ok installed":
            yield SystemPackage(fields["Package"], fields["Version"], fields["Architecture"])
