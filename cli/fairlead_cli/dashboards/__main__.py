"""Writes charts/fairlead/dashboards/*.json: `make generate`."""

import sys
from pathlib import Path

from fairlead_cli.dashboards import DASHBOARDS
from fairlead_cli.dashboards.grafana import text

FOLDER = Path("charts/fairlead/dashboards")

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob("*.json"):
        left.unlink()
    for board in DASHBOARDS:
        (target / f"{board.uid}.json").write_text(text(board), encoding="utf-8")
