"""What becomes of events and lists, hook by hook; how the proxy passes them on is in test_proxy.py."""

import json
from typing import Any

import pytest

from proof.harm import Harm, Refused, key, of
from proof.proxy import Cut
from proof.requests import EXPIRED, Answer, Request
from proof.watch_harm import CutEvents, Dropped, ExpiredPages, Gap, GoneAnswers, Silent, Stale, Twice

WATCH = Request("GET", "/api/v1/pods", {"watch": "true"})
LIST = Request("GET", "/api/v1/pods")


def event(version: int, kind: str = "MODIFIED") -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"uid": "u", "resourceVersion": str(version)}}}


async def told(harm: Harm, *events: dict[str, Any]) -> list[tuple[str, str]]:
    seen = [one for given in events for one in await harm.event(WATCH, given)]
    return [(one["type"], one["object"]["metadata"].get("resourceVersion", "")) for one in seen]


async def test_each_thrice() -> None:
    assert await told(Twice(), event(1)) == [("MODIFIED", "1")] * 3


async def test_an_older_one_follows_even_the_end() -> None:
    seen = await told(Stale(), event(1, "ADDED"), event(2), event(3, "DELETED"))

    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("MODIFIED", "1"), ("DELETED", "3"), ("MODIFIED", "2")]


async def test_some_are_dropped_and_errors_never() -> None:
    assert await told(Dropped(most=2), *(event(n) for n in range(6)), EXPIRED) == [
        ("MODIFIED", "1"), ("MODIFIED", "3"), ("MODIFIED", "4"), ("MODIFIED", "5"), ("ERROR", ""),
    ]  # fmt: skip


async def test_the_third_cuts() -> None:
    harm = CutEvents(every=3)
    assert len(await told(harm, event(1), event(2))) == 2

    with pytest.raises(Cut):
        await harm.event(WATCH, event(3))


async def test_silence_until_it_is_watched_anew() -> None:
    harm = Silent()
    assert await told(harm, event(1)) == []

    await harm.before(WATCH)

    assert await told(harm, event(2)) == [("MODIFIED", "2")]


async def test_a_gap_ends() -> None:
    gap = Gap()
    assert (await gap.before(LIST) or Answer(0)).status == 503
    gap.over()

    assert await gap.before(LIST) is None


async def test_one_watch_of_a_kind_is_gone() -> None:
    harm = GoneAnswers()

    assert [await harm.before(request) is None for request in (LIST, WATCH, WATCH)] == [True, False, True]


async def test_the_first_token_expires_and_the_second_serves() -> None:
    harm = ExpiredPages()
    whole = Answer(200, json.dumps({"metadata": {}, "items": [1, 2, 3]}).encode())

    async def page(token: str = "") -> Answer | None:
        request = Request("GET", "/api/v1/pods", {"continue": token} if token else {})
        return await harm.before(request) or await harm.after(request, whole)

    first = (await page() or whole).manifest
    assert first["items"] == [1]
    assert (await page(first["metadata"]["continue"]) or whole).status == 410
    again = (await page() or whole).manifest
    assert (await page(again["metadata"]["continue"]) or whole).manifest["items"] == [2, 3]


async def test_the_first_of_each_request_fails() -> None:
    harm = Refused(of("pods", verbs=("list",)))
    other = Request("GET", "/api/v1/namespaces/a/pods")

    assert [await harm.before(request) is None for request in (LIST, LIST, other, WATCH)] == [False, True, False, True]


def test_an_event_is_the_same_under_any_name() -> None:
    def create(name: str) -> Request:
        body = {"metadata": {"name": name}, "reason": "Ready", "regarding": {"name": "m"}}
        return Request("POST", "/apis/events.k8s.io/v1/namespaces/a/events", body=json.dumps(body).encode())

    assert key(create("x")) == key(create("y"))
