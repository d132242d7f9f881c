"""kubectl's words, and what they mean here."""

from pathlib import Path

import pytest

from fairlead_cli.why.asking import Kubectl, Refusal, UnansweredError, refused


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param('Error from server (NotFound): inferenceservices.fairlead.dev "x" not found', Refusal.ABSENT, id="no such object"),
        pytest.param('error: the server doesn\'t have a resource type "inferenceservices"', Refusal.NO_SUCH_KIND, id="the CRD is absent"),
        pytest.param("Error from server (NotFound): the server could not find the requested resource", Refusal.NO_SUCH_KIND, id="the CRD went away since kubectl looked"),
        pytest.param('W1124 noise\nError from server (Forbidden): pods is forbidden: User "ada" cannot list', Refusal.FORBIDDEN, id="no rights, after a warning"),
        pytest.param("The connection to the server 127.0.0.1:1 was refused", Refusal.UNREACHABLE, id="no cluster"),
        pytest.param("error: You must be logged in to the server (Unauthorized)", Refusal.UNREACHABLE, id="no login"),
        pytest.param("", Refusal.UNREACHABLE, id="not a word"),
    ],
)  # fmt: skip
def test_why_there_is_no_answer(said: str, expected: Refusal) -> None:
    assert refused(said).refusal is expected


def program(folder: Path, script: str) -> str:
    path = folder / "kubectl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_questions_carry_the_users_flags_and_a_limit_of_time(tmp_path: Path) -> None:
    said = tmp_path / "said"
    kubectl = Kubectl(
        program(tmp_path, f'echo "$@" >> {said}; echo "{{\\"items\\": []}}"'), ("--context=a", "--namespace=b")
    )

    assert kubectl.find("pods", labels="x=y") == []

    words = said.read_text().split()
    assert {"--context=a", "--namespace=b", "--request-timeout=10s", "--selector=x=y"} <= set(words)
    assert kubectl.namespace() == "b"


def test_a_refusal_is_told_in_kubectls_last_words(tmp_path: Path) -> None:
    kubectl = Kubectl(program(tmp_path, "echo 'Error from server (Forbidden): no' >&2; exit 1"))

    with pytest.raises(UnansweredError, match="Forbidden") as refusal:
        kubectl.get("pod", "a")

    assert refusal.value.brief == "no"
