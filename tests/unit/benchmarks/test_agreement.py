"""How two benchmarks of one server are compared."""

import sys
from pathlib import Path

import pytest
from agreement import FIGURES, VllmServe, known, row, vllm_serve

STAND_IN = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print("Starting initial single prompt test run...")
    figures = {"output_throughput": 800.5, "median_e2el_ms": 64.0, "median_ttft_ms": 9.0, "median_itl_ms": 1.0, "p99_itl_ms": 2.0}
    print("RESULT " + json.dumps({"failed": int(asked[0]), **figures}), flush=True)
"""


def figures(**changes: float) -> dict[str, float]:
    return dict.fromkeys(FIGURES, 100.0) | changes


def test_a_row_compares_pairs_of_one_figure() -> None:
    have = [
        (figures(tok_s=99.0), figures()),
        (figures(tok_s=198.0), figures(tok_s=200.0)),
        (figures(tok_s=99.0), figures()),
    ]

    made = row("paced", "tok_s", 8, have)

    assert (made.fairlead, made.vllm, made.ratio, made.interval, made.pairs) == (99.0, 100.0, 0.99, (0.99, 0.99), 3)


def test_pairs_go_on_for_the_figure_that_is_known_least() -> None:
    have = [(figures(ttft_p50_ms=at), figures()) for at in (80.0, 100.0, 120.0)]

    assert (known(have).low, known(have).high) == (0.8, 1.2)


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for vLLM's benchmark, run by this Python."""
    script = tmp_path / "serve.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr("agreement.SCRIPT", script)
    monkeypatch.setattr("servers.python", lambda: sys.executable)
    return tmp_path


def test_vllms_figures_come_by_our_names_from_between_its_own_lines(serve: Path) -> None:
    with vllm_serve(serve / "log") as theirs:
        assert isinstance(theirs, VllmServe)
        runs = [theirs.run("0", "--seed", "1"), theirs.run("0")]

    assert runs[0] == runs[1]
    assert runs[0]["tok_s"] == 800.5
    assert runs[0]["inter_token_p99_ms"] == 2.0


def test_failed_requests_are_no_measurement(serve: Path) -> None:
    with pytest.raises(SystemExit, match="2 failed requests"), vllm_serve(serve / "log") as theirs:
        theirs.run("2")
