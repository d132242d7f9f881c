"""Requests as they go over the wire, against a server that answers what the test says."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client
from kubernetes.aio.config import ConfigException

from fairlead_operator.controller.bucket import TokenBucket
from fairlead_operator.controller.cluster import LONGEST_RETRY_AFTER, THROTTLED_TRIES, WRITE_TIMEOUT, Cluster
from fairlead_operator.controller.kinds import INFERENCE_SERVICES, PODS
from fairlead_operator.controller.lease import DURATION, RENEW_DEADLINE
from fairlead_operator.controller.metrics import Metrics
from fairlead_operator.controller.outcomes import ApiError, LostLeaseError
from fairlead_operator.controller.store import Listed
from unit.operator.controller.objects import obj

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "ns", "name": "a"}}
Answer = tuple[int, Any, dict[str, str]]


class Wire:
    """The requests that came, and the answers that go."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.texts: list[str] = []
        self.answers: list[Answer] = []
        self.pauses: list[float] = []
        self.may_write = True

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.texts.append(text)
        self.requests.append(
            (request.method, request.path_qs, dict(request.headers), json.loads(text) if text else None)
        )
        code, body, headers = self.answers.pop(0)
        return web.Response(status=code, text=body if isinstance(body, str) else json.dumps(body), headers=headers)


@pytest.fixture
async def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(TokenBucket, "pause", lambda _, seconds: wire.pauses.append(seconds))
    return wire


@pytest.fixture
async def cluster(wire: Wire) -> AsyncIterator[Cluster]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", wire.handle)
    server = TestServer(app)
    await server.start_server()

    def check() -> None:
        if not wire.may_write:
            raise LostLeaseError("lost")

    configuration = client.Configuration(host=str(server.make_url("")).rstrip("/"))
    cluster = Cluster(configuration, TokenBucket(1000, 1000), Metrics(), check)
    yield cluster
    await cluster.close()
    await server.close()


async def test_an_apply_is_forced_and_carries_the_uid_it_knows(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(200, obj(), {})]

    await cluster.apply(DEPLOYMENT, "u1")

    method, path, headers, body = wire.requests[0]
    assert (method, path) == (
        "PATCH",
        "/apis/apps/v1/namespaces/ns/deployments/a?fieldManager=fairlead&force=true&timeout=5s",
    )
    assert headers["Content-Type"] == "application/apply-patch+yaml; charset=utf-8"
    assert body["metadata"]["uid"] == "u1"
    assert "uid" not in DEPLOYMENT["metadata"]


@pytest.mark.parametrize(
    "text", ["\U0001f600 \U0010ffff", "\ud7ff \ue000 \ufffe \ufeff", "\x00\x7f\x85\u2028", '"\\ude00']
)
async def test_what_is_applied_is_json_and_yaml_for_any_text(cluster: Cluster, wire: Wire, text: str) -> None:
    """The API server reads an apply as YAML, which knows no surrogates and no bare control characters."""
    wire.answers = [(200, obj(), {})]

    await cluster.apply({**DEPLOYMENT, "spec": {text: text}}, None)

    assert wire.requests[0][3]["spec"] == {text: text}
    assert yaml.safe_load(wire.texts[0])["spec"] == {text: text}
    assert "\\ud83d" not in wire.texts[0]


async def test_status_has_its_own_manager_and_names_the_uid(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(200, obj(), {})]

    await cluster.apply_status(obj(uid="u7"), {"replicas": 1})

    _, path, _, body = wire.requests[0]
    assert path.endswith("/inferenceservices/mistral/status?fieldManager=fairlead-status&force=true&timeout=5s")
    assert (body["metadata"]["uid"], body["status"]) == ("u7", {"replicas": 1})


async def test_parts_are_removed_from_exactly_the_version_that_is_known(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(200, obj(), {})]

    await cluster.remove(PODS, obj(resourceVersion="7"), ["/spec/b/1", "/spec/b/0"])

    (method, _, headers, body) = wire.requests[0]
    assert (method, headers["Content-Type"]) == ("PATCH", "application/json-patch+json")
    assert body == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/spec/b/1"},
        {"op": "remove", "path": "/spec/b/0"},
    ]


