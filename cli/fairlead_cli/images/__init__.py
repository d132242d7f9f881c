"""The product's images, built and loaded without Docker and without an image registry.

`requirements()` says beforehand what this machine lacks, `build()` makes the images, `load()` brings them into the
local cluster.
"""

from fairlead_cli.images.building import build, pack
from fairlead_cli.images.layout import Image
from fairlead_cli.images.loading import load
from fairlead_cli.images.machine import requirements

__all__ = ["Image", "build", "load", "pack", "requirements"]
