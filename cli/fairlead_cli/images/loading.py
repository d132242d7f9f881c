"""Brings images into the local cluster's containerd, without what it has already."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fairlead_cli.images.building import layout
from fairlead_cli.images.layout import Image
from fairlead_cli.local import binaries
from fairlead_cli.local.errors import StartFailed
from fairlead_cli.local.progress import Progress, silent, step

#: The namespace of containerd that the kubelet uses.
NAMESPACE = "k8s.io"


class Node(Protocol):
    """What is needed of a cluster."""

    @property
    def containerd_socket(self) -> Path:
        """An absolute path."""


def load(cluster: Node, images: Mapping[str, Image], progress: Progress = silent) -> None:
    """Import what is missing; an image that is there with the same digest costs nothing. Raises StartFailed."""
    ctr = [
        str(binaries.ensure("ctr", progress=progress)["ctr"]),
        *("--address", str(cluster.containerd_socket), "--namespace", NAMESPACE),
    ]
    for image in images.values():
        if loaded(ctr).get(image.ref) != image.digest:
            with step(f"loading {image.ref}", progress):
                _import(ctr, image)


def loaded(ctr: list[str]) -> dict[str, str]:
    """Digests of the images that containerd has, by reference."""
    lines = _ask([*ctr, "images", "ls"]).splitlines()[1:]
    return {fields[0]: fields[2] for line in lines if len(fields := line.split()) > 2}


def _import(ctr: list[str], image: Image) -> None:
    """Stream the image; layers in containerd's content store are not sent again."""
    present = set(_ask([*ctr, "content", "ls", "--quiet"]).split())
    blobs = layout()
    without = present & set(blobs.layers(image))
    command = [*ctr, "images", "import", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as importing:
        assert importing.stdin is not None
        assert importing.stdout is not None
        try:
            with importing.stdin as stream:
                blobs.write_archive(image, without, stream)
        except BrokenPipeError:
            pass  # it ended early: its own words below say why
        said = importing.stdout.read().decode(errors="replace")
    if importing.returncode or loaded(ctr).get(image.ref) != image.digest:
        raise StartFailed(f"containerd did not take {image.ref}:\n{said[-2000:]}")


def _ask(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartFailed(f"containerd does not answer: {done.stderr.strip()}")
    return done.stdout
