"""The generated CustomResourceDefinition. What the API server makes of it is tested against a real one, in tests/api."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead_operator.api import crd
from fairlead_operator.api.schema import unbounded

VERSION = crd.definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from _fields(child, f"{path}.{name}")
    if "items" in schema:
        yield from _fields(schema["items"], f"{path}[]")


def test_the_committed_file_is_the_generated_one() -> None:
    assert (crd.DIRECTORY / crd.FILE_NAME).read_text(encoding="utf-8") == crd.render()


def test_check_fails_when_the_file_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main([str(tmp_path)]) == 0
    assert crd.main([str(tmp_path), "--check"]) == 0
    (tmp_path / crd.FILE_NAME).write_text("edited by hand\n", encoding="utf-8")

    assert crd.main([str(tmp_path), "--check"]) == 1
    assert "differs from the models" in capsys.readouterr().err


def test_every_string_list_and_map_is_bounded() -> None:
    bounded = {name: schema for name, schema in SCHEMA["properties"].items() if name in {"spec", "status"}}

    assert [path for schema in bounded.values() for path in unbounded(schema)] == []


def test_every_field_says_what_it_is_for() -> None:
    silent = [
        path
        for path, schema in _fields(SCHEMA)
        if path.startswith((".spec", ".status")) and not schema.get("description")
    ]

    assert silent == []


def test_every_rule_has_a_message() -> None:
    found = [rule for _, schema in _fields(SCHEMA) for rule in schema.get("x-kubernetes-validations", ())]

    assert len(found) > 10
    assert all(rule["message"] for rule in found)


def test_no_field_is_a_float() -> None:
    assert not [path for path, schema in _fields(SCHEMA) if schema.get("type") == "number"]


def test_scale_and_status_are_subresources() -> None:
    assert VERSION["subresources"]["status"] == {}
    assert VERSION["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"
    assert SCHEMA["properties"]["spec"]["properties"]["replicas"]["default"] == 1


def test_columns_say_what_it_is_whether_it_works_and_why() -> None:
    assert [(c["name"], c["priority"]) for c in VERSION["additionalPrinterColumns"]] == [
        ("Model", 0), ("Ready", 0), ("Reason", 0), ("Replicas", 0), ("URL", 1), ("GPU", 1), ("Age", 0),
    ]  # fmt: skip


def test_the_file_is_small_enough_for_a_client_side_apply() -> None:
    assert len(crd.render()) < 200_000
