"""Each alert fires when it should and not otherwise, by Prometheus' own promtool; and each leads to the runbook."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import debian
from fairlead_cli.alerts.rules import ALERTS, Alert
from fairlead_cli.site import runbook
from unit.chart.alert_cases import BY_NAME, FIRES, SILENT, Fires, Silent
from unit.chart.test_chart import CHART, Manifest, only, rendered


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(debian.program("promtool", "prometheus")), *arguments], capture_output=True, text=True, check=False
    )


def rules() -> Manifest:
    return only(rendered(apis=("monitoring.coreos.com/v1/PrometheusRule",)), "PrometheusRule")


@pytest.fixture(scope="module")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the chart renders them."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(rules()["spec"]))
    return path


def judged(rules_file: Path, folder: Path, case: Fires | Silent, expected: list[dict[str, Any]]) -> None:
    test = {
        "rule_files": [str(rules_file)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{case.minute}m", "alertname": case.alert, "exp_alerts": expected},
                ],
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))

    done = promtool("test", "rules", str(folder / "test.yaml"))

    assert done.returncode == 0, done.stdout + done.stderr


def told(alert: Alert, case: Fires) -> dict[str, str]:
    return {
        "summary": case.summary,
        "description": f"{alert.means} Reason: {case.reason}." if case.reason else alert.means,
        "runbook_url": f"docs/runbook.md#{alert.name.lower()}",
    }


@pytest.mark.parametrize("case", FIRES)
def test_it_fires(rules_file: Path, tmp_path: Path, case: Fires) -> None:
    alert = BY_NAME[case.alert]
    labels = {**case.labels, "severity": str(alert.severity)}

    judged(rules_file, tmp_path, case, [{"exp_labels": labels, "exp_annotations": told(alert, case)}])


@pytest.mark.parametrize("case", SILENT)
def test_it_is_silent(rules_file: Path, tmp_path: Path, case: Silent) -> None:
    judged(rules_file, tmp_path, case, [])


def test_every_alert_is_tested_both_ways() -> None:
    for table in (FIRES, SILENT):
        assert {parameters.values[0].alert for parameters in table} == BY_NAME.keys()  # type: ignore[union-attr]


def test_the_rules_are_prometheus_rules(rules_file: Path) -> None:
    done = promtool("check", "rules", str(rules_file))

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_leads_to_its_section_of_the_runbook(alert: Alert) -> None:
    page = runbook.page()

    assert f"\n### {alert.name}\n" in page
    assert alert.rule["annotations"]["runbook_url"].endswith(f"#{alert.name.lower()}")
    assert alert.do in page


def test_the_charts_copy_is_the_generated_one() -> None:
    generated = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())

    assert [rule for group in generated["groups"] for rule in group["rules"]] == [alert.rule for alert in ALERTS]
