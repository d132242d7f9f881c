"""What the chart makes for Prometheus and Grafana, and when."""

import json
from typing import Any

import pytest

from fairlead_cli.dashboards import DASHBOARDS
from fairlead_operator.core import names
from unit.chart.test_chart import MONITORING, Manifest, helm, only, rendered


def monitors(*values: str) -> tuple[Manifest, Manifest]:
    """Of the engines, and of the operator."""
    engines, operator = (m for m in rendered(*values, apis=MONITORING) if m["kind"] == "PodMonitor")
    assert engines["metadata"]["name"] == f"{operator['metadata']['name']}-engines"
    return engines, operator


def made(kind: str, *values: str, apis: tuple[str, ...] = MONITORING) -> int:
    return sum(manifest["kind"] == kind for manifest in rendered(*values, apis=apis))


@pytest.mark.parametrize(
    ("kind", "values", "apis", "count"),
    [
        pytest.param("PodMonitor", (), MONITORING, 2, id="monitors, where there is the API"),
        pytest.param("PodMonitor", (), (), 0, id="none where there is not"),
        pytest.param(
            "PodMonitor", ('podMonitor={"enabled": false}',), MONITORING, 0, id="none where nobody wants them"
        ),
        pytest.param("PrometheusRule", (), MONITORING, 1, id="rules, where there is the API"),
        pytest.param("PrometheusRule", (), (), 0, id="no rules where there is not"),
        pytest.param("PrometheusRule", ('prometheusRules={"enabled": false}',), MONITORING, 0, id="no rules unwanted"),
        pytest.param("ConfigMap", (), MONITORING, 0, id="no dashboards by default: nothing tells of a Grafana"),
        pytest.param(
            "ConfigMap", ('dashboards={"enabled": true}',), (), len(DASHBOARDS), id="dashboards when asked for"
        ),
    ],
)
def test_what_is_made(kind: str, values: tuple[str, ...], apis: tuple[str, ...], count: int) -> None:
    assert made(kind, *values, apis=apis) == count


def test_the_pods_of_a_service_are_scraped_by_their_labels_and_port() -> None:
    engines, _ = monitors()
    (endpoint,) = engines["spec"]["podMetricsEndpoints"]

    assert engines["spec"]["selector"]["matchLabels"].items() <= names.labels("mistral").items()
    assert endpoint["port"] == names.PORT_MANAGEMENT
    label = names.SERVICE_LABEL.replace(".", "_").replace("/", "_")
    running, named, _ = endpoint["relabelings"]
    assert running == {"sourceLabels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"}
    assert named == {
        "sourceLabels": [f"__meta_kubernetes_pod_label_{label}"],
        "targetLabel": "name",
    }


def test_the_operator_is_scraped_by_its_labels_and_port() -> None:
    _, operator = monitors()
    (endpoint,) = operator["spec"]["podMetricsEndpoints"]
    template = only(rendered(), "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]

    assert operator["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert endpoint["honorLabels"] is True, "fairlead_condition has the namespace of its service"


@pytest.mark.parametrize(
    ("values", "selector"),
    [
        pytest.param((), {"any": True}, id="services of any namespace"),
        pytest.param(
            ('watchNamespaces=["one", "two"]',), {"matchNames": ["one", "two"]}, id="of those that are served"
        ),
    ],
)
def test_where_pods_are_looked_for(values: tuple[str, ...], selector: dict[str, Any]) -> None:
    assert monitors(*values)[0]["spec"]["namespaceSelector"] == selector


def test_labels_by_which_a_prometheus_picks_them() -> None:
    picked = {"release": "kube-prometheus-stack"}
    values = [f"{key}={json.dumps({'labels': picked})}" for key in ("podMonitor", "prometheusRules")]
    found = [m for m in rendered(*values, apis=MONITORING) if m["kind"] in {"PodMonitor", "PrometheusRule"}]

    assert len(found) == 3
    assert all(picked.items() <= manifest["metadata"]["labels"].items() for manifest in found)


def test_alerts_link_to_where_the_runbook_is_read() -> None:
    rule = only(
        rendered('prometheusRules={"runbook": "https://docs.test/runbook.html"}', apis=MONITORING), "PrometheusRule"
    )
    links = {each["annotations"]["runbook_url"] for group in rule["spec"]["groups"] for each in group["rules"]}

    assert "https://docs.test/runbook.html#fairleadservicedown" in links
    assert all(link.startswith("https://docs.test/runbook.html#fairlead") for link in links)


def test_the_sidecar_finds_each_dashboard_as_it_was_made() -> None:
    maps = [
        m
        for m in rendered('dashboards={"enabled": true, "annotations": {"grafana_folder": "fairlead"}}')
        if m["kind"] == "ConfigMap"
    ]

    boards = {json.loads(text)["uid"]: name for m in maps for name, text in m["data"].items()}
    assert boards == {board.uid: f"{board.uid}.json" for board in DASHBOARDS}
    for manifest in maps:
        assert manifest["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert manifest["metadata"]["annotations"] == {"grafana_folder": "fairlead"}


def test_annotations_of_all_objects_are_theirs_too() -> None:
    values = ('extraAnnotations={"a": "1"}', 'dashboards={"enabled": true, "annotations": {"b": "2"}}')
    found = [
        m for m in rendered(*values, apis=MONITORING) if m["kind"] in {"PodMonitor", "PrometheusRule", "ConfigMap"}
    ]

    expected = {"ConfigMap": {"a": "1", "b": "2"}}
    assert len(found) == 2 + 1 + len(DASHBOARDS)
    for manifest in found:
        assert manifest["metadata"]["annotations"] == expected.get(manifest["kind"], {"a": "1"})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param('podMonitor={"interval": "often"}', "interval", id="an interval is a duration"),
        pytest.param('podMonitor={"enable": true}', "enable", id="a misspelt key of the monitors"),
        pytest.param('prometheusRules={"runbook": "a#b"}', "runbook", id="an address without a heading"),
        pytest.param('dashboards={"label": "x"}', "label", id="a misspelt key of the dashboards"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str, named: str) -> None:
    done = helm(value)

    assert done.returncode != 0
    assert named in done.stderr
