"""Which flag an argument is, in the spellings that vLLM's parser takes."""

import pytest

from fairlead_runtime.flags import field_of, flags_of, sets, spelled

FLAG = "--stream-interval"


@pytest.mark.parametrize(
    ("argument", "flag"),
    [
        pytest.param("--stream-interval", "--stream-interval", id="alone"),
        pytest.param("--stream_interval=4", "--stream-interval", id="underscores and a value"),
        pytest.param("--compilation-config.mode=3", "--compilation-config", id="dotted"),
        pytest.param("--x=a_b.c", "--x", id="a value is not looked at"),
    ],
)
def test_one_spelling(argument: str, flag: str) -> None:
    assert spelled(argument) == flag


@pytest.mark.parametrize(
    ("argument", "flag", "expected"),
    [
        pytest.param("--stream-interval=4", FLAG, True, id="flag and value"),
        pytest.param("--stream_int", FLAG, True, id="abbreviated, with underscores"),
        pytest.param("--no-async-scheduling", "--async-scheduling", True, id="a switch's negative form"),
        pytest.param("-q", "-q", True, id="a short flag"),
        pytest.param("--stream-interval-x=4", FLAG, False, id="a longer flag"),
        pytest.param("--seed=4", FLAG, False, id="another flag"),
        pytest.param("-q", "--quantization", False, id="a short flag is no beginning of a long one"),
        pytest.param("8", FLAG, False, id="a value"),
    ],
)
def test_whether_an_argument_sets_a_flag(argument: str, flag: str, expected: bool) -> None:  # noqa: FBT001
    assert sets(argument, flag) == expected


def test_a_field_has_all_its_flags() -> None:
    assert flags_of("spec.engine.quantization") == ("--quantization", "-q")
    assert field_of("--quantization/-q", "") == "spec.engine.quantization"
