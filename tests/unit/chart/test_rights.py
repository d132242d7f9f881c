"""The chart grants exactly the rights under which the tests against a real API server pass: none missing, none to spare."""

from typing import Any

import pytest

from api import access
from api.audit import Right
from api.audit import granted as rights
from unit.chart.test_chart import rendered


def granted(kind: str, name: str, *values: str) -> set[Right]:
    return rights(
        [
            rule
            for manifest in rendered(*values)
            if manifest["kind"] == kind and manifest["metadata"]["name"] == name
            for rule in manifest["rules"]
        ]
    )


@pytest.mark.parametrize(
    ("kind", "values", "tested"),
    [
        pytest.param("ClusterRole", (), access.RULES + access.CLUSTER_RULES, id="for all namespaces"),
        pytest.param(
            "ClusterRole",
            ('networkPolicy={"enabled": true}',),
            access.RULES + access.CLUSTER_RULES + access.NETWORK_RULES,
            id="with network policies",
        ),
        pytest.param("Role", ('watchNamespaces=["models"]',), access.RULES, id="for named namespaces"),
    ],
)
def test_the_operator_may_do_what_it_was_tested_with(
    kind: str, values: tuple[str, ...], tested: list[dict[str, Any]]
) -> None:
    assert granted(kind, "fairlead-system", *values) == rights(tested)


def test_the_operator_may_hold_its_lease() -> None:
    assert granted("Role", "fairlead-system-lease") == rights(access.LEASE_RULES)
