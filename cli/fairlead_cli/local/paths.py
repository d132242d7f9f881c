"""Where fairlead keeps what it builds and runs on this machine."""

import os
from pathlib import Path

#: Sockets and mounts of the running cluster. Short, because a unix socket's path may have 107 bytes at most, and on a
#: file system that a reboot empties, because nothing in it can outlive the processes that it belongs to.
RUN = Path("/run/fairlead")


def home() -> Path:
    """The folder of everything kept between runs: $FAIRLEAD_HOME, else fairlead/ in the user's cache.

    Deleting it while no cluster runs loses nothing but time: all of it is built again when needed.
    """
    if given := os.environ.get("FAIRLEAD_HOME"):
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "fairlead"
