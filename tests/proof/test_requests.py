import pytest

from proof.requests import Request, Target, refusal, target

APPLY = {"Content-Type": "application/apply-patch+yaml"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/api/v1/pods", Target("", "v1", "", "pods"), id="all pods"),
        pytest.param("/api/v1/namespaces/a/pods/b", Target("", "v1", "a", "pods", "b"), id="one pod"),
        pytest.param("/api/v1/namespaces/a", Target("", "v1", "", "namespaces", "a"), id="a namespace itself"),
        pytest.param(
            "/apis/fairlead.dev/v1alpha1/namespaces/a/inferenceservices/b/status",
            Target("fairlead.dev", "v1alpha1", "a", "inferenceservices", "b", "status"),
            id="a subresource",
        ),
        pytest.param("/apis/fairlead.dev/v1alpha1", Target("fairlead.dev", "v1alpha1"), id="discovery"),
        pytest.param("/readyz", Target(), id="no object at all"),
    ],
)
def test_what_a_path_names(path: str, expected: Target) -> None:
    assert target(path) == expected


@pytest.mark.parametrize(
    ("request_", "verb", "writes"),
    [
        pytest.param(Request("GET", "/api/v1/pods"), "list", False, id="list"),
        pytest.param(Request("GET", "/api/v1/pods", {"watch": "true"}), "watch", False, id="watch"),
        pytest.param(Request("GET", "/api/v1/namespaces/a/pods/b"), "get", False, id="get"),
        pytest.param(Request("POST", "/api/v1/pods"), "create", True, id="create"),
        pytest.param(Request("PUT", "/api/v1/namespaces/a/pods/b"), "update", True, id="update"),
        pytest.param(Request("PATCH", "/api/v1/namespaces/a/pods/b"), "patch", True, id="patch"),
        pytest.param(Request("PATCH", "/api/v1/namespaces/a/pods/b", headers=APPLY), "apply", True, id="apply"),
        pytest.param(Request("DELETE", "/api/v1/namespaces/a/pods/b"), "delete", True, id="delete"),
        pytest.param(
            Request("POST", "/api/v1/pods", {"dryRun": "All"}), "create", False, id="a dry run writes nothing"
        ),
    ],
)
def test_what_is_asked(request_: Request, verb: str, writes: bool) -> None:  # noqa: FBT001
    assert (request_.verb, request_.is_write) == (verb, writes)


def test_a_create_names_its_object_in_the_body() -> None:
    assert Request("POST", "/api/v1/namespaces/a/pods", body=b'{"metadata": {"name": "b"}}').name == "b"


def test_a_refusal_is_worded_as_the_api_server_does() -> None:
    answer = refusal(429, "TooManyRequests", Retry_After="1")

    assert answer.status == answer.manifest["code"] == 429
    assert answer.manifest["reason"] == "TooManyRequests"
    assert answer.headers["Retry-After"] == "1"
