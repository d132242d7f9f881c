"""What is told of a request that the API server does not carry out: its words, where to look, and nothing that changes by itself."""

import pytest

from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.refusal import LONGEST, MOST, WRITE_FAILED, refusal, told
from fairlead_operator.core.transitions import MAX_NOTE

QUOTA = '403 Forbidden: services "mistral" is forbidden: exceeded quota: few, requested: count/services=1, used: count/services=5, limited: count/services=5'
WEBHOOK = '500 InternalError: Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.tools.svc:443/check?timeout=10s": '
RIGHT = '403 Forbidden: services "quota" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "services" in API group "" in the namespace "models"'
EXPIRED = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time {} is after 2026-11-27T00:00:00Z"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        pytest.param(QUOTA, "ResourceQuota", id="a quota for objects"),
        pytest.param('403 Forbidden: services "a" is forbidden: status unknown for quota: few, resources: count/services', "ResourceQuota", id="a quota that nobody has counted yet"),
        pytest.param(f"{WEBHOOK}dial tcp 10.0.0.9:443: connect: connection refused", "that webhook", id="a webhook that nobody serves"),
        pytest.param("500 InternalError: Internal error occurred: failed to allocate a serviceIP: range is full", "ServiceCIDR", id="no address is left"),
        pytest.param(RIGHT, "ServiceAccount this right", id="a right is missing, of an object that is called quota"),
        pytest.param("401 Unauthorized: Unauthorized", "token", id="who is that"),
        pytest.param("500 InternalError: etcdserver: mvcc: database space exceeded", "defragment etcd", id="etcd is full"),
        pytest.param("503 ServiceUnavailable: apiserver is shutting down", "the API server and its etcd", id="the server's own trouble"),
        pytest.param("no answer from the API server: TimeoutError", "the operator's way", id="no answer"),
        pytest.param("409 Conflict: somebody else", REASONS[WRITE_FAILED].remedy, id="whatever else"),
    ],
)  # fmt: skip
def test_the_api_servers_words_are_followed_by_where_to_look(words: str, remedy: str) -> None:
    said = told(refusal("apply Service mistral", words))

    assert said.startswith("each try to apply Service mistral fails: ")
    assert words in said
    assert remedy in said.partition(words)[2]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(EXPIRED.format("2026-11-28T11:14:48Z"), EXPIRED.format("2026-11-28T11:15:50Z"), id="the time of the try"),
        pytest.param("read tcp 10.0.0.5:41234->10.0.0.9:443: reset", "read tcp 10.0.0.5:50123->10.0.0.9:443: reset", id="the port it went out from"),
        pytest.param("read tcp [fd00::5]:41234->[fd00::9]:443: reset", "read tcp [fd00::5]:9->[fd00::9]:443: reset", id="the same, with IPv6"),
        pytest.param("gave up after 10.0021s", "gave up after 9.98s", id="how long it took"),
        pytest.param("audit 7c8a2f0e-1111-4222-8333-444455556666", "audit 00000000-1111-4222-8333-444455556666", id="an id"),
    ],
)  # fmt: skip
def test_what_changes_from_try_to_try_is_no_news(first: str, then: str) -> None:
    assert refusal("get Service a", WEBHOOK + first) == refusal("get Service a", WEBHOOK + then)


def test_numbers_that_mean_something_stay() -> None:
    assert "10.0.0.9:443" in refusal("", "dial tcp 10.0.0.5:41234->10.0.0.9:443: refused").words
    assert refusal("", QUOTA).words == QUOTA


def test_no_secret_is_told() -> None:
    said = told(
        refusal("apply Service a", "500 InternalError: Post https://user:hunter22@example.com/?token=abcdefgh: EOF")
    )

    assert "hunter22" not in said
    assert "abcdefgh" not in said


def test_what_is_far_too_long_is_not_looked_at_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def redact(text: str) -> str:
        seen.append(text)
        return text

    monkeypatch.setattr("fairlead_operator.core.refusal.redact", redact)

    refusal("", WEBHOOK + "x" * 10 * MOST)

    assert max(len(text) for text in seen) <= MOST


def test_whatever_the_server_says_what_to_do_fits_into_an_event() -> None:
    said = told(refusal("apply PodDisruptionBudget " + "m" * 50, WEBHOOK + "x" * 5000))

    assert len(refusal("", WEBHOOK + "x" * 5000).words) == LONGEST
    assert len(said) < MAX_NOTE
    assert "that webhook" in said
