"""Pins every dependency by version and hash, from pyproject.toml: `make lock`.

Seven files, one for each environment that fairlead installs. They are plain requirement files, so that pip and uv both
read them, and they name no package index, so that a mirror works as well as the public one.
"""

import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
#: What is common to all: hashes for every platform's files, and nothing that names where they come from.
COMPILE = (
    *(
        find_uv_bin(),
        "pip",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
    ),
    *("--no-emit-find-links", "--no-emit-package", "fairlead", "--python-version", "3.11"),
)
LOCKS: dict[str, tuple[str, ...]] = {
    # Universal: any Linux or Mac, Python 3.11 and newer.
    "dev.txt": (
        *("--universal", "--extra", "operator", "--extra", "runtime", "--extra", "cli"),
        *("--group", "dev", "pyproject.toml"),
    ),
    "operator.txt": ("--universal", "--extra", "operator", "pyproject.toml"),
    "audit.txt": ("--universal", "--group", "audit"),
    "docs.txt": ("--universal", "--group", "docs"),
    "manifests.txt": ("--universal", "--group", "manifests"),
    # The engine for CPUs is built for one platform only.
    "runtime-cpu.txt": ("--python-platform", "x86_64-manylinux_2_28", "--extra", "cpu", "pyproject.toml"),
}


def main() -> None:
    """Write every lock file anew; `--upgrade` takes the newest versions that pyproject.toml allows."""
    options = sys.argv[1:]
    for name, arguments in LOCKS.items():
        run(*COMPILE, *options, *arguments, "--output-file", f"locks/{name}")
    # The installer itself, for the first step on a bare machine: the version that dev.txt has.
    lines = (ROOT / "locks" / "dev.txt").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith(" ")), len(lines))
    (ROOT / "locks" / "bootstrap.txt").write_text("\n".join(lines[start:end]) + "\n", encoding="utf-8")


def run(*command: str) -> None:
    """One step in the repository's root."""
    print(" ".join(command), flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
