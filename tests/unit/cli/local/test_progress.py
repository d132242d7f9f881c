"""A wait is never silent."""

import threading

import pytest

from fairlead_cli.local.progress import step


def test_a_long_step_gives_signs_of_life_until_it_ends() -> None:
    lines: list[str] = []
    three = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            three.set()

    with step("compiling", say, every=0.001):
        assert three.wait(20)

    assert lines[:3] == ["compiling", "compiling: 0 s", "compiling: 0 s"]


def test_a_short_step_says_its_name_and_no_more() -> None:
    lines: list[str] = []

    with step("packing", lines.append):
        pass

    assert lines == ["packing"]


def test_a_step_that_fails_is_not_called_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead_cli.local.progress.WORTH_SAYING", 0.0)
    lines: list[str] = []

    with pytest.raises(OSError, match="disk"), step("packing", lines.append):
        raise OSError("disk full")

    assert not any("done" in line for line in lines)
