"""All services, a line each."""

from copy import deepcopy

from fairlead_cli.why.listing import lines, look
from unit.cli.why.situation import Situation


def several(*names: str) -> Situation:
    """The services of several situations in one namespace, each under its situation's name."""
    first = Situation.of(names[0])
    services = []
    for name in names:
        service = deepcopy(Situation.of(name).facts["inferenceservice"])
        service["metadata"]["name"] = name
        services.append(service)
    first.facts["inferenceservices"] = services
    return first


def test_one_line_each_and_a_sentence_for_what_is_not_healthy() -> None:
    situation = several("healthy", "context-does-not-fit", "suspended")

    listing = look(situation, situation.now(), everywhere=True)

    assert not listing.healthy
    assert [line.text for line in lines(listing, 80, everywhere=True)] == [
        "NAMESPACE   NAME                   READY   REPLICAS   SINCE   REASON",
        "models      healthy                True    2/2        2 h     AllReplicasReady",
        "models      context-does-not-fit   False   0/1        4 min   KVCacheTooSmall",
        "    one request of 4096 tokens does not fit the KV cache, 0.5 GiB of KV cache...",
        "models      suspended              True    0/0        4 min   Suspended",
    ]


def test_all_healthy() -> None:
    situation = several("healthy", "suspended")

    assert look(situation, situation.now(), everywhere=False).healthy


def test_nobody_acts_is_said_once() -> None:
    situation = several("operator-stopped", "healthy")

    told = [line.text for line in lines(look(situation, situation.now(), everywhere=False), 80, everywhere=False)]

    assert "operator was stopped" in told[-1]
    assert "NotSeenYet" in told[1]


def test_none_at_all_is_healthy_and_said() -> None:
    situation = Situation({**Situation.of("healthy").facts, "inferenceservices": []})
    listing = look(situation, situation.now(), everywhere=False)

    assert listing.healthy
    assert lines(listing, 80, everywhere=False)[0].text == "no InferenceService in this namespace"
