"""The table of reasons is whole."""

import importlib.util

import pytest

from fairlead_operator.core.reasons import ACCEPTED, AUTOSCALED, ENGINE, MODEL, REASONS, SCHEDULED, UP_TO_DATE, known


@pytest.mark.parametrize("code", REASONS)
def test_a_reason_has_a_condition_a_source_and_a_remedy(code: str) -> None:
    reason = REASONS[code]

    assert reason.condition in {ACCEPTED, SCHEDULED, MODEL, ENGINE, UP_TO_DATE, AUTOSCALED}
    assert reason.source
    assert reason.remedy
    assert not reason.remedy.endswith(".")
    assert reason.field == "" or reason.field.startswith(("spec.", "metadata."))


def test_a_code_of_a_newer_runtime_is_not_lost() -> None:
    assert known("SomethingNew") == "UnknownFailure"


@pytest.mark.skipif(
    importlib.util.find_spec("fairlead_runtime.termination") is None, reason="the runtime's table is not there"
)
def test_every_code_of_the_runtime_is_a_reason() -> None:
    diagnosis = importlib.import_module("fairlead_runtime.diagnosis")

    assert set(diagnosis.CODES) - set(REASONS) == set()
