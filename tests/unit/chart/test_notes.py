"""What helm tells after an install of what will not work as it was asked for."""

import shutil
from pathlib import Path

import pytest

from unit.chart.test_chart import CHART, MONITORING, only, rendered

POLICIES = 'networkPolicy={"enabled": true}'
OPENED = 'networkPolicy={"enabled": true, "monitoringNamespaces": {"kubernetes.io/metadata.name": "monitoring"}}'
NO_MONITORS, NO_ALERTS = 'podMonitor={"enabled": false}', 'prometheusRules={"enabled": false}'
MONITORS, ALERTS = MONITORING
NOBODY_SCRAPES, NOTHING_IS_SCRAPED = "networkPolicy.monitoringNamespaces is empty", "no PodMonitors"


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With its notes as an object: `helm template` prints none, and `helm install` knows the APIs of a cluster alone."""
    copy = tmp_path_factory.mktemp("notes") / "fairlead"
    shutil.copytree(CHART, copy)
    notes = (copy / "templates" / "NOTES.txt").rename(copy / "templates" / "_notes.tpl")
    notes.write_text(f'{{{{- define "notes" -}}}}\n{notes.read_text()}{{{{- end -}}}}\n')
    shown = 'apiVersion: v1\nkind: Notes\nmetadata: {name: notes}\ntold: |-\n  {{- include "notes" . | nindent 2 }}\n'
    (copy / "templates" / "notes.yaml").write_text(shown)
    return copy


def told(chart: Path, *values: str, apis: tuple[str, ...] = MONITORING) -> str:
    return str(only(rendered(*values, apis=apis, chart=chart), "Notes")["told"])


@pytest.mark.parametrize(
    ("values", "apis", "expected"),
    [
        pytest.param((), MONITORING, [], id="by default"),
        pytest.param((POLICIES,), MONITORING, [NOBODY_SCRAPES], id="policies that let nobody scrape"),
        pytest.param((OPENED,), MONITORING, [], id="policies that let Prometheus in"),
        pytest.param((POLICIES,), (), [], id="policies where nobody scrapes anyway"),
        pytest.param((POLICIES, NO_MONITORS, NO_ALERTS), MONITORING, [], id="policies, and nobody is to scrape"),
        pytest.param((NO_MONITORS,), MONITORING, [NOTHING_IS_SCRAPED], id="alerts without monitors"),
        pytest.param((), (ALERTS,), [NOTHING_IS_SCRAPED], id="alerts in a cluster that knows no monitors"),
        pytest.param((NO_MONITORS, NO_ALERTS), MONITORING, [], id="neither"),
        pytest.param((NO_ALERTS,), (MONITORS,), [], id="monitors without alerts"),
    ],
)
def test_what_will_fire_without_need(
    chart: Path, values: tuple[str, ...], apis: tuple[str, ...], expected: list[str]
) -> None:
    notes = told(chart, *values, apis=apis)

    assert [each for each in (NOBODY_SCRAPES, NOTHING_IS_SCRAPED) if each in notes] == expected
    assert ("FairleadOperatorDown" in notes) == bool(expected)


def test_the_notes_begin_with_what_runs_where(chart: Path) -> None:
    assert told(chart).startswith("fairlead ")
    assert "and serves one, two." in told(chart, 'watchNamespaces=["one", "two"]')
