"""The page about profiles: complete, made of the table, and with the figures when there are any."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead_cli.profiles_page import figures, page
from fairlead_runtime.profiles import PROFILES, Profile

ROW = {"profile": "Throughput", "concurrency": 256, "bare_tok_s": 16920.0, "fairlead_tok_s": 20304.0, "ratio": 1.2}
MEASURED: dict[str, Any] = {
    "machine": {"cpu": "a processor", "cores": 2, "memory_gib": 16},
    "versions": {"vllm": "0.32.0"},
    "command": "make bench",
    "date": "2026-11-24",
    "workload": {"model": "a model", "input_tokens": 128, "output_tokens": 256},
    "rows": [
        {**ROW, "gate": 1.2},
        {**ROW, "concurrency": 1, "bare_tok_s": 212.6, "fairlead_tok_s": 212.6, "ratio": 1.0},
        {"profile": "BareUnary", "concurrency": 256, "bare_tok_s": 21585.0},
    ],
}


def section(text: str, profile: Profile) -> str:
    return text.split(f"\n## {profile}\n")[1].split("\n## ", maxsplit=1)[0]


@pytest.mark.parametrize("profile", Profile)
def test_every_profile_has_what_it_sets_and_what_that_trades(profile: Profile) -> None:
    text = page(None)
    (row,) = (line for line in text.splitlines() if line.startswith(f"| [`{profile}`]"))
    settings = PROFILES[profile]

    assert [name for name in (*settings.fields, *settings.flags) if name not in row] == []
    assert settings.trades in section(text, profile)
    assert "Not measured yet." in section(text, profile)


def test_figures_stand_with_their_profile_in_the_order_of_concurrency(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(MEASURED))
    text = page(figures(path))

    rows = [line for line in section(text, Profile.THROUGHPUT).splitlines() if line.startswith(("| 1 ", "| 256 "))]
    assert rows == [
        "| 1 | stream | 213 | 213 | 1.000 |  |  |",
        "| 256 | stream | 16,920 | 20,304 | 1.200 | 1.2 | met, once |",
    ]
    assert "Not measured yet." in section(text, Profile.LATENCY)
    assert "21,585" not in text
    assert "benchmarks/README.md" in text


def test_before_anything_was_measured_there_are_no_figures(tmp_path: Path) -> None:
    assert figures(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"date": None}, "date", id="no date"),
        pytest.param({"rows": [{**ROW, "concurrency": "many"}]}, r"rows\.0\.concurrency", id="no number"),
        pytest.param({"rows": [{"profile": "Latency"}]}, r"rows\.0\.concurrency", id="nothing measured"),
    ],
)
def test_figures_that_cannot_be_used_name_file_and_place(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(MEASURED | change))

    with pytest.raises(ValueError, match=rf"figures\.json: {words}"):
        figures(path)
