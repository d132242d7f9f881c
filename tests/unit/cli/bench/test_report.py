"""The table, its remarks, and the JSON that others read."""

import json
from io import StringIO
from typing import Any, Literal

import pytest
from rich.console import Console

from fairlead_cli.bench.report import Report, both, number, remarks, table
from fairlead_cli.bench.statistics import Failed, LevelResult

LEVEL: dict[str, Any] = {
    "concurrency": 4,
    "success": 16,
    "failed": 0,
    "seconds": 2.0,
    "tok_s": 2048.0,
    "per_request_tok_s": 520.1,
    "prompt_tokens": 127.5,
    "output_tokens": 256.0,
    "latency_p50_ms": 490.0,
    "latency_p99_ms": 512.3,
    "ttft_p50_ms": 21.64,
    "ttft_p99_ms": 40.0,
    "inter_token_p50_ms": 1.826,
    "inter_token_p99_ms": 3.1,
    "client_busy": 0.2,
}


def report(*levels: LevelResult, mode: Literal["stream", "unary"] = "stream") -> Report:
    return Report(
        version="1",
        date="2026-01-02T03:04:05+00:00",
        url="http://host/v1/completions",
        model="tiny",
        mode=mode,
        input_tokens=128,
        output_tokens=256,
        temperature=0.0,
        seed=1,
        processes=2,
        levels=levels,
    )


def level(**changes: Any) -> LevelResult:
    return LevelResult.model_validate(LEVEL | changes)


def rendered(shown: Report) -> str:
    console = Console(file=StringIO(), width=80, no_color=True)
    console.print(table(shown))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_each_level_is_a_row_with_p50_and_p99_in_80_columns() -> None:
    large = {
        "concurrency": 256,
        "success": 1024,
        "failed": 3,
        "tok_s": 17506.0,
        "latency_p99_ms": 12345.0,
        "ttft_p99_ms": 1260.0,
    }
    rows = [line.split("  ") for line in rendered(report(level(), level(**large))).splitlines()[3:5]]

    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["4", "16", "0", "2,048.0", "520", "0.49 / 0.51", "21.6 / 40.0", "1.83 / 3.10"],
        ["256", "1024", "3", "17,506.0", "520", "0.49 / 12.3", "21.6 / 1,260", "1.83 / 3.10"],
    ]


def test_what_was_not_measured_is_a_dash() -> None:
    unary = level(ttft_p50_ms=None, ttft_p99_ms=None, inter_token_p50_ms=None, inter_token_p99_ms=None)

    assert rendered(report(unary, mode="unary")).splitlines()[3].split()[-2:] == ["-", "-"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), (1234.5, "1,234"), (99.94, "99.9"), (1.234, "1.23"), (0.123, "0.12"), (0.0456, "0.046")],
)
def test_numbers_have_the_digits_that_count(value: float | None, expected: str) -> None:
    assert number(value) == expected
    assert both(None, None) == "-"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, "prompts had 127.5 tokens, answers 256, on average", id="real lengths"),
        pytest.param({"prompt_tokens": None}, "prompts had an unknown number of tokens", id="a server that tells none"),
        pytest.param(
            {"failed": 2, "errors": (Failed(text="HTTP 503: full", count=2),)},
            "concurrency 4: 2 failed: HTTP 503: full",
            id="errors in their words",
        ),
        pytest.param({"client_busy": 0.97}, "use more --processes", id="a client that was the limit"),
    ],
)
def test_remarks_say_what_the_reader_must_know(changes: dict[str, Any], told: str) -> None:
    assert any(told in remark for remark in remarks(report(level(**changes))))


def test_an_idle_client_is_not_worth_a_remark() -> None:
    assert not any("--processes" in remark for remark in remarks(report(level())))


def test_the_json_has_every_figure_and_reads_back() -> None:
    whole = report(level(failed=1, errors=(Failed(text="cut", count=1),)))
    text = whole.model_dump_json()

    assert Report.model_validate_json(text) == whole
    assert json.loads(text)["levels"] == [{**LEVEL, "failed": 1, "errors": [{"text": "cut", "count": 1}]}]
