"""A busy API server is asked again; anything else ends the run."""

from typing import cast

import httpx
import pytest
from scale import ground
from scale.ground import Ground

from api.cluster import Kubectl
from fairlead_cli.local.controlplane import ControlPlane

BUSY, DONE = httpx.Response(504), httpx.Response(200, json={"items": [{"n": 1}, {"n": 2}], "metadata": {}})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale.ground.time.sleep", lambda _: None)


def asking(*answers: httpx.Response | Exception) -> tuple[Ground, list[str]]:
    """A server that gives these answers, the last one again and again; and what it was asked."""
    left, asked = list(answers), list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    client = httpx.Client(base_url="http://server", transport=httpx.MockTransport(answer))
    return Ground(cast("ControlPlane", None), client, cast("Kubectl", None)), asked


@pytest.mark.parametrize("trouble", [BUSY, httpx.Response(429), httpx.ReadTimeout("late")], ids=["504", "429", "late"])
def test_a_write_to_a_busy_server_is_done_in_the_end(trouble: httpx.Response | Exception) -> None:
    there, asked = asking(trouble, trouble, DONE)

    there.patch("/x", {})

    assert asked == ["PATCH"] * 3


def test_what_a_creation_that_was_given_up_has_made_is_there() -> None:
    there, asked = asking(BUSY, httpx.Response(409))

    there.create("/x", {})

    assert asked == ["POST"] * 2


def test_a_refusal_ends_the_run_at_once() -> None:
    there, asked = asking(httpx.Response(422))

    with pytest.raises(httpx.HTTPStatusError, match="422"):
        there.patch("/x", {})

    assert len(asked) == 1


@pytest.mark.parametrize("trouble", [BUSY, httpx.ConnectError("gone")], ids=["504", "gone"])
def test_a_server_that_stays_busy_ends_the_run(trouble: httpx.Response | Exception) -> None:
    there, asked = asking(trouble)

    with pytest.raises(httpx.HTTPError):
        there.create("/x", {})

    assert len(asked) == ground.TRIES


def test_objects_are_looked_at_again_when_the_server_was_too_busy_to_show_them() -> None:
    there, asked = asking(BUSY, httpx.Response(410), httpx.ReadTimeout("late"), DONE)

    there.until_all("/x", 2, lambda item: item["n"] > 0, 60)

    assert len(asked) == 4


def test_objects_that_may_not_be_looked_at_end_the_run() -> None:
    there, _ = asking(httpx.Response(403))

    with pytest.raises(httpx.HTTPStatusError, match="403"):
        there.until_all("/x", 2, lambda _: True, 60)
