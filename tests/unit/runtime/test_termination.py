"""The record in the container's termination message."""

import json
from pathlib import Path

import pytest

from fairlead_runtime.diagnosis import Failure
from fairlead_runtime.termination import MAX_BYTES, Record, read_record

FAILURE = Failure("KVCacheTooSmall", "does not fit", "spec.engine.maxModelLen", "3072")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    Record(FAILURE, "loading", "0.32.0").write(str(path))

    assert read_record(path.read_text()) == Record(FAILURE, "loading", "0.32.0")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Traceback (most recent call last):\n ...", id="the end of a log"),
        pytest.param("[1, 2]", id="JSON of another kind"),
        pytest.param('{"level": "info"}', id="a log line in JSON"),
        pytest.param('{"code": 7, "message": "x"}', id="a code that is no text"),
        pytest.param("", id="nothing"),
        pytest.param("[" * MAX_BYTES, id="brackets without an end"),
    ],
)
def test_what_is_no_record_is_not_taken_for_one(text: str) -> None:
    assert read_record(text) is None


def test_a_record_of_another_release_is_read_as_far_as_it_goes() -> None:
    found = read_record('{"code": "New", "field": null, "more": {"a": 1}}')

    assert found == Record(Failure("New", ""), "")


def test_halves_of_characters_are_neither_written_nor_read() -> None:
    text = Record(Failure("UnknownFailure", "a file \ud800 by name"), "loading").to_json()

    assert json.loads(text)["message"] == "a file ? by name"
    found = read_record('{"code": "New", "message": "half \\ud800"}')
    assert found is not None
    assert found.failure.message == "half ?"


def test_whatever_the_other_fields_are_the_record_fits_and_its_message_is_told() -> None:
    failure = Failure("UnknownFailure", "what failed", "spec.engine\x00" * 500, "9" * 5000)
    text = Record(failure, "\x01" * 5000, "\x01" * 5000).to_json()

    assert len(text.encode()) <= MAX_BYTES
    assert json.loads(text)["message"] == "what failed"


def test_a_long_message_loses_its_middle_and_the_record_stays_whole() -> None:
    message = "begin " + "ü\n" * 5000 + " end"
    text = Record(Failure("UnknownFailure", message), "loading").to_json()

    assert len(text.encode()) <= MAX_BYTES
    told = json.loads(text)["message"]
    assert told.startswith("begin ")
    assert told.endswith(" end")
