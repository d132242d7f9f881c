"""The page has every metric of ours, and every metric that a dashboard or an alert goes by."""

import re
from pathlib import Path

import pytest

from fairlead_cli.alerts.rules import ALERTS
from fairlead_cli.dashboards import DASHBOARDS
from fairlead_cli.site.observability import filled, operator_metrics, pod_metrics

PAGE = (Path(__file__).parents[4] / "docs" / "observability.md").read_text(encoding="utf-8")
QUERIES = [query.expr for board in DASHBOARDS for panel in board.panels for query in panel.queries]
USED = {
    re.sub(r"_(bucket|count|sum)$", "", name)
    for query in [*QUERIES, *(alert.expr for alert in ALERTS)]
    for name in re.findall(r"(?:fairlead_|vllm:)\w+", query)
}


def test_the_page_is_the_generated_one() -> None:
    assert filled(PAGE) == PAGE


@pytest.mark.parametrize("name", sorted(USED))
def test_what_is_asked_for_is_explained(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}[`{{]", PAGE)


@pytest.mark.parametrize("name", sorted(name for name in USED if name.startswith("fairlead_")))
def test_what_is_asked_for_exists(name: str) -> None:
    there = {re.sub(r"[`{].*", "", row.lstrip("`")) for row, _ in [*operator_metrics(), *pod_metrics()]}

    assert name in there


def test_labels_and_meaning_are_told() -> None:
    told = dict([*operator_metrics(), *pod_metrics()])

    assert "1 True" in told["`fairlead_condition{namespace,name,type,reason}`"]
    assert told["`fairlead_requests_total{route,code}`"]
    assert told["`fairlead_startup_phase_seconds{phase}`"]
