"""Values, as vLLM's converting functions take them."""

import pytest

from fairlead_operator.core.engines.values import LISTED, Argument, complaint, human_int, objects

MODE = Argument(("--mode",), "mode", choices=("auto", "none"))
RANK = Argument(("--rank",), "rank", kind="int", choices=(8, 16))
CONFIG = Argument(("--config",), "config", kind="object", keys=("mode", "sizes"))


def of(kind: str, *, optional: bool = False) -> Argument:
    return Argument(("--x",), "x", kind=kind, optional=optional)


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        pytest.param(of("text"), "", id="any text"),
        pytest.param(MODE, "auto", id="a choice"),
        pytest.param(RANK, "16", id="a number among choices"),
        pytest.param(of("int"), "-1", id="a negative number"),
        pytest.param(of("float"), "1e-3", id="an exponent"),
        pytest.param(of("human-int"), "25.6k", id="a size with a decimal multiplier"),
        pytest.param(of("human-int-or-auto"), "AUTO", id="auto in any case"),
        pytest.param(of("int", optional=True), "None", id="no value where that is allowed"),
        pytest.param(of("json"), "[1]", id="JSON that is no object"),
        pytest.param(of("json-or-text"), "cpu", id="a text where JSON may be"),
        pytest.param(CONFIG, '{"mode": 3, "sizes": [80K]}', id="an object, a size with its suffix in it"),
        pytest.param(Argument(("--x",), "x", kind="lowered", choices=("deep_gemm",)), "Deep-GEMM", id="any case"),
        pytest.param(
            Argument(("--x",), "x", kind="other", choices=("a",)), "b", id="a kind nobody knows is not judged"
        ),
    ],
)
def test_taken(argument: Argument, text: str) -> None:
    assert complaint(argument, text) == ""


@pytest.mark.parametrize(
    ("argument", "text", "said"),
    [
        pytest.param(MODE, "always", "'always' is none of auto, none; choose", id="no choice"),
        pytest.param(MODE, "None", "is none of", id="no value where one is needed"),
        pytest.param(RANK, "9", "none of 8, 16", id="a number that is no choice"),
        pytest.param(of("int"), "many", "no whole number", id="a word for a number"),
        pytest.param(of("int"), "1.5", "no whole number", id="a part of a number"),
        pytest.param(of("human-int"), "1.5K", "no size", id="no decimals with a binary multiplier"),
        pytest.param(of("json"), "{mode: 3}", "no JSON", id="keys without quotes"),
        pytest.param(of("json-or-text"), "{a}", "no JSON", id="braces promise JSON"),
        pytest.param(of("human-int"), f"{'9' * 400}k", "no size", id="more than any size"),
        pytest.param(of("json"), "[" * 3000, "no JSON", id="brackets without an end"),
        pytest.param(CONFIG, '{"mode": ' + "[" * 80 + "]" * 80 + "}", "no JSON", id="deeper than any setting"),
        pytest.param(CONFIG, "[]", "must be a JSON object", id="a list for an object"),
        pytest.param(CONFIG, '{"mood": 3}', "write 'mode'", id="a misspelt key: the nearest is named"),
        pytest.param(CONFIG, '{"zzz": 3}', "no key 'zzz'; remove it", id="a key like no other"),
    ],
)
def test_refused(argument: Argument, text: str, said: str) -> None:
    assert said in complaint(argument, text)


def test_a_long_list_of_choices_and_a_long_value_are_cut() -> None:
    many = Argument(("--x",), "x", choices=tuple(f"choice{number}" for number in range(LISTED + 3)))

    said = complaint(many, "y" * 5000)

    assert "and 3 more; choose one of these" in said
    assert len(said) < 600


def test_sizes_as_vllm_reads_them() -> None:
    assert [human_int(text) for text in ("4k", "4K", "1.5m", "7")] == [4000, 4096, 1_500_000, 7]


def test_objects_are_what_is_json_and_an_object() -> None:
    assert objects(CONFIG, ['{"mode": 3}', "[1]", "{", '{"a":' * 1000]) == ({"mode": 3},)
    assert objects(of("text"), ['{"mode": 3}']) == ()
