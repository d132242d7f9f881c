"""The runtime's real image with the scripted engine where vLLM would be: pods that are ready in seconds, and whose every token is known.

Only for this cluster's containerd. The engine's own packages come from the lock file of the development environment.
"""

import re
import shutil
from pathlib import Path

from uv import find_uv_bin

from fairlead_cli.images import bases, building, recipes
from fairlead_cli.images.layout import Image
from fairlead_cli.images.store import Store
from fairlead_cli.local.progress import Progress

TESTS = Path(__file__).resolve().parents[1]
LOCK = recipes.ROOT / "locks" / "dev.txt"
#: What the runtime and the stand-in import, as vLLM would bring it.
PACKAGES = ("fastapi", "httptools", "prometheus-client", "pydantic", "uvicorn", "uvloop")
#: Modules of tests/serving that are the engine, beside its `vllm`.
ENGINE = ("__init__.py", "application.py", "engine.py")
#: Of an engine's step, for each stream in it: a pod makes 500 tokens a second, and 150 streams get one each every 0.3 s.
SEQUENCE_SECONDS = 0.002


def build(progress: Progress) -> Image:
    """A second when nothing changed; half a minute otherwise."""
    engine = [TESTS / "serving" / name for name in ENGINE] + [TESTS / "serving" / "stand_in" / "vllm.py"]
    system = recipes.tags().python
    base = recipes.tag("base-scripted", system, recipes.files_digest([LOCK, Path(__file__), *engine]))

    def make(store: Store) -> None:
        if not store.has(system):
            bases.system(store, bases.PYTHON_PACKAGES, system)
        with store.root_of(system, base, ["--env", f"SCRIPTED_SEQUENCE_SECONDS={SEQUENCE_SECONDS}"]) as (
            container,
            root,
        ):
            version = bases.python_version(root)
            target = root / f"usr/local/lib/python{version}/dist-packages"
            pins = store.folder / "scripted-pins.txt"
            pins.write_text("\n".join(pinned(LOCK.read_text(encoding="utf-8"))), encoding="utf-8")
            store.run(
                [
                    *(
                        find_uv_bin(),
                        "pip",
                        "install",
                        "--quiet",
                        "--only-binary",
                        ":all:",
                        "--python-version",
                        version,
                    ),
                    *("--constraint", str(pins), "--target", str(target), *PACKAGES),
                ]
            )
            (target / "serving").mkdir()
            for file in engine:
                folder = target / "serving" if file.parent.name == "serving" else target
                shutil.copyfile(file, folder / file.name)
            # Pods' root file systems are read-only: without bytecode every start would compile all of it.
            where = f"/{target.relative_to(root)}"
            store.buildah(
                *(
                    "run",
                    container,
                    "--",
                    "python3",
                    "-m",
                    "compileall",
                    "-q",
                    "--invalidation-mode",
                    "unchecked-hash",
                    where,
                )
            )

    return building.runtime_on(base, make, "runtime-scripted", progress)


def pinned(lock: str) -> list[str]:
    """`name==version` of every package in a lock file."""
    return re.findall(r"^[A-Za-z0-9._-]+==[^\s;]+", lock, re.MULTILINE)
