"""The cold-start ledger: from reports and log lines to seconds per phase."""

import pytest

from fairlead_runtime.startup import PHASES, Ledger, Step


def said(text: str, process: str = "Worker", level: str = "INFO") -> str:
    return f"({process} pid=12) {level} 11-24 02:10:11 [somewhere.py:7] {text}"


#: A start on a GPU, as vLLM 0.32 prints it: (seconds, line or step).
ON_A_GPU = (
    (0.1, Step.STARTED),
    (9.0, Step.IMPORTED),
    (28.0, said("Starting to load model org/name...")),
    (48.0, said("Time spent downloading weights for org/name: 19.912345 seconds")),
    (58.0, said("Loading weights took 9.51 seconds")),
    (58.5, said("Model loading took 14.96 GiB memory and 30.100000 seconds")),
    (60.0, said("Using cache directory: /cache/torch_compile_cache/ab/rank_0_0 for vLLM's torch.compile")),
    (70.0, said("Compiling a graph for compile range (1, 8192) takes 8.01 s")),
    (75.0, said("torch.compile took 16.02 s in total")),
    (80.0, said("Graph capturing finished in 4 secs, took 0.61 GiB")),
    (81.0, Step.INITIALIZED),
    (81.5, Step.DECODED),
    (82.0, Step.WARMED),
    (82.1, Step.READY),
)


def ledger_of(*told: tuple[float, Step | str]) -> Ledger:
    ledger = Ledger()
    for seconds, news in told:
        if isinstance(news, Step):
            ledger.reached(news, seconds)
        else:
            ledger.read(news, seconds)
    return ledger


def test_a_whole_start_on_a_gpu() -> None:
    ledger = ledger_of(*ON_A_GPU)

    assert ledger.steps == {
        "started": 0.1,
        "imported": 9.0,
        "spawned": 28.0,
        "fetched": 48.0,
        "loaded": 58.5,
        "compiled": 75.0,
        "captured": 80.0,
        "initialized": 81.0,
        "decoded": 81.5,
        "warmed": 82.0,
        "ready": 82.1,
    }
    assert ledger.phases["fetch"] == 20.0
    assert ledger.phases["compile"] == 16.5
    assert ledger.compile_cache == "miss"
    assert str(ledger).startswith("82.1 s: process_start 0.1 s, imports 8.9 s, ")


def test_the_phases_together_are_the_whole_start_whatever_is_left_out() -> None:
    for left_out in range(len(ON_A_GPU) - 1):
        ledger = ledger_of(*ON_A_GPU[:left_out], *ON_A_GPU[left_out + 1 :])
        assert sum(ledger.phases.values()) == pytest.approx(82.1)


def test_every_step_ends_a_phase() -> None:
    assert list(PHASES) == list(Step)
    assert len(set(PHASES.values())) == len(Step)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["Directly load AOT compilation from path /cache/x/model"], "hit", id="all from the cache"),
        pytest.param(
            ["Directly load the compiled graph(s) for compile range (1, 64) from the cache, took 0.1 s"],
            "hit",
            id="graph by graph from the cache",
        ),
        pytest.param(["torch.compile took 16.02 s in total"], "miss", id="compiled, and no word of a cache"),
        pytest.param(["Warming up done."], "miss", id="the CPU engine's compilation"),
        pytest.param(
            [
                "Directly load the compiled graph(s) for compile range (1, 64) from the cache, took 0.1 s",
                "Compiling a graph for compile range (64, 512) takes 3.2 s",
            ],
            "partial",
            id="one graph from the cache, one anew",
        ),
        pytest.param(
            [
                "[backbone] Compiling model again due to a load failure from /cache/x/model, reason: x",
                "[backbone] saved AOT compiled function to /cache/x/model",
            ],
            "partial",
            id="found in the cache and compiled again, with the compiler's own cache",
        ),
        pytest.param(["Loading weights took 0.02 seconds"], "", id="nothing was compiled"),
    ],
)
def test_whether_the_compile_cache_was_hit(lines: list[str], expected: str) -> None:
    assert ledger_of(*((float(second), said(line)) for second, line in enumerate(lines))).compile_cache == expected


@pytest.mark.parametrize(
    ("told", "steps"),
    [
        pytest.param(
            [(1.0, said("Loading weights took 1 s", "Worker_TP0")), (2.0, said("Loading weights took 2 s", "Worker_TP1"))],
            {"loaded": 2.0},
            id="with several ranks the last one counts",
        ),
        pytest.param(
            [(1.0, Step.LOADED), (2.0, Step.COMPILED), (3.0, said("Loading weights took 1 s"))],
            {"loaded": 1.0, "compiled": 2.0},
            id="a draft model that is loaded later changes nothing",
        ),
        pytest.param([(1.0, "Loading weights took 1 s")], {}, id="a line that is not from vLLM's logger"),
        pytest.param([(1.0, said("Loading weights took 1 s", level="ERROR"))], {}, id="a line of another level"),
        pytest.param(
            [(1.0, Step.INITIALIZED), (2.0, said("Loading weights took 1 s"))],
            {"initialized": 1.0},
            id="after the start what clients write into the log is not read",
        ),
    ],
)  # fmt: skip
def test_what_counts(told: list[tuple[float, Step | str]], steps: dict[str, float]) -> None:
    assert ledger_of(*told).steps == steps
