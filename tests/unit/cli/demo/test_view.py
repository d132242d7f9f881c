"""The demo's view of a service: when it is content, when it gives up."""

from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from fairlead_cli.demo import view
from fairlead_cli.demo.view import NotReady, follow, follow_to_failure


class Scripted:
    """A kubectl that shows one sight after the other, the last one for ever."""

    def __init__(self, *sights: dict[str, Any]) -> None:
        self._sights: Iterator[dict[str, Any]] = iter(sights)
        self._last: dict[str, Any] = {}
        self.looks = 0

    def get(self, *_: str) -> Any:
        self.looks += 1
        self._last = next(self._sights, self._last)
        return self._last


def sight(*, seen: int = 2, **conditions: str) -> dict[str, Any]:
    """A service of generation 2 whose status is about generation `seen`."""
    rows = [{"type": kind, "status": status, "reason": "R", "message": "m"} for kind, status in conditions.items()]
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "conditions": rows}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LOOK_EVERY", 0.0)


@pytest.mark.parametrize(
    ("until", "sights", "looks"),
    [
        pytest.param(follow, [sight(Ready="False"), sight(Ready="True")], 2, id="until Ready"),
        pytest.param(follow, [sight(seen=1, Ready="True"), sight(Ready="True")], 2, id="Ready of an earlier spec is not this one's"),
        pytest.param(follow, [sight(seen=1, Ready="False", Stalled="True"), sight(Ready="True")], 2, id="nor is Stalled: a cure is on its way"),
        pytest.param(follow_to_failure, [sight(EngineHealthy="True"), sight(EngineHealthy="False", Ready="False", Stalled="True")], 2, id="until the engine has failed, stalled or not"),
    ],
)  # fmt: skip
def test_it_is_followed(until: Any, sights: list[dict[str, Any]], looks: int) -> None:
    scripted = Scripted(*sights)

    until(Console(quiet=True), scripted, "demo", 60.0)

    assert scripted.looks == looks


@pytest.mark.parametrize(
    ("until", "last", "seconds"),
    [
        pytest.param(follow, sight(Ready="False", Stalled="True"), 60.0, id="nothing will move any more"),
        pytest.param(follow, sight(Ready="False"), 0.0, id="it takes too long"),
        pytest.param(follow_to_failure, sight(Ready="True", EngineHealthy="True"), 0.0, id="nothing fails"),
    ],
)
def test_it_gives_up_and_says_why(until: Any, last: dict[str, Any], seconds: float) -> None:
    with pytest.raises(NotReady, match="fairlead why demo"):
        until(Console(quiet=True), Scripted(last), "demo", seconds)
