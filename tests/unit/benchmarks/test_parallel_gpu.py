"""Rounds of servers with one GPU and with two: their order, and what becomes of their figures."""

from typing import Any

import pytest
from parallel_gpu import PLACES, Alone, Measured

from fairlead_cli.bench.statistics import LevelResult, level_result

SEVEN = [place for place in PLACES[2] if place.model == "7B"]
LEVELS = (1, 16)


class Scripted(Measured):
    """Answers with 100 tokens a second for each request at a time on one GPU, and half as many again on two."""

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(SEVEN, (), nobody)
        self.asked: list[tuple[int, int]] = []

    def ask(self, at: int, level: int, number: int) -> LevelResult:
        self.asked.append((len(self.places[at].gpus), level))
        return level_result(level, []).model_copy(
            update={"tok_s": 100.0 * level * (1.5 if at else 1), "ttft_p50_ms": 1.0, "ttft_p99_ms": 1.0,
                    "inter_token_p50_ms": 1.0, "inter_token_p99_ms": 1.0}
        )  # fmt: skip


def after(rounds: int) -> Scripted:
    found = Scripted()
    for number in range(rounds):
        found.round(number, LEVELS, Alone(2))
    return found


def test_the_order_turns_round_and_half_of_the_requests_are_asked_of_one_gpu_every_other_time() -> None:
    assert after(2).asked == [(2, 1), (1, 1), (2, 16), (1, 16), (1, 8), (1, 1), (2, 1), (1, 16), (2, 16)]


def test_two_gpus_are_compared_with_one_and_with_two_replicas_at_half_of_the_requests() -> None:
    rows = {(row.tensor, row.concurrency): row for row in after(3).rows()}

    assert (rows[2, 16].tok_s, rows[2, 16].ratio, rows[2, 16].pairs) == (2400.0, 1.5, 3)
    assert (rows[1, 16].tok_s, rows[1, 16].ratio, rows[1, 16].two_replicas_tok_s) == (1600.0, None, 1600.0)
    assert (rows[1, 1].two_replicas_tok_s, rows[1, 8].pairs) == (None, 2)


@pytest.mark.parametrize("gpus", PLACES)
def test_every_server_stands_on_gpus_of_the_machine_and_each_model_once_on_one(gpus: int) -> None:
    places = PLACES[gpus]

    assert {gpu for place in places for gpu in place.gpus} <= set(range(gpus))
    assert [place.model for place in places if len(place.gpus) == 1] == ["7B", "13B"]


def test_figures_are_there_while_the_first_round_runs() -> None:
    found = Scripted()
    found.results[SEVEN[1], 1] = [found.ask(1, 1, 0)]

    assert [(row.tensor, row.ratio) for row in found.rows()] == [(2, None)]
