"""Operators that are forked are processes of their own: they are killed one by one, and all end with the one that forks."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cluster import eventually
from fairlead_cli.local.health import free_ports
from proof.crash.nursery import ForkedOperator, Nursery

#: Nobody listens there: the operator lives and waits.
NOWHERE = """
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: a, user: {}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a
"""


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    (tmp_path / "kubeconfig").write_text(NOWHERE)
    with Nursery(tmp_path / "nursery.log") as started:
        yield started


def an_operator(nursery: Nursery, tmp_path: Path, name: str) -> ForkedOperator:
    log = tmp_path / f"{name}.log"
    return ForkedOperator(tmp_path / "kubeconfig", log, "here", name, free_ports(1)[0], nursery=nursery)


def test_one_is_killed_and_started_again_while_the_other_lives(nursery: Nursery, tmp_path: Path) -> None:
    with an_operator(nursery, tmp_path, "one") as one, an_operator(nursery, tmp_path, "two") as two:
        for each in (one, two):
            eventually(lambda each=each: each.get("/livez")[0] == 200, f"life of {each.name}")  # type: ignore[misc]

        one.end(signal.SIGKILL)

        assert one.get("/livez")[0] == 0
        assert two.running
        assert two.get("/livez")[0] == 200
        one.start()
        eventually(lambda: one.get("/livez")[0] == 200, "life of the new one")


def test_what_is_forked_ends_with_its_nursery(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(NOWHERE)
    with Nursery(tmp_path / "nursery.log") as nursery:
        forked = an_operator(nursery, tmp_path, "left").launch()

    forked.wait(20)
