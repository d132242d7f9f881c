"""The commit that a release is made from, and what it must fulfil."""

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from fairlead_cli.local.errors import LocalError

VERSION_FILE = "operator/fairlead_operator/__init__.py"
CHANGELOG = "CHANGELOG.md"


class Refused(LocalError):  # noqa: N818  a statement about the checkout
    """No release can be made of this checkout; the text says what to do first."""


@dataclass(frozen=True)
class Source:
    """A clean checkout."""

    root: Path
    version: str
    commit: str
    epoch: int
    """Of the commit, in seconds: the time of every file that is made from it (SOURCE_DATE_EPOCH)."""

    def unpack(self, folder: Path) -> None:
        """The commit's files, without anything that git ignores, each with the commit's time."""
        archive = _git(self.root, "-c", "tar.umask=0022", "archive", "--format=tar", self.commit)
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")


def checked(root: Path) -> Source:
    """The source in `root`. Raises Refused when files differ from the commit, or the changelog does not know the version."""
    if changed := _git(root, "status", "--porcelain").decode():
        raise Refused(
            f"a release is made from a commit, and these files differ from it; commit or remove them:\n{changed}"
        )
    version = re.search(r'^__version__ = "(.+)"$', (root / VERSION_FILE).read_text(encoding="utf-8"), re.MULTILINE)
    if version is None:
        raise Refused(f'{VERSION_FILE} has no line __version__ = "..."')
    headings = re.findall(r"^## (.+)$", (root / CHANGELOG).read_text(encoding="utf-8"), re.MULTILINE)
    if version[1] not in {re.split(r"[,\s]", heading)[0] for heading in headings}:
        raise Refused(
            f'{CHANGELOG} has no entry "## {version[1]}": write what changed for users, or correct {VERSION_FILE}'
        )
    commit, epoch = _git(root, "log", "-1", "--format=%H %ct").decode().split()
    return Source(root, version[1], commit, int(epoch))


def _git(root: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"git {arguments[0]} failed in {root}: {done.stderr.decode().strip()}")
    return done.stdout
