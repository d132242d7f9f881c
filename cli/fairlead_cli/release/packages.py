"""Wheel and chart: the same bytes whenever and wherever they are made from a commit with these tools."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fairlead_cli.local import binaries
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.local.progress import Progress, silent
from fairlead_cli.release.source import Source


def build(source: Source, out: Path, progress: Progress = silent) -> tuple[Path, Path]:
    """The wheel and the packed chart, in `out`. Raises BuildFailed.

    Both are made in a copy of the commit, so that nothing that git ignores gets into them.
    """
    helm = binaries.ensure("helm", progress=progress)["helm"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        source.unpack(copy)
        wheel = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out.absolute())]
        chart = [str(helm), "package", "charts/fairlead", "--destination", str(out.absolute())]
        for command in (wheel, chart):
            _run(command, copy, source.epoch)
    made = out / f"fairlead-{source.version}-py3-none-any.whl", out / f"fairlead-{source.version}.tgz"
    for file in made:
        if not file.is_file():
            raise BuildFailed(
                f"{file.name} was not made: do the version files agree? (tests/unit/layout/test_version.py)"
            )
    return made


def _run(command: list[str], folder: Path, epoch: int) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{' '.join(command[:3])} failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
