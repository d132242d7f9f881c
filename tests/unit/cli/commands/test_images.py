"""`fairlead images load`: what is built before, and what is brought into the cluster as it is."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairlead_cli.__main__ import fairlead
from fairlead_cli.commands import images
from fairlead_cli.images import building, loading
from fairlead_cli.images.layout import Image, Layout
from unit.cli.images.test_layout import add_image

PACKED, OTHER = "localhost/fairlead/my-model:1", "localhost/fairlead/other:1"


class Here:
    """What was built, by name, and what the cluster was given."""

    def __init__(self) -> None:
        self.built: list[tuple[str, ...]] = []
        self.given: dict[str, Image] = {}

    def build(self, *names: str, progress: object) -> dict[str, Image]:
        self.built.append(names)
        return {name: Image(f"localhost/fairlead/{name}:1", "sha256:0") for name in names or building.ALL}

    def load(self, _cluster: object, given: Mapping[str, Image], progress: object) -> None:
        self.given = dict(given)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    here = Here()
    monkeypatch.setattr(building, "layout", lambda: Layout(tmp_path))
    monkeypatch.setattr(building, "build", here.build)
    monkeypatch.setattr(loading, "load", here.load)
    monkeypatch.setattr(images, "running", object)
    return here


def load(*names: str) -> Result:
    return CliRunner().invoke(fairlead, ["images", "load", *names])


@pytest.mark.parametrize(
    ("names", "built"),
    [
        pytest.param((), [()], id="all by default"),
        pytest.param(("operator",), [("operator",)], id="one of the product's"),
        pytest.param((PACKED,), [], id="a packed model: nothing is built for it"),
        pytest.param(("operator", PACKED), [("operator",)], id="both"),
    ],
)
def test_what_is_loaded(here: Here, tmp_path: Path, names: tuple[str, ...], built: list[tuple[str, ...]]) -> None:
    packed = add_image(tmp_path, PACKED, b"weights")

    done = load(*names)

    assert done.exit_code == 0, done.output
    assert here.built == built
    assert (packed in here.given.values()) is (PACKED in names)
    assert len(here.given) == len(names or building.ALL)
    assert all(f"{image.ref}  {image.digest}" in done.output for image in here.given.values())


@pytest.mark.parametrize(
    ("there", "told"),
    [
        pytest.param((), "none yet", id="nothing was"),
        pytest.param((PACKED, OTHER), f"{PACKED}, {OTHER}", id="others were"),
    ],
)
def test_an_image_that_was_never_built(here: Here, tmp_path: Path, there: tuple[str, ...], told: str) -> None:
    for ref in there:
        add_image(tmp_path, ref, b"weights")

    done = load("operator", "my-modle")

    assert done.exit_code == 2
    assert "my-modle is none of operator, runtime, model" in done.output
    assert told in done.output
    assert here.built == []
