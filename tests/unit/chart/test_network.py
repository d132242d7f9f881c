"""The chart's NetworkPolicy for the operator, and what it tells the operator about those of services."""

from typing import Any

import pytest

from fairlead_operator.core import names
from fairlead_operator.core.resolve import NetworkAccess
from fairlead_operator.settings import Settings
from reachability import End, reaches
from unit.chart.test_chart import helm, only, rendered

ENABLED = 'networkPolicy={"enabled": true, "monitoringNamespaces": {"kubernetes.io/metadata.name": "monitoring"}}'
TEAM = 'networkPolicy={"enabled": true, "monitoringNamespaces": {"team": "sre"}, "clientNamespaces": {"llm": "yes", "zone": "a"}}'
MONITORING = End("monitoring", {}, {"kubernetes.io/metadata.name": "monitoring"})
ELSEWHERE = End("elsewhere", {}, {"kubernetes.io/metadata.name": "elsewhere"})


def settings(manifests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the operator reads them from the rendered Deployment."""
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "fairlead-system"))
    return Settings()


@pytest.mark.parametrize(
    ("value", "access"),
    [
        pytest.param("replicas=1", None, id="none by default"),
        pytest.param(
            ENABLED,
            NetworkAccess("fairlead-system", (("kubernetes.io/metadata.name", "monitoring"),)),
            id="the usual namespace of Prometheus",
        ),
        pytest.param(
            TEAM, NetworkAccess("fairlead-system", (("team", "sre"),), (("llm", "yes"), ("zone", "a"))), id="labels"
        ),
    ],
)
def test_the_operator_is_told_who_may_come(
    value: str, access: NetworkAccess | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings(rendered(value), monkeypatch).network_access == access


@pytest.mark.parametrize(
    ("value", "source", "port", "allowed"),
    [
        pytest.param("replicas=1", ELSEWHERE, 8080, True, id="without the policy anybody reaches it"),
        pytest.param(ENABLED, MONITORING, 8080, True, id="monitoring scrapes it"),
        pytest.param(ENABLED, MONITORING, 9443, False, id="no other port is open"),
        pytest.param(ENABLED, ELSEWHERE, 8080, False, id="nobody else does"),
        pytest.param(ENABLED, End(), 8080, False, id="nor from outside"),
        pytest.param(
            'networkPolicy={"enabled": true}',
            MONITORING,
            8080,
            False,
            id="nobody scrapes",
        ),
    ],
)
def test_who_reaches_the_operator(value: str, source: End, port: int, *, allowed: bool) -> None:
    manifests = rendered(value)
    labels = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]

    assert reaches(policies, source, End("fairlead-system", labels), port) is allowed


def test_the_operators_pods_have_the_labels_that_services_let_in() -> None:
    labels = only(rendered(), "Deployment")["spec"]["template"]["metadata"]["labels"]

    assert names.OPERATOR_LABELS.items() <= labels.items()


def test_a_label_that_none_can_be_is_refused() -> None:
    assert "clientNamespaces" in helm('networkPolicy={"enabled": true, "clientNamespaces": {"a": "b,c=d"}}').stderr
