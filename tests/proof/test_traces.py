"""What tells an operator that is stuck for good from one that is only slow."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from proof.harm import CutBefore, Refused, everything
from proof.proxy import Cut, Hooks
from proof.requests import Answer, Request, refusal
from proof.traces import GONE, LISTINGS, LONG, ON_THE_WAY, Counted, traces
from proof.watch_harm import Gap

DONE = Answer(200, b"{}")
APPLY = {"Content-Type": "application/apply-patch+yaml"}
METADATA = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
SERVICES = "/api/v1/namespaces/a/services"


def apply(name: str = "grows", namespace: str = "a") -> Request:
    return Request("PATCH", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}", {}, APPLY, b"{}", 1)


def watch() -> Request:
    return Request("GET", "/api/v1/pods", {"watch": "true"})


def listing(headers: dict[str, str] = METADATA) -> Request:
    return Request("GET", SERVICES, {}, headers)


def asked(*requests: Request, harm: Hooks | None = None, answer: Answer = DONE, rate: int = 30) -> Counted:
    """All of them just now, one after the other."""
    counted = Counted(rate, harm or Hooks())

    async def ask() -> None:
        for request in requests:
            with contextlib.suppress(Cut):
                if await counted.before(request) is None and request.verb != "watch":
                    await counted.after(request, answer)

    asyncio.run(ask())
    return counted


def refused() -> Refused:
    return Refused(everything, answer=refusal(409, "Conflict"))


def unseen(*requests: Request) -> Counted:
    """After a gap in which a Service went."""
    gap = Gap()
    gap.over("Service a/shrinks")
    counted = asked(*requests)
    counted.inner = gap
    return counted


def found(counted: Counted, later: float = LONG + 1, *, waits: bool = False, **facts: Any) -> list[str]:
    """Of an operator that watches and has one service, so many seconds later; `waits`: for an answer all the time."""
    unanswered = [(time.monotonic(), apply())] if waits else []
    known: dict[str, Any] = {"watches": 8, "unanswered": unanswered, "said": (), "services": ["a/grows"], **facts}
    return traces(counted, now=time.monotonic() + later, **known)


@pytest.mark.parametrize(
    ("counted", "facts", "told"),
    [
        pytest.param(lambda: asked(apply(), harm=refused()), {}, "apply deployments grows came to nothing, and was not tried again for 16 s", id="a write is given up"),
        pytest.param(lambda: asked(apply("grows-1234"), harm=refused()), {}, "apply deployments grows-1234 came to nothing, and was not tried again for 16 s", id="of a child with a name of its own"),
        pytest.param(lambda: asked(apply(), answer=refusal(500)), {}, "apply deployments grows came to nothing, and was not tried again for 16 s", id="refused by the API server itself"),
        pytest.param(lambda: asked(watch()), {"watches": 0}, "nothing is watched, and no watch was begun for 16 s", id="watches do not come back"),
        pytest.param(asked, {"waits": True}, "apply deployments grows was not answered for 16 s, and is waited for", id="a write without a deadline"),
        pytest.param(asked, {"said": [f"InferenceService a/grows{GONE}"]}, "InferenceService a/grows is taken for gone", id="a part is the whole"),
        pytest.param(lambda: unseen(*[listing()] * LISTINGS), {}, "Service a/shrinks is not known to be gone after 3 listings", id="what is gone stays known"),
    ],
)  # fmt: skip
def test_an_operator_that_is_stuck_leaves_a_trace(counted: Callable[[], Counted], facts: dict[str, Any], told: str) -> None:  # fmt: skip
    assert found(counted(), **facts) == [told]


@pytest.mark.parametrize(
    ("counted", "facts"),
    [
        pytest.param(asked, {}, id="it has done nothing yet"),
        pytest.param(lambda: asked(apply(), apply(), harm=refused()), {}, id="the second try of a write came through"),
        pytest.param(lambda: asked(apply(), harm=refused()), {"later": LONG - 1}, id="the next try is still to come"),
        pytest.param(lambda: asked(apply(), harm=refused()), {"services": ["a/grow", "b/grows"]}, id="the service of the write has gone"),
        pytest.param(lambda: asked(Request("DELETE", f"{SERVICES}/grows", number=1), answer=refusal(404)), {}, id="what was to be deleted had gone"),
        pytest.param(lambda: asked(watch()), {"watches": 0, "later": LONG - 1}, id="watches pause before they begin anew"),
        pytest.param(lambda: asked(watch()), {"watches": 1}, id="one has begun anew"),
        pytest.param(asked, {"waits": True, "later": LONG - 1}, id="an answer that is late"),
        pytest.param(asked, {"said": [f"InferenceService a/goes{GONE}", f"Service a/grows{GONE}"]}, id="what it says to be gone is gone"),
        pytest.param(lambda: unseen(*[listing()] * (LISTINGS - 1)), {}, id="it could not know yet"),
        pytest.param(lambda: unseen(*[listing({})] * LISTINGS), {}, id="kopf's listings compare nothing"),
        pytest.param(lambda: unseen(*[listing()] * LISTINGS), {"said": [f"Service a/shrinks{GONE}"]}, id="it knows"),
    ],
)  # fmt: skip
def test_one_that_is_slow_leaves_none(counted: Callable[[], Counted], facts: dict[str, Any]) -> None:
    assert found(counted(), **facts) == []


@pytest.mark.parametrize(
    ("request_", "more"),
    [pytest.param(listing(), 1, id="a read is asked again"), pytest.param(apply(), 0, id="a patch is not")],
)
def test_what_the_http_client_repeats_by_itself_is_no_flood(request_: Request, more: int) -> None:
    cut = asked(request_, *[listing()] * (ON_THE_WAY + more - 1), harm=CutBefore(lambda one: one is request_), rate=0)

    assert cut.flood() == ""
    cut.asked += cut.asked[:1]
    assert cut.flood() != ""