async def test_parts_are_rewritten_in_exactly_the_version_that_is_known(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(200, obj(), {})]

    await cluster.rewrite(PODS, obj(resourceVersion="7"), {"/spec/ports": [{"port": 80}]})

    assert wire.requests[0][3] == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/spec/ports", "value": [{"port": 80}]},
    ]


def test_no_write_can_happen_after_another_may_have_taken_over() -> None:
    """It is checked up to RENEW_DEADLINE after a renewal, takes at most WRITE_TIMEOUT, and others wait DURATION."""
    assert RENEW_DEADLINE + WRITE_TIMEOUT <= DURATION


async def test_only_writes_have_the_short_time_out(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(200, obj(), {}), (200, obj(), {})]

    await cluster.get(PODS, "ns", "a")
    await cluster.delete(PODS, obj("a"))

    assert [path.partition("?")[2] for _, path, _, _ in wire.requests] == ["", f"timeout={WRITE_TIMEOUT}s"]


async def test_pages_are_followed(cluster: Cluster, wire: Wire) -> None:
    first = {"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [obj("a")]}
    wire.answers = [(200, first, {}), (200, {"metadata": {"resourceVersion": "5"}, "items": [obj("b")]}, {})]

    items, revision = await cluster.list_versions(PODS, None)

    assert items == [Listed.of(obj("a")), Listed.of(obj("b"))]
    assert revision == 5
    assert "PartialObjectMetadataList" in wire.requests[0][2]["Accept"]
    assert "labelSelector=app.kubernetes.io/managed-by%3Dfairlead" in wire.requests[0][1]
    assert "continue=more" in wire.requests[1][1]


async def test_an_empty_list_may_be_null(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(200, {"metadata": {"resourceVersion": "5"}, "items": None}, {})]

    assert await cluster.list_versions(PODS, "ns") == ([], 5)


async def test_retry_after_is_obeyed(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(429, {"message": "slow"}, {"Retry-After": "7"}), (200, obj(), {})]

    assert await cluster.get(PODS, "ns", "a") == obj()
    assert wire.pauses == [7.0]


@pytest.mark.parametrize(
    ("said", "silent"),
    [
        pytest.param("Sat, 28 Nov 2026 00:00:00 GMT", 1.0, id="a date, as a load balancer may write it"),
        pytest.param("86400", LONGEST_RETRY_AFTER, id="longer than we wait in place"),
        pytest.param("-1", 0.0, id="the past"),
        pytest.param("", 1.0, id="nothing"),
    ],
)
async def test_any_retry_after_is_understood(cluster: Cluster, wire: Wire, said: str, silent: float) -> None:
    wire.answers = [(429, {"message": "slow"}, {"Retry-After": said}), (200, obj(), {})]

    await cluster.get(PODS, "ns", "a")

    assert wire.pauses == [silent]


async def test_a_server_that_stays_busy_is_an_error(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(429, {"message": "slow", "reason": "TooManyRequests"}, {})] * THROTTLED_TRIES

    with pytest.raises(ApiError, match="429 TooManyRequests: slow"):
        await cluster.get(PODS, "ns", "a")
    assert wire.answers == []
    assert len(wire.pauses) == THROTTLED_TRIES, "the last one counts for whatever is asked next"


@pytest.mark.parametrize(
    "write",
    [
        lambda cluster: cluster.apply(DEPLOYMENT, None),
        lambda cluster: cluster.apply_status(obj(), {}),
        lambda cluster: cluster.create(PODS, "ns", {}),
        lambda cluster: cluster.delete(PODS, obj()),
        lambda cluster: cluster.merge(PODS, ("ns", "a"), {}),
        lambda cluster: cluster.remove(PODS, obj(), ["/spec"]),
    ],
    ids=["apply", "status", "create", "delete", "merge", "remove"],
)
async def test_nothing_is_written_without_the_lease(
    cluster: Cluster, wire: Wire, write: Callable[[Cluster], Awaitable[object]]
) -> None:
    wire.may_write = False

    with pytest.raises(LostLeaseError):
        await write(cluster)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("ask", "request_is"),
    [
        (lambda cluster: cluster.get(PODS, "pods", "a"), "get Pod a"),
        (lambda cluster: cluster.list_all(PODS, "ns"), "list Pod"),
        (lambda cluster: cluster.apply(DEPLOYMENT, None), "apply Deployment a"),
        (lambda cluster: cluster.apply_status(obj(), {}), "apply InferenceService mistral/status"),
        (lambda cluster: cluster.create(PODS, "ns", obj()), "create Pod mistral"),
        (lambda cluster: cluster.delete(PODS, obj()), "delete Pod mistral"),
        (lambda cluster: cluster.remove(PODS, obj(), ["/spec"]), "patch Pod mistral"),
    ],
    ids=["get", "list", "apply", "status", "create", "delete", "remove"],
)
async def test_a_refusal_names_what_was_asked(
    cluster: Cluster, wire: Wire, ask: Callable[[Cluster], Awaitable[object]], request_is: str
) -> None:
    wire.answers = [(403, {"message": "no", "reason": "Forbidden"}, {})]

    with pytest.raises(ApiError) as refused:
        await ask(cluster)

    assert refused.value.request == request_is


