"""The product's images, built and loaded without Docker and without an image registry.

`prepare()` says beforehand what this machine lacks, `build()` makes the images, `load()` brings them into the local
cluster.
"""

from fairlead_cli.images.building import build, pack, prepare
from fairlead_cli.images.layout import Image
from fairlead_cli.images.loading import load

__all__ = ["Image", "build", "load", "pack", "prepare"]
