"""buildah with a storage of fairlead's own: nothing of it mixes with what the user builds.

Images are built under chroot isolation, which needs root but no container runtime and no registry.
"""

import contextlib
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fairlead_cli.local import paths, surroundings
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.local.logs import last_lines


class Store:
    """Images and working containers below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self.log = paths.home() / "logs" / "images.log"
        self.driver = "vfs" if _on_overlay(folder) else "overlay"
        self._environment = {
            **surroundings.whole(),
            **paths.caches(),
            "STORAGE_DRIVER": self.driver,
            "BUILDAH_ISOLATION": "chroot",
            # https://reproducible-builds.org/specs/source-date-epoch/: passwd writes it where it would write today's date.
            "SOURCE_DATE_EPOCH": "0",
            # The blobs of a commit pass through here: beside the storage, not in a small or memory-backed /tmp.
            "TMPDIR": str(folder),
        }

    def buildah(self, *arguments: str) -> str:
        """One command; returns its output without the last newline. Raises BuildFailed."""
        return self.run(
            ["buildah", "--root", str(self.storage), "--runroot", str(paths.RUN / "images"), *arguments],
            self._environment,
        )

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        """Any program of a build; what it says goes to the log. Raises BuildFailed with the end of that."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"+ {shlex.join(command)}\n")
            log.flush()
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment or self._environment,
                check=False,
            )
            log.write(done.stdout)
        if done.returncode:
            raise BuildFailed(f"{shlex.join(command[:1])} failed; the end of {self.log}:\n{last_lines(self.log)}")
        return done.stdout.strip()

    def has(self, name: str) -> bool:
        """Whether an image of this name and tag was built."""
        return name in self.names()

    def names(self) -> list[str]:
        """All images that have a name, with their tags."""
        return self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines()

    @contextlib.contextmanager
    def root_of(self, base: str, result: str, configuration: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
        """A container from `base` and its mounted root; committed as `result` when the block ends well."""
        container = self.buildah("from", "--pull-never", base)
        try:
            yield container, Path(self.buildah("mount", container))
            if configuration:
                self.buildah("config", *configuration, container)
            self.buildah("umount", container)
            # The same files make the same image, whenever that is: bytecode in here must not go by its files' times.
            self.buildah("commit", "--quiet", "--disable-compression", "--timestamp", "0", container, result)
        finally:
            self.buildah("rm", container)

    def clean(self) -> None:
        """Take away what a killed build left: mounts inside its containers, then the containers."""
        if self.storage.exists():
            self._unmount(inside="/merged/")
            self.buildah("rm", "--all")

    def release(self) -> None:
        """Leave no mount behind: buildah keeps its storage mounted on itself after the last container."""
        self._unmount(inside="")

    def _unmount(self, inside: str) -> None:
        prefix = f"{self.storage}/"
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
        for point in sorted((m for m in mounts if m.startswith(prefix) and inside in m), key=len, reverse=True):
            self.run(["umount", "--lazy", point])


def _on_overlay(folder: Path) -> bool:
    """An overlay cannot be stacked on an overlay, which is what a container's own root usually is."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True).stdout
    return "overlay" in kind
