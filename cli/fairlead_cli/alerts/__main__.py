"""Writes charts/fairlead/files/alerts.yaml: `make generate`."""

import sys
from pathlib import Path

import yaml

from fairlead_cli.alerts.rules import groups

FILE = Path("charts/fairlead/files/alerts.yaml")
HEAD = "# Made by `make generate` from cli/fairlead_cli/alerts/rules.py.\n"

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    target.write_text(HEAD + yaml.safe_dump(groups(), sort_keys=False, width=2**16), encoding="utf-8")
