"""`fairlead bench` as a user meets it, against a server in a thread."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairlead_cli.__main__ import fairlead
from unit.cli.bench import answering
from unit.cli.bench.answering import Script

SHORT = ("--output-tokens", "5", "--input-tokens", "20", "--processes", "1", "--requests", "6", "--warmup", "2")


def bench(*arguments: str, **environment: str) -> Result:
    variables: dict[str, str | None] = {
        "FAIRLEAD_API_KEY": None,
        "OPENAI_API_KEY": None,
        "COLUMNS": "120",
        **environment,
    }
    return CliRunner().invoke(fairlead, ["bench", *arguments], env=variables)


@pytest.mark.parametrize("path", ["", "/v1/completions", "/v1/chat/completions", "/generate"])
@pytest.mark.parametrize("form", ["--stream", "--unary"])
def test_a_sweep_of_each_route_ends_in_table_json_and_plot(tmp_path: Path, path: str, form: str) -> None:
    files = "--output", str(tmp_path / "out.json"), "--plot", str(tmp_path / "out.svg")
    with answering.answering(Script()) as server:
        done = bench(server.url + path, "--concurrency", "1,3", form, *SHORT, *files)

    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert [(level["concurrency"], level["success"], level["failed"]) for level in report["levels"]] == [
        (1, 6, 0),
        (3, 6, 0),
    ]
    assert report["levels"][0]["output_tokens"] == 5
    assert (report["model"], report["mode"]) == ("tiny", form.removeprefix("--"))
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
    assert "inter-token" in done.output
    # Some to calibrate, two to warm up, six for each level; no prompt twice, or a prefix cache would answer.
    measured = [
        json.dumps(body.get("prompt") or body.get("messages")) for body in server.bodies if body["max_tokens"] == 5
    ]
    assert len(measured) == len(set(measured)) == 2 + 6 + 6


def test_prompts_have_the_length_that_was_asked_for_by_the_servers_count() -> None:
    with answering.answering(Script(per_word=4)) as server:
        done = bench(server.url, "--concurrency", "1", *SHORT)

    assert "prompts had 20 tokens, answers 5" in done.output


def test_two_runs_differ_in_their_prompts_and_a_seed_repeats_them() -> None:
    with answering.answering(Script()) as server:
        for seed in ((), (), ("--seed", "7"), ("--seed", "7")):
            bench(server.url, "--concurrency", "1", *SHORT, *seed)
    prompts = [body["prompt"] for body in server.bodies if body["max_tokens"] == 5]
    runs = [prompts[at : at + 8] for at in range(0, 32, 8)]

    assert runs[0] != runs[1]
    assert runs[2] == runs[3]


def test_a_level_that_is_named_again_has_prompts_of_its_own_and_a_seed_repeats_them() -> None:
    with answering.answering(Script()) as server:
        for _ in range(2):
            bench(server.url, "--concurrency", "6,6", *SHORT, "--seed", "7")
    prompts = [body["prompt"] for body in server.bodies if body["max_tokens"] == 5]
    first, again, *repeated = [set(prompts[at : at + 6]) for at in (2, 8, 16, 22)]

    assert len(first | again) == 12
    assert repeated == [first, again]


def test_failures_are_counted_with_their_words_and_do_not_fail_the_command() -> None:
    with answering.answering(Script(behave=lambda n: answering.CUT if n > 10 and n % 2 else answering.WELL)) as server:
        done = bench(server.url, "--concurrency", "1", *SHORT)

    assert done.exit_code == 0
    assert "concurrency 1: 3 failed: cut: the connection ended before the answer did" in done.output


def test_the_command_fails_when_every_request_did_and_stops_there() -> None:
    with answering.answering(Script(behave=lambda n: answering.WELL if n < 8 else answering.BROKEN)) as server:
        done = bench(server.url, "--concurrency", "1,2,4", *SHORT)

    assert done.exit_code == 1
    assert "HTTP 500: the engine died" in done.output
    assert sum(body["max_tokens"] == 5 for body in server.bodies) == 2 + 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(("--concurrency", "1,x"), "Invalid value for '--concurrency': '1,x' is no list", id="no number"),
        pytest.param(("--concurrency", "4,0"), "Invalid value for '--concurrency'", id="nobody at a time"),
        pytest.param(("--concurrency", ""), "Invalid value for '--concurrency'", id="no level"),
        pytest.param(
            ("--plot", "out.png"), "Invalid value for '--plot': out.png would be an SVG", id="another picture"
        ),
        pytest.param(("--plot", "no/out.svg"), "Invalid value for '--plot': no is no folder", id="no such folder"),
        pytest.param(
            ("--output", "no/out.json"), "Invalid value for '--output': no is no folder", id="nor for figures"
        ),
        pytest.param(("--output", "/"), "Invalid value for '--output': / is a folder", id="a folder"),
        pytest.param(("--requests", "0"), "Invalid value for '--requests'", id="no request"),
        pytest.param(
            ("--requests", "32", "--concurrency", "16,64,32"),
            "--requests 32 never has 64 running at once, the largest level of --concurrency",
            id="fewer requests than are to run",
        ),
        pytest.param(
            ("--requests", "32"), "--requests 32 never has 256 running at once", id="nor for levels nobody named"
        ),
        pytest.param(("--model", "other"), "--model: ", id="a model that is not served"),
    ],
)
def test_a_wrong_option_is_named(arguments: tuple[str, str], told: str) -> None:
    with answering.answering(Script()) as server:
        done = bench(server.url, *arguments)

    assert done.exit_code in (1, 2)
    assert told in done.output
    assert server.bodies == []


def test_nobody_there_is_one_line_and_no_traceback() -> None:
    done = bench("http://127.0.0.1:1")

    assert done.exit_code == 1
    assert done.output.startswith("Error: cannot reach http://127.0.0.1:1")
    assert "Traceback" not in done.output


def test_a_first_request_that_is_refused_is_told_in_the_servers_words() -> None:
    with answering.answering(Script(behave=lambda _: answering.BROKEN)) as server:
        done = bench(server.url, "--concurrency", "1", *SHORT)

    assert (done.exit_code, len(server.bodies)) == (1, 1)
    assert "the first request failed: HTTP 500: the engine died" in done.output


@pytest.mark.parametrize("variable", ["FAIRLEAD_API_KEY", "OPENAI_API_KEY"])
def test_the_key_comes_from_the_environment_and_is_in_no_output(tmp_path: Path, variable: str) -> None:
    output = tmp_path / "out.json"
    with answering.answering(Script(key="sesame")) as server:
        done = bench(server.url, "--concurrency", "1", *SHORT, "--output", str(output), **{variable: "sesame"})

    assert done.exit_code == 0, done.output
    assert "sesame" not in done.output + output.read_text()
