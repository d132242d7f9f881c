"""A generated API key: made once, never read, never changed, made again when a pod misses it."""

import base64
from itertools import count
from typing import Any

import pytest

from fairlead_operator.controller.api_keys import LOOK, MISSED_LOOK, ApiKeys
from fairlead_operator.controller.outcomes import ApiError, NotYetError, RejectedError
from fairlead_operator.core import names
from fairlead_operator.core.transitions import MAX_NOTE, Event
from unit.operator.builders import event, observed, service, starting
from unit.operator.controller.objects import Clock

ASKED = service().spec("serving", apiKey="Generate")
SECRET = names.api_key_secret("mistral", ASKED.resolved.uid)


class Server:
    """Stands in for Cluster and Recorder: it knows what Secrets there are, and shows none."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.tries = 0
        self.told: list[Event] = []
        self.refuses: ApiError | None = None

    async def create(self, kind: Any, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self.tries += 1
        if self.refuses:
            raise self.refuses
        if body["metadata"]["name"] in self.secrets:
            raise ApiError(409, "AlreadyExists", "it is there")
        self.secrets[body["metadata"]["name"]] = body
        return body

    async def emit(self, raw: dict[str, Any], event: Event) -> None:
        self.told.append(event)

    def key(self) -> str:
        return base64.b64decode(self.secrets[SECRET]["data"]["keys"]).decode()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: Server, clock: Clock) -> ApiKeys:
    numbers = count(1)
    return ApiKeys(server, server, random=lambda: f"key-{next(numbers)}", now=clock)  # type: ignore[arg-type]


def misses_it() -> Any:
    lacking = event("FailedMount", f'MountVolume.SetUp failed for volume "api-keys" : secret "{SECRET}" not found')
    waiting = starting()
    waiting = type(waiting)(**{**waiting.facts, "container": {"state": {"waiting": {"reason": "ContainerCreating"}}}})
    return observed(ASKED, waiting, events=(lacking,))


async def ensure(keys: ApiKeys, seen: Any = None) -> list[str]:
    return await keys.ensure(ASKED.raw, ASKED.resolved, seen or observed(ASKED))


async def test_a_key_is_made_once_and_told_by_the_name_of_its_secret(keys: ApiKeys, server: Server) -> None:
    assert await ensure(keys) == [f"Secret/{SECRET}: created"]
    assert await ensure(keys) == []

    assert (server.tries, server.key()) == (1, "key-1\n")
    assert [told.reason for told in server.told] == ["APIKeyMade"]
    assert SECRET in server.told[0].note
    assert "key-1" not in server.told[0].note
    assert server.secrets[SECRET]["metadata"]["ownerReferences"][0]["uid"] == ASKED.resolved.uid


async def test_another_process_leaves_the_key_as_it_is(keys: ApiKeys, server: Server) -> None:
    await ensure(keys)
    successor = ApiKeys(server, server)  # type: ignore[arg-type]

    assert await ensure(successor) == []

    assert server.key() == "key-1\n"
    assert len(server.told) == 1


async def test_a_deleted_secret_comes_back_with_another_key(keys: ApiKeys, server: Server, clock: Clock) -> None:
    await ensure(keys)
    server.secrets.clear()

    clock.time += LOOK - 1
    assert await ensure(keys) == []
    clock.time += 1
    assert await ensure(keys) == [f"Secret/{SECRET}: created"]
    assert server.key() == "key-2\n"


async def test_a_secret_that_a_pod_misses_comes_back_at_once(keys: ApiKeys, server: Server, clock: Clock) -> None:
    await ensure(keys)
    server.secrets.clear()

    clock.time += MISSED_LOOK
    assert await ensure(keys, misses_it()) == [f"Secret/{SECRET}: created"]
    assert await ensure(keys, misses_it()) == [], "and is not asked for again at every look"


@pytest.mark.parametrize("asked", [service(), service().spec("serving", apiKeySecretRef={"name": "k", "key": "k"})])
async def test_without_the_word_nothing_is_made(keys: ApiKeys, server: Server, asked: Any) -> None:
    assert await keys.ensure(asked.raw, asked.resolved, observed(asked)) == []
    assert server.tries == 0


FIRST = observed(ASKED, children=())
NO_RIGHT = ApiError(403, "Forbidden", "secrets is forbidden")
QUOTA = ApiError(403, "Forbidden", "exceeded quota: secrets")
UNKNOWN_QUOTA = ApiError(403, "Forbidden", "status unknown for quota: few, resources: count/secrets")
TROUBLE = ApiError(500, "InternalError", "later")
POLICY = ApiError(
    403,
    "Forbidden",
    'admission webhook "a.example.com" denied the request: ask https://me:hunter22@example.com' + " x" * 5000,
)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        pytest.param(POLICY, RejectedError, id="a policy"),
        pytest.param(ApiError(422, "Invalid", "data: too long"), RejectedError, id="its content"),
        pytest.param(NO_RIGHT, ApiError, id="a right that is gone"),
        pytest.param(QUOTA, ApiError, id="a quota"),
        pytest.param(UNKNOWN_QUOTA, ApiError, id="a quota that nobody has counted yet"),
        pytest.param(ApiError(403, "Forbidden", "namespace is being terminated"), NotYetError, id="the end is near"),
        pytest.param(TROUBLE, ApiError, id="the server's trouble"),
    ],
)
async def test_a_refusal_says_what_to_do(
    keys: ApiKeys, server: Server, refusal: ApiError, error: type[Exception]
) -> None:
    server.refuses = refusal

    with pytest.raises(error) as raised:
        await ensure(keys, FIRST)

    if isinstance(raised.value, RejectedError):
        assert raised.value.field == "spec.serving.apiKey"
        assert "apiKeySecretRef" in raised.value.message
        assert "hunter22" not in raised.value.message
        assert len(raised.value.message) < MAX_NOTE
    server.refuses = None
    assert await ensure(keys, FIRST) == [f"Secret/{SECRET}: created"]


@pytest.mark.parametrize("refusal", [POLICY, NO_RIGHT, QUOTA, TROUBLE])
async def test_a_refusal_stops_no_service_whose_pods_have_the_key(
    keys: ApiKeys, server: Server, clock: Clock, refusal: ApiError
) -> None:
    server.refuses = refusal

    assert await ensure(keys) == []
    assert (await ensure(keys), server.tries) == ([], 1), "and is not asked for again at every look"

    clock.time += MISSED_LOOK
    with pytest.raises((RejectedError, ApiError)):
        await ensure(keys, misses_it())


async def test_without_the_right_only_a_service_that_needs_a_key_is_refused(server: Server) -> None:
    keys = ApiKeys(server, server, permitted=False)  # type: ignore[arg-type]

    with pytest.raises(RejectedError, match=r"spec\.serving\.apiKeySecretRef") as raised:
        await ensure(keys, FIRST)

    assert raised.value.field == "spec.serving.apiKey"
    assert await ensure(keys) == []
    assert await keys.ensure(service().raw, service().resolved, observed(service(), children=())) == []
    assert server.tries == 0
