"""What is kept on a claim is not made or fetched again: two pods, one after the other, with the environment that the operator gives them."""

from pathlib import Path

import pytest

from asking import until
from fairlead_operator.core.build.pod import build_pod_template
from fairlead_runtime.config import CACHE_PATH
from unit.operator.builders import service

from .hub import Hub, serving
from .starts import MODEL, configured, started

pytestmark = pytest.mark.timeout(400)

WEIGHTS = "model.safetensors"


def environment(hub: Hub, claim: Path, own: Path) -> dict[str, str]:
    """A container's, with `claim` in the place of its claim and `own` in that of its /tmp."""
    asked = service().model("hf://org/tiny", cache={"claimName": "kept"}).on_cpu().resolved
    (container,) = build_pod_template(asked)["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    moved = {
        name: str(own) if value == "/tmp" else value.replace(CACHE_PATH, str(claim))
        for name, value in variables.items()
    }
    return moved | {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}


def test_a_second_pod_fetches_no_weights(tmp_path: Path) -> None:
    claim = tmp_path / "claim"
    fetched = []
    with serving({"org/tiny": MODEL}) as hub:
        for number in range(2):
            own = tmp_path / str(number)
            own.mkdir()
            before = len(hub.fetched)
            with started(own, configured(repository="org/tiny"), environment(hub, claim, own)) as runtime:
                until(runtime.ready, "ready")
            fetched.append(hub.fetched[before:])

    first, second = fetched
    assert WEIGHTS in first
    assert WEIGHTS not in second, second
