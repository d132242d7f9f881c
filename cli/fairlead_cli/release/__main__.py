"""`make release` and `make sbom`: what is released, into dist/."""

import shutil
import sys
from pathlib import Path

from fairlead_cli.images import building
from fairlead_cli.images.layout import Image, Layout
from fairlead_cli.local.errors import LocalError
from fairlead_cli.local.progress import Progress, step
from fairlead_cli.release import digests, packages, sbom, source
from fairlead_cli.release.digests import Part
from fairlead_cli.release.source import Source

ROOT = Path(__file__).resolve().parents[3]
#: Ignored by git.
DIST = ROOT / "dist"


def release(out: Path, progress: Progress) -> Path:
    """Make everything anew and list it. Raises Refused, MachineUnfit, BuildFailed."""
    commit = source.checked(ROOT)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with step("packing wheel and chart", progress):
        wheel, chart = packages.build(commit, out, progress)
    built = _images(commit, out, progress)
    bills = _bills(commit, built, out, progress)
    parts = [Part.file(wheel, "wheel"), Part.file(chart, "chart"), *(Part.file(bill, "sbom") for bill in bills)]
    return digests.write(out, commit, [*parts, *(Part.image(image) for image in built.values())])


def bills(out: Path, progress: Progress) -> list[Path]:
    """The parts of both images alone. Raises Refused, MachineUnfit, BuildFailed."""
    commit = source.checked(ROOT)
    out.mkdir(parents=True, exist_ok=True)
    return _bills(commit, building.build(*sbom.RECIPES, progress=progress), out, progress)


def _bills(commit: Source, built: dict[str, Image], out: Path, progress: Progress) -> list[Path]:
    with step("listing the parts of the images, and checking the lists against CycloneDX", progress):
        return sbom.write(commit, building.layout(), built, out)


def _images(commit: Source, out: Path, progress: Progress) -> dict[str, Image]:
    built = building.build(*sbom.RECIPES, progress=progress)
    released = Layout(out / "images")
    return {
        name: released.adopt(building.layout(), image, f"fairlead/{sbom.RECIPES[name].name}:{commit.version}")
        for name, image in built.items()
    }


def main() -> None:
    """`python -m fairlead_cli.release [sbom]`."""
    try:
        made = bills(DIST, print) if sys.argv[1:] == ["sbom"] else [release(DIST, print)]
    except LocalError as error:
        sys.exit(str(error))
    for file in made:
        print(file)


if __name__ == "__main__":
    main()
