"""A parser rebuilt from a dump, and what it makes of a command line."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead_operator.core import engines
from fairlead_operator.core.engines.parser import Parser
from fairlead_operator.core.engines.values import Argument

PARSER = Parser.from_dump(
    {
        "vllm": "1.2.3",
        "arguments": [
            {"flags": [], "dest": "model_tag", "nargs": "?"},
            {"flags": ["--max-length", "-m"], "dest": "max_length", "kind": "int"},
            {"flags": ["--max-size"], "dest": "max_size", "kind": "int"},
            {"flags": ["--enable-cache", "--no-enable-cache", "--disable-cache"], "dest": "enable_cache", "nargs": 0},
            {"flags": ["--names"], "dest": "names", "nargs": "+"},
            {"flags": ["--token"], "dest": "token", "nargs": "?"},
            {"flags": ["--config", "-c"], "dest": "config", "kind": "object", "keys": ["mode"]},
        ],
    }
)


@pytest.mark.parametrize(
    ("written", "set_to"),
    [
        pytest.param(["--max-length", "3"], [("max_length", ("3",))], id="a value behind its flag"),
        pytest.param(["--max_le=3"], [("max_length", ("3",))], id="abbreviated, with an underscore and ="),
        pytest.param(["-m3"], [("max_length", ("3",))], id="a value glued on"),
        pytest.param(["--disable-cache"], [("enable_cache", ())], id="another form of a switch"),
        pytest.param(["--names", "a", "b"], [("names", ("a", "b"))], id="several values"),
        pytest.param(["--token"], [("token", ())], id="a value that may be absent"),
        pytest.param(["--config.mode", "3"], [("config", ('{"mode": 3}',))], id="a key of an object"),
        pytest.param(["--token", "a", "b"], [("token", ("a",)), ("model_tag", ("b",))], id="one value too many is the model"),
        pytest.param(["--max-size", "-1"], [("max_size", ("-1",))], id="a negative number is a value"),
    ],
)  # fmt: skip
def test_understood(written: list[str], set_to: list[tuple[str, tuple[str, ...]]]) -> None:
    given, refusal = PARSER.parse(written)

    assert refusal is None
    assert [(one.argument.dest, one.values) for one in given] == set_to


@pytest.mark.parametrize(
    ("written", "named", "said"),
    [
        pytest.param(["--max", "3"], "--max", "could be --max-length, --max-size; write", id="ambiguous"),
        pytest.param(["--enable-cahe"], "--enable-cahe", "vLLM 1.2.3 has no such argument; write --enable-cache", id="misspelt"),
        pytest.param(["--zzz=1"], "--zzz", "no such argument; remove it", id="like nothing else"),
        pytest.param(["--max-size"], "--max-size", "needs a value; write --max-size=VALUE", id="without its value"),
        pytest.param(["--names", "--token"], "--names", "needs a value", id="a flag where a value should be"),
        pytest.param(["--enable-cache=1"], "--enable-cache", "takes no value; write it alone", id="a switch with a value"),
        pytest.param(["--config.mode"], "--config.mode", "needs a value; write one", id="a key without its value"),
        pytest.param(["a", "b"], "b", "a value without a flag", id="two values without flags"),
    ],
)  # fmt: skip
def test_refused(written: list[str], named: str, said: str) -> None:
    _, refusal = PARSER.parse(written)

    assert refusal is not None
    assert refusal.written == named
    assert said in refusal.why


def test_what_stands_before_a_refusal_is_still_told() -> None:
    given, refusal = PARSER.parse(["--token=secret", "--max-size"])

    assert [one.argument.dest for one in given] == ["token"]
    assert refusal is not None


def test_values_are_judged_by_their_kind() -> None:
    (given,), _ = PARSER.parse(["--max-size=many"])
    refusal = PARSER.judge_values(given)

    assert refusal is not None
    assert (refusal.written, refusal.dest) == ("--max-size", "max_size")


@pytest.mark.parametrize(
    ("word", "destinations"),
    [
        pytest.param("--max-size=3", ["max_size"], id="exact"),
        pytest.param("--max", ["max_length", "max_size"], id="ambiguous"),
        pytest.param("--no-enable", ["enable_cache"], id="a negative form, abbreviated"),
        pytest.param("--conf.mode", ["config"], id="dotted and abbreviated"),
        pytest.param("-m3", ["max_length"], id="short, its value glued on"),
        pytest.param("--zzz", [], id="unknown"),
    ],
)
def test_what_one_word_can_mean(word: str, destinations: list[str]) -> None:
    assert [argument.dest for argument in PARSER.meanings(word)] == destinations


class Whole(Parser):
    """Tells argparse of every argument, as vLLM does."""

    def _possible(self, words: Sequence[str]) -> list[Argument]:
        return list(self.arguments)


REAL = engines.parser_of(engines.ACCELERATOR)
assert REAL is not None
FLAGS = st.sampled_from(sorted(REAL.by_flag))
BEGUN = st.tuples(FLAGS, st.integers(1, 12)).map(lambda both: both[0][: both[1]])
VALUES = st.sampled_from(["", "1", "-1", "a", "a=b", "-O3", "{}"])
WORDS = st.lists(
    FLAGS | BEGUN | VALUES | st.tuples(FLAGS | BEGUN, st.sampled_from(["", "=", "."]), VALUES).map("".join), max_size=5
)


@given(WORDS)
@settings(max_examples=150, deadline=None)
def test_argparse_is_not_told_of_arguments_that_were_not_written_and_judges_alike(words: list[str]) -> None:
    assert REAL is not None
    assert REAL.parse(words) == Whole(REAL.version, REAL.arguments).parse(words)
    assert len(REAL._possible(["--dtype=auto"])) < 4
