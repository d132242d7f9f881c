"""Where fairlead keeps what it builds and runs on this machine."""

import os
from pathlib import Path

#: Sockets and mounts of the running cluster. Short, because a unix socket's path may have 107 bytes at most, and on a
#: file system that a reboot empties, because nothing in it can outlive the processes that it belongs to.
RUN = Path("/run/fairlead")
#: Where Go, uv and pip keep what they fetch and compile: variable -> folder below a home that the user has chosen.
CACHES = {"GOMODCACHE": "go-mod", "GOCACHE": "go-build", "UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}


def home() -> Path:
    """The folder of everything kept between runs: $FAIRLEAD_HOME, else fairlead/ in the user's cache.

    Deleting it while no cluster runs loses nothing but time: all of it is built again when needed.
    """
    if given := os.environ.get("FAIRLEAD_HOME"):
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "fairlead"


def caches() -> dict[str, str]:
    """The variables of CACHES for a program that fetches: with $FAIRLEAD_HOME all of it goes there, but what the user has set stays.

    Without, each has its usual place, which other work on this machine has filled already.
    """
    if not os.environ.get("FAIRLEAD_HOME"):
        return {}
    places = {variable: str(home() / folder) for variable, folder in CACHES.items()}
    if "GOPATH" in os.environ:
        del places["GOMODCACHE"]  # it says where that is
    return {variable: place for variable, place in places.items() if variable not in os.environ}
