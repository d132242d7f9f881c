"""The last lines of an engine's processes."""

from fairlead_runtime.diagnosis import diagnose
from fairlead_runtime.ring import MAX_LINE_CHARACTERS, MAX_LINES, LogRing

#: As vLLM 0.26 said it when a process on one of two GPUs was killed.
DIED = (
    "(EngineCore pid=9) ERROR 11-28 07:31:27 [multiproc_executor.py:284] Worker proc VllmWorker-1 died unexpectedly"
    " (exit code: None), shutting down executor."
)
FRONT_END = "(APIServer pid=7) ERROR 11-28 07:31:27 [serving.py:495]     "


def ring(*lines: str) -> LogRing:
    found = LogRing()
    for line in lines:
        found.add(line)
    return found


def test_lines_come_back_in_the_order_in_which_they_were_added() -> None:
    lines = ["a", f"{FRONT_END}b", "c", f"{FRONT_END}d", "e"]

    assert ring(*lines).lines() == lines


def test_only_the_last_are_kept_and_none_is_longer_than_allowed() -> None:
    lines = [str(number) for number in range(2 * MAX_LINES)]

    kept = ring(*lines, "x" * 2 * MAX_LINE_CHARACTERS).lines()

    assert kept == [*lines[1 - MAX_LINES :], "x" * MAX_LINE_CHARACTERS]


def test_what_names_no_cause_pushes_out_nothing_and_is_told_to_the_listener() -> None:
    told: list[str] = []
    listened = LogRing(told.append)
    chatter = ['INFO:     10.0.0.9:4711 - "POST /v1/completions HTTP/1.1" 200 OK'] * 2 * MAX_LINES

    for line in (DIED, *chatter):
        listened.add(line)

    assert listened.lines() == [DIED]
    assert told == [DIED, *chatter]


def test_what_was_said_before_is_forgotten() -> None:
    kept = ring("a", f"{FRONT_END}b")

    kept.forget()
    kept.add("c")

    assert kept.lines() == ["c"]


def test_the_front_ends_tracebacks_do_not_push_out_what_the_engine_said() -> None:
    echo = [f"{FRONT_END}EngineDeadError: EngineCore encountered an issue."] * 2 * MAX_LINES

    found = diagnose(ring(DIED, *echo).lines(), "EngineDeadError: the engine's process ended while serving")

    assert found.code == "EngineDied"
    assert "VllmWorker-1" in found.message
