"""What could be written yesterday can be written today: within a version the CRD only grows."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_operator.api.crd import definition

ROOT = Path(__file__).parents[4]
CRD = "crds/fairlead.dev_inferenceservices.yaml"
Schema = dict[str, Any]


def spec_of(crd: Schema) -> Schema:
    found: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def losses(before: Schema, after: Schema, path: str = "spec") -> Iterator[str]:
    """What `before` accepts and `after` does not, as far as types, names, words and bounds go."""
    if before.get("type") != after.get("type"):
        yield f"{path} had type {before.get('type')}"
    for name, schema in before.get("properties", {}).items():
        if name in after.get("properties", {}):
            yield from losses(schema, after["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name} was there"
    for name in set(after.get("required", ())) - set(before.get("required", ())):
        yield f"{path}.{name} was optional"
    words: list[str] = before.get("enum", [])
    for word in set(words) - set(after.get("enum", words)):
        yield f"{path} took {word}"
    for least in ("minimum", "minLength", "minItems"):
        if least in after and after[least] > before.get(least, float("-inf")):
            yield f"{path} had {least} {before.get(least)}"
    for most in ("maximum", "maxLength", "maxItems"):
        if most in after and after[most] < before.get(most, float("inf")):
            yield f"{path} had {most} {before.get(most)}"
    if "items" in before:
        yield from losses(before["items"], after["items"], f"{path}[]")
    if before.get("default") != after.get("default"):
        yield f"{path} had the default {before.get('default')}, by which unchanged specs are told"


def test_nothing_is_lost_since_the_last_commit() -> None:
    shown = subprocess.run(["git", "show", f"HEAD~1:{CRD}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        pytest.skip("this checkout has no history")

    assert list(losses(spec_of(yaml.safe_load(shown.stdout)), spec_of(definition()))) == []


@pytest.mark.parametrize(
    ("before", "after", "loss"),
    [
        pytest.param({"type": "string"}, {"type": "integer"}, "spec had type string", id="another type"),
        pytest.param({"properties": {"a": {}}}, {"properties": {}}, "spec.a was there", id="a field less"),
        pytest.param({}, {"required": ["a"]}, "spec.a was optional", id="a field that must be"),
        pytest.param({"enum": ["A", "B"]}, {"enum": ["A"]}, "spec took B", id="a word less"),
        pytest.param({"maximum": 9}, {"maximum": 8}, "spec had maximum 9", id="less room above"),
        pytest.param({"minimum": 1}, {"minimum": 2}, "spec had minimum 1", id="less room below"),
        pytest.param({"default": 1}, {"default": 2}, "spec had the default 1, by which unchanged specs are told", id="another default"),
        pytest.param({"properties": {}, "enum": ["A"], "maximum": 1}, {"properties": {"a": {}}, "enum": ["A", "B"], "maximum": 2}, None, id="growth"),
    ],
)  # fmt: skip
def test_a_loss_is_noticed(before: Schema, after: Schema, loss: str | None) -> None:
    assert list(losses(before, after)) == ([loss] if loss else [])
