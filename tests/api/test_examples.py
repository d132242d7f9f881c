"""The examples, as a user applies them, on a real API server with the resource's definition."""

from pathlib import Path

import pytest

from api.cluster import Kubectl
from api.objects import RefusedError

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_taken_as_it_stands(kubectl: Kubectl) -> None:
    said = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(EXAMPLES))

    taken = [line for line in said.splitlines() if line.endswith("created (server dry run)")]
    assert len(taken) == len(list(EXAMPLES.glob("*.yaml"))) > 12


def test_one_that_is_misspelt_would_not_be(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text((EXAMPLES / "cpu.yaml").read_text(encoding="utf-8").replace("maxModelLen", "maxModelLength"))

    with pytest.raises(RefusedError, match="maxModelLength"):
        kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))
