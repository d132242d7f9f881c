"""How the operator's log is read while the operator writes it."""

import json
from pathlib import Path

import pytest

from proof.fault_ground import entries, unfit


def line(message: str, level: str = "INFO") -> bytes:
    return json.dumps({"level": level, "message": message, "logger": "fairlead"}).encode() + b"\n"


BEFORE, FIRST, SECOND = line("before"), line("first"), line("second ° whole")


@pytest.mark.parametrize(
    ("log", "since", "said"),
    [
        pytest.param(BEFORE + FIRST, 0, ["before", "first"], id="all"),
        pytest.param(BEFORE + FIRST, len(BEFORE), ["first"], id="from a line on"),
        pytest.param(BEFORE + FIRST + SECOND[:-30], len(BEFORE), ["first"], id="half a last line"),
        pytest.param(BEFORE + FIRST + SECOND[: SECOND.index(b"\\") + 1], len(BEFORE), ["first"], id="half an escape"),
        pytest.param(BEFORE + FIRST + b"Traceback \xe2", len(BEFORE), ["first"], id="half a character"),
        pytest.param(BEFORE + FIRST, len(BEFORE) - 5, ["first"], id="since the midst of a line"),
        pytest.param(BEFORE[:-5], 3, [], id="no line yet"),
        pytest.param(BEFORE, len(BEFORE), [], id="nothing since"),
        pytest.param(b"Traceback\n" + FIRST, 0, ["Traceback", "first"], id="what is no entry is an error's"),
    ],
)
def test_whole_lines_are_read(tmp_path: Path, log: bytes, since: int, said: list[str]) -> None:
    (tmp_path / "log").write_bytes(log)

    assert [entry["message"] for entry, _ in entries(tmp_path / "log", since)] == said


def test_what_is_half_written_is_no_error_yet(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(FIRST + b"Traceback (most rec")
    assert unfit(tmp_path / "log", 0) == []

    (tmp_path / "log").write_bytes(FIRST + b"Traceback (most recent call last):\n")
    assert unfit(tmp_path / "log", 0) == ["Traceback (most recent call last):"]
