"""One number for the whole release, wherever it stands."""

import re
from pathlib import Path

import yaml

from fairlead_operator import __version__

ROOT = Path(__file__).resolve().parents[3]


def test_chart_and_demo_have_the_number_of_the_distribution() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "fairlead" / "Chart.yaml").read_text(encoding="utf-8"))
    demo = yaml.safe_load((ROOT / "examples" / "demo.yaml").read_text(encoding="utf-8"))

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert demo["spec"]["model"]["uri"].endswith(f":{__version__}")


def test_the_changelog_begins_with_it() -> None:
    newest = re.search(r"^## (\S+?)(,|$)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert newest
    assert newest[1] == __version__
