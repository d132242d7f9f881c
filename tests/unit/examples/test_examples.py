"""Every file in examples/ is a service that the operator accepts as it stands."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_cli.images import recipes
from fairlead_operator.api.v1alpha1 import API_VERSION, KIND
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Defaults, Resolved, resolve

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))
DEFAULTS = Defaults(runtime_image="example.com/runtime:1", runtime_image_cpu="example.com/runtime-cpu:1")


def read(path: Path) -> dict[str, Any]:
    (document,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    document["metadata"] |= {"namespace": "default", "uid": "0", "generation": 1}
    return dict(document)


def test_there_are_examples_for_every_source_of_weights() -> None:
    schemes = {read(path)["spec"]["model"]["uri"].partition("://")[0] for path in FILES}

    assert schemes == {"hf", "pvc", "oci"}


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
def test_an_example_is_accepted_as_it_stands(path: Path) -> None:
    service = read(path)

    assert (service["apiVersion"], service["kind"]) == (API_VERSION, KIND)
    assert isinstance(resolve(service, DEFAULTS), Resolved)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
def test_a_misspelt_field_in_an_example_would_be_found(path: Path) -> None:
    service = read(path)
    service["spec"]["model"]["urii"] = service["spec"]["model"]["uri"]

    outcome = resolve(service, DEFAULTS)

    assert isinstance(outcome, Rejection)
    assert "urii" in outcome.field + outcome.message


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
def test_an_example_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_no_two_examples_share_a_name() -> None:
    names = [read(path)["metadata"]["name"] for path in FILES]

    assert sorted(names) == sorted(set(names))


def test_the_demo_runs_on_processor_cores_from_an_image_that_make_images_builds() -> None:
    demo = read(EXAMPLES / "demo.yaml")["spec"]

    assert demo["resources"]["device"] == "CPU"
    assert demo["model"]["uri"] == f"oci://{recipes.PREFIX}/model-demo:{recipes.VERSION}"
