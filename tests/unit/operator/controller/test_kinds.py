import pytest

from fairlead_operator.controller.kinds import CHILDREN, DEPLOYMENTS, INFERENCE_SERVICES, PODS, SERVICES, kind_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (SERVICES.path("ns", "a"), "/api/v1/namespaces/ns/services/a"),
        (PODS.path(None), "/api/v1/pods"),
        (DEPLOYMENTS.path("ns"), "/apis/apps/v1/namespaces/ns/deployments"),
        (INFERENCE_SERVICES.path("ns", "a", "status"), "/apis/fairlead.dev/v1alpha1/namespaces/ns/inferenceservices/a/status"),
    ],
)  # fmt: skip
def test_paths(path: str, expected: str) -> None:
    assert path == expected


def test_every_child_is_watched_by_its_label_and_found_by_its_manifest() -> None:
    assert all(kind.selector == "app.kubernetes.io/managed-by=fairlead" for kind in CHILDREN)
    assert [kind_of(kind.api_version, kind.name) for kind in CHILDREN] == list(CHILDREN)
    with pytest.raises(KeyError):
        kind_of("v1", "Secret")
