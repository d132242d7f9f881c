"""Which images may run."""

import pytest

from fairlead_operator.core.images import judge_images
from fairlead_operator.core.resolve import Defaults, Rejection, resolve
from unit.operator.builders import ServiceBuilder, service

ALLOWED = ("example.test:5000", "registry.test/team")


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        pytest.param("example.test:5000/any/thing:1", True, id="all of a registry"),
        pytest.param("example.test/any/thing:1", False, id="the same host at another port"),
        pytest.param("example.test:5000.evil.test/x", False, id="a host that begins with an allowed one"),
        pytest.param("registry.test/team:1", True, id="the repository itself"),
        pytest.param("registry.test/team/a/b@sha256:0", True, id="a repository below it"),
        pytest.param("registry.test/teammate/a", False, id="a repository whose name begins with an allowed one"),
        pytest.param("registry.test/team/../other", False, id="a way out"),
        pytest.param("registry.test/team//other", False, id="an empty part"),
        pytest.param("team/a", False, id="a short name is the default registry's"),
    ],
)
def test_an_image(image: str, allowed: bool) -> None:  # noqa: FBT001
    assert (judge_images([("spec.image", image)], ALLOWED) is None) == allowed


@pytest.mark.parametrize("image", ["nginx", "library/nginx:1", "docker.io/library/nginx@sha256:0"])
def test_short_names_are_completed_as_container_runtimes_do(image: str) -> None:
    assert judge_images([("spec.image", image)], ("docker.io/library/nginx",)) is None
    assert judge_images([("spec.image", image)], ("docker.io/vllm",)) is not None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param(service().model("hf://a/b").top(image="evil.test/x:1"), "spec.image", id="the engine's image"),
        pytest.param(service().model("oci://evil.test/x:1"), "spec.model.uri", id="the model's image"),
        pytest.param(service().model("hf://a/b"), None, id="the operator's own image needs no permission"),
        pytest.param(service().model("hf://a/b").top(image="own.test/runtime:1"), None, id="nor does it by its name"),
        pytest.param(service().model("hf://a/b").top(image="own.test/cpu:1"), None, id="nor the one for CPUs"),
        pytest.param(
            service().model("hf://a/b").top(image="own.test/runtime:2"), "spec.image", id="another version of it does"
        ),
        pytest.param(service().model("oci://registry.test/team/mistral:7b"), None, id="an allowed model"),
    ],
)
def test_a_service(asked: ServiceBuilder, field: str | None) -> None:
    outcome = resolve(asked.raw, Defaults("own.test/runtime:1", "own.test/cpu:1", allowed_images=ALLOWED))

    if field is None:
        assert not isinstance(outcome, Rejection)
    else:
        assert isinstance(outcome, Rejection)
        assert (outcome.reason, outcome.field) == ("DeniedArgument", field)
        assert f"image {asked.raw['spec'].get('image') or 'evil.test/x:1'} in" in outcome.message
        assert "example.test:5000, registry.test/team" in outcome.message


def test_without_a_list_every_image_may_run() -> None:
    assert judge_images([("spec.image", "evil.test/x")], ()) is None
