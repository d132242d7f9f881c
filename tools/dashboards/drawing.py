"""A picture of each dashboard, drawn from a Prometheus' data with the components that Grafana publishes: board.jsx in a browser."""

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
BOARDS: Final = ROOT / "charts" / "fairlead" / "dashboards"
#: Pixels: of a picture, of a row of Grafana's grid with the gap below it, and of what stands above and below the grid.
WIDTH: Final = 1300
ROW: Final = 38
AROUND: Final = 48
PAGE: Final = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="board.css"><body id="board" style="margin: 0">
<script>window.__grafana_public_path__ = "/";</script><script type="module" src="board.js"></script>"""
#: What the components import beside code becomes part of the files.
INLINED: Final = tuple(f"--loader:.{kind}=dataurl" for kind in ("svg", "ttf", "woff", "woff2"))


def bundle(folder: Path) -> Path:
    """The folder, with everything that a browser needs to draw any board. Raises subprocess.CalledProcessError."""
    modules = HERE / "node_modules"
    if not modules.is_dir():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, check=True)
    options = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--jsx=automatic", "--log-level=error")
    esbuild = modules / ".bin" / "esbuild"
    subprocess.run([esbuild, "board.jsx", f"--outfile={folder / 'board.js'}", *options, *INLINED], cwd=HERE, check=True)
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    # Where the components look for icons.
    (folder / "build").symlink_to(modules / "@grafana" / "ui" / "dist" / "public")
    for board in BOARDS.glob("*.json"):
        shutil.copy(board, folder)
    return folder


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        """Requests are not worth a line."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's address as long as the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@dataclass(frozen=True)
class Span:
    """Seconds since 1970."""

    began: int
    ended: int


def pictures(prometheus: str, scrape: int, span: Span, service: Mapping[str, str], target: Path) -> Iterator[Path]:
    """One of each board. scrape: the Prometheus' interval, seconds. service: its namespace and name, for the board of one."""
    asked = {"prometheus": prometheus, "scrape": scrape, "from": span.began, "to": span.ended}
    with tempfile.TemporaryDirectory() as work, served(bundle(Path(work))) as address:
        for board in sorted(BOARDS.glob("*.json")):
            content = json.loads(board.read_text(encoding="utf-8"))
            # All are looked at but where one must be chosen.
            chosen = {} if any(each.get("allValue") for each in content["templating"]["list"]) else service
            rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in content["panels"])
            picture = target / f"{board.stem}.webp"
            _shoot(f"{address}/?{urlencode({**asked, **chosen, 'board': board.name})}", rows * ROW + AROUND, picture)
            yield picture


def _shoot(url: str, height: int, picture: Path) -> None:
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        # Until the panels have their data and have drawn it; time runs only while nothing is loading.
        *("--virtual-time-budget=20000", "--run-all-compositor-stages-before-draw"),
        *(f"--window-size={WIDTH},{height}", f"--screenshot={picture}", url),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
