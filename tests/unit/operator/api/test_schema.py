"""pydantic's JSON schema becomes a structural one."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from fairlead_operator.api.fields import Model
from fairlead_operator.api.schema import structural_schema, unbounded


class Inner(Model):
    """What the class says."""

    count: Annotated[int, Field(ge=0, le=9)] = 1


class Outer(Model):
    first: Inner = Inner()
    """What the attribute says."""
    second: Inner | None = None
    labels: Annotated[dict[str, Annotated[str, Field(max_length=9)]], Field(max_length=2)] | None = None
    words: tuple[str, ...] = ()


class Union(Model):
    either: int | Literal["Auto"]


def _flatten(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        return set(schema) | set().union(*(_flatten(value) for value in schema.values()))
    return set().union(*(_flatten(item) for item in schema)) if isinstance(schema, list) else set()


def test_references_titles_and_null_branches_are_gone() -> None:
    assert not _flatten(structural_schema(Outer)) & {"$ref", "$defs", "title", "anyOf", "null", "propertyNames"}


def test_a_reference_is_replaced_by_what_it_means() -> None:
    second = structural_schema(Outer)["properties"]["second"]

    assert second["type"] == "object"
    assert second["properties"]["count"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 0,
        "maximum": 9,
        "default": 1,
    }


def test_the_attribute_describes_better_than_the_class() -> None:
    assert structural_schema(Outer)["properties"]["first"]["description"] == "What the attribute says."


def test_every_attribute_is_described_by_the_string_below_it_also_an_inherited_one() -> None:
    class Further(Outer):
        own: int = 0
        """Two lines
        are one.
        """

    described = {name: each.get("description") for name, each in structural_schema(Further)["properties"].items()}

    assert described == {
        "first": "What the attribute says.",
        "second": "What the class says.",
        "labels": None,
        "words": None,
        "own": "Two lines are one.",
    }


def test_objects_and_lists_have_no_default() -> None:
    properties = structural_schema(Outer)["properties"]

    assert not any("default" in properties[name] for name in ("first", "second", "labels", "words"))


def test_a_union_without_its_own_schema_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"Union\.either"):
        structural_schema(Union)


def test_missing_bounds_are_found() -> None:
    assert unbounded(structural_schema(Outer)) == [".words", ".words.[]"]
