"""Pictures of the dashboards for docs/img, with live data: a quarter of an hour on the local cluster, recorded and drawn.

pictures.py [FOLDER]

FOLDER keeps the recording; one that has a recording is drawn anew, without a cluster. Needs root on Debian or Ubuntu for the cluster;
npm and chromium for drawing, where what board.jsx draws with is installed from the lock file beside it.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

import drawing
import recording

PICTURES = drawing.ROOT / "docs" / "img"
SERVICE = {"namespace": recording.NAMESPACE, "name": recording.BUSY}


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("folder", nargs="?", type=Path)
    folder: Path = arguments.parse_args().folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "span.json"
    if not kept.exists():
        asyncio.run(recording.record(folder.resolve(), say))
    span = drawing.Span(**json.loads(kept.read_text(encoding="utf-8")))
    with recording.played(folder.resolve()) as prometheus:
        for picture in drawing.pictures(prometheus.url, recording.SCRAPE, span, SERVICE, PICTURES):
            say(f"{picture.relative_to(drawing.ROOT)}: {picture.stat().st_size // 1024} KiB")
    say(f"the recording: {folder}")


if __name__ == "__main__":
    main()
