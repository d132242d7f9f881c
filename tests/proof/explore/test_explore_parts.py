"""The harness itself: the same examples again, contradictions that are found, and edits of exactly what is ours."""

from typing import Any

import jsonschema
import pytest

from proof.explore import breaks, rules, specs
from proof.explore.edits import Edit, edits
from proof.explore.endings import difference, essences, in_use
from proof.explore.schema import SPEC, examples

#: Enough to see that they differ.
FEW = 15


def test_the_same_number_gives_the_same_examples() -> None:
    first, again, other = (examples(specs.sound(), FEW, number) for number in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize("strategy", [specs.sound(), specs.wild()], ids=["sound", "wild"])
def test_what_is_generated_holds_schema_and_rules(strategy: Any) -> None:
    validator = jsonschema.Draft202012Validator(SPEC)

    for spec in examples(strategy, FEW, 3):
        assert [error.message for error in validator.iter_errors(spec)] == []
        assert rules.mended(spec) == spec


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.field)
def test_each_rule_finds_its_contradiction(rule: rules.Rule) -> None:
    sound = {"model": {"uri": "hf://a/b"}}
    broken = rules.laid_over(sound, rule.broken)

    assert rules.mended(sound) == sound
    assert rules.mended(broken) != broken
    assert rules.mended(rules.mended(broken)) == rules.mended(broken)


def test_a_broken_bound_breaks_nothing_else() -> None:
    """The schema alone, without the rules: no error anywhere but in the part that was broken."""
    validator = jsonschema.Draft202012Validator(SPEC)

    for case in examples(breaks.bounds(), FEW, 4):
        found = {tuple(error.absolute_path) for error in validator.iter_errors(case.spec)}
        assert len(found) <= 1, case


def test_only_our_fields_are_edited_by_their_place_in_lists() -> None:
    child = {
        "metadata": {
            "labels": {"a/b": "x", "theirs": "y"},
            "managedFields": [
                {"manager": "somebody", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
                {
                    "manager": "fairlead",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:a/b": {}}, "f:ownerReferences": {'k:{"uid":"u"}': {}}},
                        "f:spec": {"f:list": {'k:{"name":"two"}': {".": {}, "f:on": {}, "f:count": {}}}},
                    },
                },
            ],
            "ownerReferences": [{"uid": "u"}],
        },
        "spec": {"list": [{"name": "one", "on": True}, {"name": "two", "on": True, "count": 3}]},
    }

    found = edits(child)

    assert {edit.path for edit in found} == {"/metadata/labels/a~1b", "/spec/list/1/on", "/spec/list/1/count"}
    assert Edit("replace", "/spec/list/1/on", False) in found
    assert Edit("replace", "/spec/list/1/count", 4) in found
    assert Edit("remove", "/metadata/labels/a~1b") in found


def test_what_is_kept_to_go_back_to_does_not_count() -> None:
    def child(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": name, "labels": {}}, **more}

    volumes = [{"name": "config", "configMap": {"name": "now"}}]
    children = [
        child("ControllerRevision", "first", revision=1),
        child("ControllerRevision", "second", revision=2),
        child("ConfigMap", "before"),
        child("ConfigMap", "now"),
        child("Deployment", "a", spec={"template": {"spec": {"volumes": volumes}}}),
    ]

    left = essences(in_use(children))

    assert left.keys() == {"ControllerRevision second", "ConfigMap now", "Deployment a"}
    assert difference(left, {**left, "ConfigMap now": "other"}) != []
    assert difference(left, left) == []
