"""`why` and `status` as a user meets them, on a cluster that is a situation's file. tests/api has the real kubectl."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from fairlead_cli.__main__ import fairlead
from fairlead_cli.why import telling
from fairlead_cli.why.asking import Refusal, UnansweredError
from fairlead_cli.why.options import Place
from fairlead_operator.core.names import Manifest
from unit.cli.why.situation import Situation

Use = Callable[[Situation], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes a situation the cluster that every command speaks to."""
    return lambda situation: monkeypatch.setattr(Place, "reader", lambda _: situation)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(fairlead, arguments)


@pytest.mark.parametrize("command", [("why", "mistral"), ("why",), ("why", "-A"), ("status", "mistral")])
@pytest.mark.parametrize(
    ("situation", "code"), [("healthy", 0), ("context-does-not-fit", 1), ("operator-does-not-look", 1)]
)
def test_the_exit_code_tells_healthy_from_not(use: Use, command: tuple[str, ...], situation: str, code: int) -> None:
    use(Situation.of(situation))

    assert run(*command).exit_code == code


@dataclass
class Refusing(Situation):
    """A cluster that gives one answer to all."""

    refusal: Refusal = Refusal.UNREACHABLE

    def get(self, kind: str, name: str) -> Manifest:
        raise UnansweredError(self.refusal, "kubectl's words")


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        pytest.param(Refusal.ABSENT, "there is no InferenceService mistral in namespace models", id="no such service"),
        pytest.param(Refusal.NO_SUCH_KIND, "install fairlead's chart", id="no CRD"),
        pytest.param(Refusal.FORBIDDEN, "you may not read what this needs: kubectl's words", id="no rights"),
        pytest.param(Refusal.UNREACHABLE, "the cluster does not answer: kubectl's words", id="no cluster"),
    ],
)
@pytest.mark.parametrize("command", ["why", "status", "logs"])
def test_what_cannot_be_told_is_neither_healthy_nor_unhealthy(
    use: Use, command: str, refusal: Refusal, told: str
) -> None:
    use(Refusing({}, refusal))

    done = run(command, "mistral", "-n", "models")

    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_in_json_names_are_the_apis_and_a_maps_keys_their_users() -> None:
    @dataclass
    class Told:
        ready_pods: int
        node_selector: dict[str, str]
        at_last: tuple[datetime, ...]

    told = Told(1, {"node_pool": "a"}, (datetime(2026, 1, 2, tzinfo=UTC),))

    assert json.loads(telling.as_json(told)) == {
        "readyPods": 1,
        "nodeSelector": {"node_pool": "a"},
        "atLast": ["2026-01-02T00:00:00Z"],
    }


def test_a_name_and_all_namespaces_contradict_each_other() -> None:
    assert run("why", "mistral", "-A").exit_code == 2


def test_without_a_terminal_there_are_no_colours_and_json_is_json(use: Use) -> None:
    use(Situation.of("context-does-not-fit"))

    assert "\x1b" not in run("why", "mistral").stdout
    assert json.loads(run("why", "mistral", "-o", "json").stdout)["healthy"] is False
    assert json.loads(run("why", "-o", "json").stdout)["services"][0]["reason"] == "KVCacheTooSmall"


def test_status_is_a_table_of_conditions_and_pods(use: Use) -> None:
    use(Situation.of("context-does-not-fit"))

    lines = run("status", "mistral").stdout.splitlines()

    assert lines[0] == "0 of 1 replicas Ready, 1 of 1 pods of this spec"
    # The column between is how long: by the clock.
    assert {("EngineHealthy", "False", "KVCacheTooSmall"), ("Accepted", "True", "Valid")} <= {
        (words[0], words[1], words[-1]) for line in lines if len(words := line.split()) > 3
    }
    assert "mistral-0   Failed   node-1   KVCacheTooSmall" in lines