async def test_reading_needs_no_lease(cluster: Cluster, wire: Wire) -> None:
    wire.may_write = False
    wire.answers = [(404, {"message": "no"}, {})]

    assert await cluster.get(PODS, "ns", "a") is None


async def test_deleting_what_is_gone_is_well_and_names_the_uid(cluster: Cluster, wire: Wire) -> None:
    wire.answers = [(404, {"message": "gone"}, {})]

    await cluster.delete(PODS, obj(uid="u3"))

    assert wire.requests[0][3]["preconditions"] == {"uid": "u3"}


@pytest.mark.parametrize("page", ["<html>bad gateway</html>", '"bad gateway"', '["bad gateway"]'])
async def test_an_error_page_is_an_error_not_a_crash(cluster: Cluster, wire: Wire, page: str) -> None:
    wire.answers = [(502, page, {})]

    with pytest.raises(ApiError, match=r"502.*bad gateway"):
        await cluster.get(PODS, "ns", "a")


@pytest.mark.parametrize(
    "failure", [OSError(24, "too many open files"), ConfigException("token file exists but empty")]
)
async def test_a_token_that_cannot_be_read_is_an_error_like_no_answer(failure: Exception) -> None:
    """It is read anew each minute: by the next try it may be there again."""
    configuration = client.Configuration(host="http://127.0.0.1:1")

    async def read_anew(_: Any) -> None:
        raise failure

    configuration.api_key = {"BearerToken": "old"}
    configuration.refresh_api_key_hook = read_anew  # type: ignore[assignment]
    cluster = Cluster(configuration, TokenBucket(9, 9), Metrics(), lambda: None)

    with pytest.raises(ApiError, match=f"token cannot be read.*{failure.args[-1]}") as refused:
        await cluster.get(PODS, "ns", "a")

    assert refused.value.code == 0
    await cluster.close()


async def test_no_answer_is_an_error_with_code_0() -> None:
    cluster = Cluster(client.Configuration(host="http://127.0.0.1:1"), TokenBucket(9, 9), Metrics(), lambda: None)

    with pytest.raises(ApiError, match="no answer") as failure:
        await cluster.get(PODS, "ns", "a")

    assert failure.value.code == 0
    await cluster.close()


@pytest.mark.parametrize(
    ("answer", "served"),
    [
        ((404, {"message": "no"}, {}), False),
        ((200, {"resources": [{"name": "others"}]}, {}), False),
        ((200, {"resources": [{"name": "inferenceservices"}]}, {}), True),
    ],
)
async def test_whether_our_kind_is_served(cluster: Cluster, wire: Wire, answer: Answer, served: bool) -> None:  # noqa: FBT001
    wire.answers = [answer]

    assert await cluster.served(INFERENCE_SERVICES) == served
    assert wire.requests[0][1] == "/apis/fairlead.dev/v1alpha1"
