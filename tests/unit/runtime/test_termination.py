"""The record in the container's termination message."""

import json
from pathlib import Path

from fairlead_operator.core.record import read_record
from fairlead_runtime.diagnosis import Failure
from fairlead_runtime.termination import MAX_BYTES, Record

FAILURE = Failure("KVCacheTooSmall", "does not fit", "spec.engine.maxModelLen", "3072")


def test_the_operator_reads_what_the_runtime_wrote(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    Record(FAILURE, "loading", "0.32.0").write(str(path))

    found = read_record(path.read_text())

    assert found is not None
    assert (found.code, found.message, found.field, found.suggestion, found.phase) == (
        "KVCacheTooSmall",
        "does not fit",
        "spec.engine.maxModelLen",
        "3072",
        "loading",
    )


def test_a_long_message_loses_its_middle_and_the_record_stays_whole() -> None:
    message = "begin " + "ü\n" * 5000 + " end"
    text = Record(Failure("UnknownFailure", message), "loading").to_json()

    assert len(text.encode()) <= MAX_BYTES
    told = json.loads(text)["message"]
    assert told.startswith("begin ")
    assert told.endswith(" end")
