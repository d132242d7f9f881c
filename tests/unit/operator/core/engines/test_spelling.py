"""What happens to a command line before argparse sees it."""

import pytest

from fairlead_operator.core.engines.spelling import DottedWithoutValueError, respelled


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        pytest.param(
            ["--max_num_seqs", "a_b"], ["--max-num-seqs", "a_b"], id="underscores of a flag, not of its value"
        ),
        pytest.param(["--max_num_seqs=a_b"], ["--max-num-seqs=a_b"], id="the same with ="),
        pytest.param(["-O3"], ["--optimization-level", "3"], id="a level glued on"),
        pytest.param(["-O=2"], ["--optimization-level", "2"], id="a level behind ="),
        pytest.param(["-O", "1"], ["--optimization-level", "1"], id="a level by itself"),
        pytest.param(["-O.x", "1"], ["--optimization-level", ".x", "1"], id="an old dotted form of it"),
        pytest.param(["--help=model"], ["--help"], id="help about something"),
        pytest.param(
            ["--a_b.c_d", "3", "--x", "--a-b.e.f=true"],
            ["--x", "--a-b", '{"c_d": 3, "e": {"f": true}}'],
            id="dots become one object, at the end",
        ),
        pytest.param(["--a.b", "4k"], ["--a", '{"b": 4000}'], id="a size in an object"),
        pytest.param(["--a.b+", "x,y", "--a.b+=z"], ["--a", '{"b": ["x", "y", "z"]}'], id="lists grow"),
        pytest.param(["--a.b", "1", "--a.b", "2"], ["--a", '{"b": 2}'], id="the last one wins"),
        pytest.param(["-cc.mode=3"], ["-cc", '{"mode": 3}'], id="a short flag with a dot"),
        pytest.param(["--x=a.b"], ["--x=a.b"], id="a dot in a value is none in a flag"),
    ],
)
def test_respelled(written: list[str], seen: list[str]) -> None:
    assert respelled(written) == seen


def test_a_flag_with_more_dots_than_any_setting_is_left_alone() -> None:
    written = ["--a" + ".b" * 2000, "1"]

    assert respelled(written) == written


def test_a_dotted_flag_needs_a_value() -> None:
    with pytest.raises(DottedWithoutValueError, match=r"--a\.b"):
        respelled(["--x", "--a.b"])
