"""Which lines of a log are told."""

import pytest

from fairlead_cli.why.lines import LONGEST, TOLD, telling

CORE = "(EngineCore pid=77) ERROR 11-24 11:58:31 [core.py:1010] "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("loading\nValueError: too long\nbye\n", ("ValueError: too long",), id="an error, not what surrounds it"),
        pytest.param(
            "WARNING 11-24 02:10:11 [u.py:1] may cause OSError: [Errno 24]\nValidationError: 1 validation error for ModelConfig\n"
            "  Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (n=2048.0)\nbye",
            (
                "ValidationError: 1 validation error for ModelConfig",
                "Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (n=2048.0)",
            ),
            id="what the engine is known to say of a failure, and no warning of one that did not happen",
        ),
        pytest.param("one\n\ntwo\n", ("one", "two"), id="without an error the end of it"),
        pytest.param(
            f'{CORE}Traceback (most recent call last):\n{CORE}  File "a.py", line 1, in f\n{CORE}    raise ValueError(x)\n{CORE}ValueError: x',
            ("ValueError: x",),
            id="frames of a traceback are left out, behind vLLM's prefix as well",
        ),
        pytest.param(f"{CORE}ValueError: x\n(APIServer pid=1) ValueError: x\nValueError: x", ("ValueError: x",), id="one error through three processes"),
        pytest.param("\x1b[31mKeyError: 'a'\x1b[0m", ("KeyError: 'a'",), id="without colours"),
        pytest.param("OSError: token hf_abcdefghijkl is bad", ("OSError: token hf_*** is bad",), id="without secrets"),
        pytest.param("", (), id="nothing"),
    ],
)  # fmt: skip
def test_the_lines_that_tell(text: str, expected: tuple[str, ...]) -> None:
    assert telling(text) == expected


def test_a_few_lines_of_bounded_length() -> None:
    told = telling("".join(f"Error {n}: {'x' * 1000}\n" for n in range(100)))

    assert len(told) == TOLD
    assert told[-1].startswith("Error 99")
    assert {len(line) for line in told} == {LONGEST}
