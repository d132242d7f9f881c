"""The kubelet's links to the logs of containers: for log collectors, in a place that no setting moves.

It removes them with their pods, and leaves those of pods that end without it.
"""

from pathlib import Path

LINKS = Path("/var/log/containers")


def unlink(logs: Path) -> None:
    """Take away the links that lead below `logs`, whether or not there is anything."""
    for link in LINKS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(logs):
            link.unlink()
