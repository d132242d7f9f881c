"""The page of conditions is whole."""

import ast
import inspect

import pytest

import fairlead_operator.core.conditions as table
from fairlead_cli import failures_page
from fairlead_cli.conditions_page import page
from fairlead_cli.site import runbook
from fairlead_operator.core import autoscale
from fairlead_operator.core.condition_types import TYPES
from fairlead_operator.core.conditions import conditions
from fairlead_operator.core.giving_up import GIVEN_UP
from fairlead_operator.core.reasons import REASONS
from unit.operator.builders import crashed, observed, ready, service, starting

NAMES = [kind.name for kind in TYPES]


def _constant(argument: ast.expr) -> str:
    """The second argument of a Verdict, if it is a word."""
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    return GIVEN_UP if isinstance(argument, ast.Name) and argument.id == "GIVEN_UP" else ""


def given() -> set[str]:
    """The reasons that conditions.py itself gives."""
    calls = (node for node in ast.walk(ast.parse(inspect.getsource(table))) if isinstance(node, ast.Call))
    verdicts = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Verdict")
    return {reason for call in verdicts if len(call.args) > 1 and (reason := _constant(call.args[1]))}


@pytest.mark.parametrize("reason", sorted({*given(), *autoscale.State} - {"RolloutBlocked"}))
def test_each_reason_that_is_given_is_explained(reason: str) -> None:
    assert reason in REASONS or any(reason in kind.states for kind in TYPES)


def test_each_condition_is_explained_and_none_that_does_not_exist() -> None:
    seen: set[str] = set()
    for pods in ([ready()], [starting()], [crashed(times=2)], [crashed("x")]):
        seen |= conditions(observed(service(), *pods)).keys()

    assert seen <= set(NAMES)
    assert {reason.condition for reason in REASONS.values()} <= set(NAMES)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("code", REASONS)
def test_each_failure_has_its_row_with_field_and_remedy(code: str) -> None:
    row = next(line for line in page().splitlines() if line.startswith(("| `" + code + "`", "| [`" + code + "`")))

    assert REASONS[code].field in row
    assert failures_page.cell(REASONS[code].remedy) in row
    assert str(REASONS[code].retry) in row


def test_each_failure_leads_to_its_section_of_the_runbook() -> None:
    sections = {line for line in runbook.page().splitlines() if line.startswith("### ")}

    for code in REASONS:
        assert f"(runbook.md#{code.lower()})" in page()
        assert f"### {code}" in sections
