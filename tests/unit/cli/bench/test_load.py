"""The closed loop: as many at a time as the level says, every request once, in as many processes as wanted."""

import multiprocessing
import os
import signal

import pytest

from fairlead_cli.bench import BenchError
from fairlead_cli.bench.asking import Question
from fairlead_cli.bench.load import Board, Clients, Level, Standing, session, share
from fairlead_cli.bench.target import Api, Target
from unit.cli.bench import answering
from unit.cli.bench.answering import Script


def level(server: Script, concurrency: int, requests: int, timeout: float = 20) -> Level:
    question = Question(Target(f"{server.url}{Api.COMPLETIONS}", Api.COMPLETIONS, "tiny"), 5, True)
    return Level(question, concurrency, requests, words=8, seed="test", timeout=timeout)


async def test_one_process_keeps_its_clients_busy_until_all_is_asked() -> None:
    board = Board(multiprocessing.get_context("spawn"))
    with answering.answering(Script()) as server:
        async with session({}, 20) as connections:
            done = await share(level(server, 4, 22), 4, board, connections)

    assert [outcome.error for outcome in done.outcomes] == [""] * 22
    assert server.most == 4
    assert len({body["prompt"] for body in server.bodies}) == 22
    assert board.standing() == Standing(done=22, failed=0, tokens=22 * 5)
    assert 0 < done.busy <= 1.5


async def test_failures_are_counted_and_do_not_end_the_loop() -> None:
    board = Board(multiprocessing.get_context("spawn"))
    with answering.answering(Script(behave=lambda n: answering.CUT if n % 3 == 0 else answering.WELL)) as server:
        async with session({}, 20) as connections:
            done = await share(level(server, 2, 9), 2, board, connections)

    assert len(done.outcomes) == 9
    assert sum(bool(outcome.error) for outcome in done.outcomes) == 3
    assert board.standing() == Standing(done=9, failed=3, tokens=6 * 5)


def test_processes_share_a_levels_clients_and_requests() -> None:
    seen: list[Standing] = []
    with answering.answering(Script()) as server, Clients(2) as clients:
        first = clients.run(level(server, 5, 40), seen.append)
        again = clients.run(level(server, 1, 3))

    assert (len(first), len(again)) == (2, 1)
    assert sum(len(done.outcomes) for done in first) == 40
    assert len(server.bodies) == 43
    assert seen[-1] == Standing(done=40, failed=0, tokens=200)
    assert multiprocessing.active_children() == []


def test_a_client_process_that_dies_is_told_and_not_waited_for() -> None:
    with answering.answering(Script(behave=lambda _: answering.HANGING)) as server, Clients(1) as clients:
        (child,) = multiprocessing.active_children()
        assert child.pid is not None
        pid = child.pid

        def kill_it_at_work(_: Standing) -> None:
            if server.running:
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(BenchError, match="ended by itself"):
            clients.run(level(server, 1, 1), kill_it_at_work)
        with pytest.raises(BenchError, match="ended by itself"):
            clients.run(level(server, 1, 1))


def test_clients_do_not_outlive_their_block() -> None:
    with Clients(2):
        assert len(multiprocessing.active_children()) == 2

    assert multiprocessing.active_children() == []
