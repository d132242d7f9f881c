"""Pythons beside .venv, each with the packages of one lock file: made when first asked for, kept in the user's cache."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fairlead_cli.local import paths
from fairlead_cli.local.errors import BuildFailed, MachineUnfit
from fairlead_cli.local.progress import Progress, silent


def python(kind: str, lock: Path, what: str, *, excluded: Sequence[str] = (), progress: Progress = silent) -> Path:
    """The interpreter of the environment `kind` for this lock file; `what` is said when it has to be made. Raises BuildFailed, MachineUnfit.

    `excluded` are packages of the lock file that are left out.
    """
    version = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = paths.home() / kind / version
    # Compiled, for where PYTHONDONTWRITEBYTECODE is set each start of an engine would compile some thousand files.
    interpreter, ready = folder / "bin" / "python", folder / ".compiled"
    if ready.exists():
        return interpreter
    progress(what)
    left_out = folder.with_suffix(".excluded")
    left_out.parent.mkdir(parents=True, exist_ok=True)
    left_out.write_text("\n".join(excluded), encoding="utf-8")
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    _uv(
        *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--compile-bytecode"),
        *("--python", str(interpreter), "--requirements", str(lock), "--excludes", str(left_out)),
    )
    ready.touch()
    return interpreter


def uv() -> str:
    """The program that installs packages. Raises MachineUnfit where there is none: it comes with `make`, not with the extra `cli`."""
    try:
        # Here, because most commands have no use for it and all of them must start without.
        from uv import find_uv_bin  # noqa: PLC0415
    except ImportError as error:
        raise MachineUnfit(
            f"packages are installed by uv, which is missing: {sys.executable} -m pip install uv"
        ) from error
    return find_uv_bin()


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [uv(), *arguments], env=os.environ | paths.caches(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildFailed(f"uv {' '.join(arguments)} failed:\n{done.stderr.strip()[-2000:]}")
