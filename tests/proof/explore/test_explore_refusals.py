"""What the API server refuses, it refuses for the field that is wrong, and says so."""

import re
from typing import Any

import pytest

from api.client import Answer
from proof.explore import rules
from proof.explore.breaks import COUPLED, NOT_CHECKED, Break, breaks
from proof.explore.conftest import Judge, Size
from proof.explore.ground import PATIENCE, Ground
from proof.explore.schema import SPEC, examples
from proof.explore.specs import untamed

BROKEN, UNTAMED = 150, 50
_CHOICE = re.compile(r'"([^" ]+)" must validate')


def causes(answer: Answer) -> set[str]:
    """The fields that a refusal names."""
    found: list[dict[str, Any]] = answer.body.get("details", {}).get("causes", [])
    return {_field(cause) for cause in found if NOT_CHECKED not in cause["message"]}


def _field(cause: dict[str, Any]) -> str:
    """Of a number with the wrong format only the message says where it is, with its last word; of a choice of types, in quotes.

    With a dot before it, it is the path by which the scale subresource finds its number.
    """
    if cause["field"] != "<nil>":
        return str(cause["field"]).removeprefix(".")
    message = str(cause["message"])
    chosen = _CHOICE.search(message)
    return chosen[1] if chosen else message.rpartition(" ")[2]


def misjudged(answer: Answer, case: Break) -> str:
    """What is wrong with the refusal, "" for nothing."""
    if not answer.message:
        return "taken"
    if "strict decoding error" in answer.message:
        return "" if f'unknown field "{case.field}"' in answer.message else f"another field: {answer.message}"
    others = causes(answer) - {case.field} - COUPLED.get(case.field, set())
    if answer.code != 422 or case.field not in causes(answer) or others:
        return f"{answer.code}, names {sorted(causes(answer))}: {answer.message}"
    return "" if case.field in answer.message else f"the message does not name it: {answer.message}"


@pytest.mark.timeout(PATIENCE * 10)
def test_one_broken_bound_is_the_one_that_is_named(field: Ground, size: Size, judge: Judge) -> None:
    cases = examples(breaks(), size.count(BROKEN), size.seed)

    judged = {
        f"{case.why} ({case.field})": misjudged(field.create("a", case.spec, dry_run="All"), case) for case in cases
    }

    judge(
        "specs with one thing wrong", len(cases), {name: complaint for name, complaint in judged.items() if complaint}
    )


@pytest.mark.timeout(PATIENCE * 10)
def test_rules_refuse_what_contradicts_itself_and_nothing_else(field: Ground, size: Size, judge: Judge) -> None:
    tried = examples(untamed(), size.count(UNTAMED), size.seed)
    complaints: dict[str, object] = {}
    for spec in tried:
        answer, holds = field.create("a", spec, dry_run="All"), rules.mended(spec) == spec
        named = all(cause.startswith("spec.") for cause in causes(answer)) and bool(causes(answer))
        if holds != (not answer.message) or (answer.message and not named):
            complaints[str(spec)] = answer.message or "taken"

    assert 0 < sum(rules.mended(spec) == spec for spec in tried) < len(tried)
    judge("specs that may contradict themselves", len(tried), complaints)


def test_every_rule_between_fields_is_known_here() -> None:
    known = [rule.message for rule in rules.RULES] + list(rules.ALONE)

    unknown = [message for message in rules.messages(SPEC) if not message.startswith(tuple(known))]

    assert unknown == []
