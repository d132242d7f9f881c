"""Who reaches the pods of a service, by the NetworkPolicy that is built for it."""

from dataclasses import replace
from typing import Any

import pytest

from fairlead_operator.core import names
from fairlead_operator.core.build.network import build_network_policy
from fairlead_operator.core.intent import differs
from fairlead_operator.core.resolve import NetworkAccess, Resolved, resolve
from reachability import End, reaches
from unit.operator.builders import DEFAULTS, service

NAME = "kubernetes.io/metadata.name"


def pod(namespace: str, labels: dict[str, str] | None = None, **namespace_labels: str) -> End:
    return End(namespace, labels or {}, {NAME: namespace, **namespace_labels})


ENGINE = pod("models", names.labels("mistral"))
OTHER_ENGINE = pod("models", names.labels("llama"))
OPERATOR = pod("fairlead-system", {**names.OPERATOR_LABELS, "app.kubernetes.io/instance": "fairlead"})
BESIDE_OPERATOR = pod("fairlead-system", {"app": "shell"})
LIKE_OPERATOR = pod("models", names.OPERATOR_LABELS)
PROMETHEUS = pod("monitoring", {"app": "prometheus"})
CLIENT = pod("chat", {"app": "chat"}, llm="yes")
STRANGER = pod("elsewhere", {"app": "any"})
OUTSIDE = End()

OPEN = NetworkAccess("fairlead-system", monitoring=((NAME, "monitoring"),))
NARROW = replace(OPEN, clients=(("llm", "yes"),))
ALONE = NetworkAccess("fairlead-system")


def policy(access: NetworkAccess | None, name: str = "mistral") -> dict[str, Any] | None:
    resolved = resolve(service(name).raw, replace(DEFAULTS, network=access))
    assert isinstance(resolved, Resolved)
    return build_network_policy(resolved)


@pytest.mark.parametrize(
    ("access", "source", "port", "allowed"),
    [
        pytest.param(OPEN, OUTSIDE, 8000, True, id="the serving port is open to the world"),
        pytest.param(OPEN, STRANGER, 8000, True, id="and to any pod"),
        pytest.param(OPEN, OPERATOR, 9090, True, id="the operator asks how an engine is"),
        pytest.param(OPEN, PROMETHEUS, 9090, True, id="monitoring scrapes"),
        pytest.param(OPEN, BESIDE_OPERATOR, 9090, False, id="another pod beside the operator does not"),
        pytest.param(OPEN, LIKE_OPERATOR, 9090, False, id="nor one elsewhere with the operator's labels"),
        pytest.param(OPEN, CLIENT, 9090, False, id="nor a client"),
        pytest.param(OPEN, OTHER_ENGINE, 9090, False, id="nor another engine of the namespace"),
        pytest.param(OPEN, OUTSIDE, 9090, False, id="nor the world"),
        pytest.param(OPEN, STRANGER, 5000, False, id="a port that somebody's code opens is closed"),
        pytest.param(OPEN, OPERATOR, 5000, False, id="to the operator too"),
        pytest.param(NARROW, CLIENT, 8000, True, id="narrowed: a client's namespace"),
        pytest.param(NARROW, OTHER_ENGINE, 8000, True, id="narrowed: the service's own namespace"),
        pytest.param(NARROW, STRANGER, 8000, False, id="narrowed: no other namespace"),
        pytest.param(NARROW, OUTSIDE, 8000, False, id="narrowed: not the world"),
        pytest.param(NARROW, CLIENT, 9090, False, id="narrowed: a client has no business at the management port"),
        pytest.param(ALONE, PROMETHEUS, 9090, False, id="no namespace monitors: only the operator"),
        pytest.param(ALONE, OPERATOR, 9090, True, id="no namespace monitors: the operator still"),
    ],
)
def test_who_reaches_an_engine(access: NetworkAccess, source: End, port: int, *, allowed: bool) -> None:
    built = policy(access)
    assert built is not None

    assert reaches([built], source, ENGINE, port) is allowed
    assert reaches([built], source, OTHER_ENGINE, port), "another service's pods are its own policy's business"


def test_udp_is_closed() -> None:
    built = policy(OPEN)
    assert built is not None

    assert not reaches([built], CLIENT, ENGINE, 8000, "UDP")


def test_none_is_made_unless_it_is_asked_for() -> None:
    assert policy(None) is None
    assert "NetworkPolicy" not in {made["kind"] for made in service().objects}


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda rules: rules.append({}), id="a rule that opens everything"),
        pytest.param(lambda rules: rules[0]["ports"].append({"port": 9090, "protocol": "TCP"}), id="another port"),
        pytest.param(lambda rules: rules[1]["from"].append({"podSelector": {}}), id="another peer"),
        pytest.param(lambda rules: rules[1].pop("from"), id="no peers, which means everybody"),
        pytest.param(lambda rules: rules[0].update({"from": [{"podSelector": {}}]}), id="fewer clients"),
    ],
)
def test_whatever_is_edited_in_its_rules_is_drift(edit: Any) -> None:
    built, edited = policy(OPEN), policy(OPEN)
    assert built is not None
    assert edited is not None
    assert differs(built, edited) is None

    edit(edited["spec"]["ingress"])

    assert differs(built, edited) == "spec.ingress"


def test_another_choice_of_pods_is_drift() -> None:
    """A label more, and the policy is about no pod."""
    built, edited = policy(OPEN), policy(OPEN)
    assert built is not None
    assert edited is not None

    edited["spec"]["podSelector"]["matchLabels"]["more"] = "1"

    assert differs(built, edited) == "spec.podSelector"
