"""Has checkov judge the rendered chart and what the operator makes of every example: `make lint-manifests`.

Its exceptions stand with their reasons in charts/checkov.yaml.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fairlead_cli.local import binaries, environments
from fairlead_cli.local.errors import LocalError
from fairlead_cli.local.progress import Progress, silent
from fairlead_operator.core.build import build_objects
from fairlead_operator.core.build.template import render
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Defaults, NetworkAccess, Resolved, resolve
from fairlead_operator.core.revisions import Revision, Rollout

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "fairlead"
EXAMPLES = ROOT / "examples"
LOCK = ROOT / "locks" / "manifests.txt"
RULES = ROOT / "charts" / "checkov.yaml"
NAMESPACE = "fairlead-system"
#: Of no image: what is judged is that a digest arrives where it was given.
DIGEST = f"sha256:{'0' * 64}"
IMAGES = {name: f"example.com/fairlead/{name}@{DIGEST}" for name in ("operator", "runtime", "runtime-cpu")}
#: The chart as an administrator who reads docs/security.md installs it.
VALUES = (
    "replicas=2",
    "networkPolicy.enabled=true",
    "crds.install=false",
    f"image.reference={IMAGES['operator']}",
    f"runtime.image={IMAGES['runtime']}",
    f"runtime.imageCPU={IMAGES['runtime-cpu']}",
)


class ManifestsDoubtful(LocalError):  # noqa: N818  a statement about the manifests
    """A check failed for which no exception is written down; the text names it."""


def lint(folder: Path, progress: Progress = silent) -> str:
    """Write what is judged into `folder`, and return the summary. Raises ManifestsDoubtful, BuildFailed."""
    (folder / "chart.yaml").write_text(chart(progress), encoding="utf-8")
    for name, objects in services():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    python = environments.python("manifests", LOCK, "installing checkov (265 MB)", progress=progress)
    done = subprocess.run(
        [str(python), "-m", "checkov.main", "--config-file", str(RULES), "--directory", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.strip()
    if done.returncode:
        raise ManifestsDoubtful(f"{said}\n{done.stderr.strip()[-2000:]}".strip())
    if "Passed checks: 0" in said or "Passed checks" not in said:
        raise ManifestsDoubtful(f"nothing was judged:\n{said}\n{done.stderr.strip()[-2000:]}")
    return said


def chart(progress: Progress = silent) -> str:
    """The rendered chart."""
    helm = binaries.ensure("helm", progress=progress)["helm"]
    settings = [part for value in VALUES for part in ("--set", value)]
    command = [str(helm), "template", "fairlead", str(CHART), "--namespace", NAMESPACE, *settings]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def services() -> Iterator[tuple[str, list[Manifest]]]:
    """What the operator makes of every example, by the example's name."""
    defaults = Defaults(
        IMAGES["runtime"], IMAGES["runtime-cpu"], network=NetworkAccess(NAMESPACE, (("team", "monitoring"),))
    )
    for path in sorted(EXAMPLES.glob("*.yaml")):
        raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        raw["metadata"] |= {"namespace": "models", "uid": path.stem, "generation": 1}
        match resolve(raw, defaults):
            case Resolved() as resolved:
                revision = Revision(resolved.revision_name, 1, render(resolved))
                yield path.stem, build_objects(resolved, Rollout(revision, revision))
            case rejection:
                raise ManifestsDoubtful(f"{path}: {rejection.message}")


def main() -> None:
    """Judge, and say how it went."""
    with tempfile.TemporaryDirectory(prefix="fairlead-manifests-") as folder:
        try:
            print(lint(Path(folder), progress=print))
        except LocalError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
