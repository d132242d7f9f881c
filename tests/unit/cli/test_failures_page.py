"""The reference of failure codes: complete, and made of what the code says."""

import pytest

from fairlead_cli.failures_page import examples, page
from fairlead_operator.core.reasons import REASONS
from fairlead_runtime.failure import CODES


def test_every_code_of_a_record_is_a_reason_of_a_condition() -> None:
    assert set(REASONS) >= CODES


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_an_example_with_its_words_a_field_or_nothing_to_set_and_a_remedy(code: str) -> None:
    told = examples(code)

    assert told
    assert all(failure.message and failure.code in CODES for failure in told)
    section = page().split(f"### {code}\n")[1].split("\n##")[0]
    assert all(failure.field in section for failure in told)
    assert section.count("\n| ") == len(told) + 1


def test_no_cell_breaks_its_table() -> None:
    rows = [line.replace("\\|", "") for line in page().splitlines() if line.startswith("|")]

    assert {row.count("|") for row in rows} == {4, 5}
