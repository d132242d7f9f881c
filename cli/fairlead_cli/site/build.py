"""Builds docs/ into a folder of HTML that needs no network: `make docs`."""

import os
import subprocess
import sys
from pathlib import Path

from fairlead_cli.local import environments
from fairlead_cli.local.errors import LocalError
from fairlead_cli.local.progress import Progress, silent
from fairlead_cli.site import outside

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "locks" / "docs.txt"
#: Ignored by git.
FOLDER = ROOT / "site"


class SiteBroken(LocalError):  # noqa: N818  a statement about the pages
    """A page cannot be built, or would load something from elsewhere; the text names it."""


def build(folder: Path, progress: Progress = silent) -> None:
    """Write the site. A link that leads nowhere is an error. Raises SiteBroken, BuildFailed."""
    python = environments.python("docs", LOCK, "installing the documentation's builder (30 MB)", progress=progress)
    command = [str(python), "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    # The theme's advertisement for its successor.
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteBroken(f"the site cannot be built:\n{(done.stdout + done.stderr).strip()}")
    loaded = [f"{page.relative_to(folder)}: {url}" for page in pages(folder) for url in outside.loaded(page)]
    if loaded:
        raise SiteBroken("pages would load from elsewhere:\n" + "\n".join(loaded))


def pages(folder: Path) -> list[Path]:
    """Every page of a built site."""
    return sorted(folder.rglob("*.html"))


def main() -> None:
    """Build into site/, or into the folder that is given."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else FOLDER
    try:
        build(folder, progress=print)
    except LocalError as error:
        sys.exit(str(error))
    print(f"{len(pages(folder))} pages in {folder}; with search: python3 -m http.server --directory {folder}")


if __name__ == "__main__":
    main()
