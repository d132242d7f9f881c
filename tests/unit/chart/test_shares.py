"""What the dashboards' shares come to, by Prometheus' own promtool."""

from pathlib import Path

import pytest
import yaml

from fairlead_cli.dashboards.fleet import FLEET
from unit.chart.alert_cases import LOOK, STRANGE, requests
from unit.chart.test_alerts import promtool

FAILED = next(panel for panel in FLEET.panels if panel.title == "Failed").queries[0].expr


@pytest.mark.parametrize(
    ("series", "share"),
    [
        pytest.param({requests(200): "0+10x30", requests(503): "0+10x30"}, 0.5, id="one of two"),
        pytest.param({requests(200): "0+90x30"}, 0, id="none has failed, ever"),
        pytest.param({requests(500): "0+10x30"}, 1, id="none was ever served"),
        pytest.param(
            {requests(200, LOOK): "0+90x30", requests(404, STRANGE): "0+90x30", requests(500): "0+10x30"},
            1,
            id="none was ever served, and proxies look whether it is well",
        ),
    ],
)
def test_the_share_of_requests_that_fail(tmp_path: Path, series: dict[str, str], share: float) -> None:
    asked = FAILED.replace("$__rate_interval", "5m").replace("$namespace", ".*")
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": asked,
                        "eval_time": "20m",
                        "exp_samples": [{"labels": '{namespace="models",name="mistral"}', "value": share}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))

    done = promtool("test", "rules", str(tmp_path / "test.yaml"))

    assert done.returncode == 0, done.stdout + done.stderr
