"""docs/benchmarks/proof.md: what was proved, made from proof.json beside it. `make generate`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from fairlead_cli.bench.proof import Kept, ProofRecord, Tried, sums
from fairlead_cli.benchmarks_page import FOLDER, table, where

HEAD = """\
# Proofs

<!-- Made by `make generate` from proof.json. -->

What is tried against the operator on a real API server, etcd, controllers and scheduler, and how often it ended wrong. `make proof`
tries what fits a CI run, `make proof-full` all of it; each part says which of them it is from. Operators are also broken on purpose: a
bug that is not found there would not be found in an operator that has it.
"""
#: What each part tries.
PARAGRAPHS = {
    "crash": (
        "The operator is killed at every write",
        "The operator is killed (`SIGKILL`) right before a write reaches the API server, and right after the API server has answered but"
        " before the operator hears of it; then it is started again. It is wrong if anything ends differently from a run without a kill:"
        " a child left over or made twice, another spec or status, a pod more than the change asked for.",
    ),
    "faults": (
        "The API server fails, and watches lie",
        "Refusals, time-outs and cut connections at requests; watch events that come late, twice, in another order or never; watches"
        " that expire or fall silent. It is wrong if an invariant breaks, if an error that was injected is shown to the user, or if the"
        " operator asks more often than its limit.",
    ),
    "explore": (
        "Specs that nobody wrote",
        "Specs generated from the CRD's schema. It is wrong if one that was accepted neither converges nor says why, if the way to a"
        " state shows in it, if something is left after a deletion, or if a child that was changed by hand is not put right.",
    ),
    "fuzz": (
        "Input that makes no sense",
        "Manifest builders, diagnosis, request parsing and memory planning, on generated input. It is wrong if one of them raises or takes"
        " longer than it may.",
    ),
}


def page(folder: Path) -> str:
    """The whole page; says so when nothing was measured yet. Raises pydantic's ValidationError for a file of another shape."""
    path = folder / "proof.json"
    if not path.exists():
        return f"{HEAD}\nNothing was measured yet.\n"
    record = ProofRecord.model_validate_json(path.read_text(encoding="utf-8"))
    about = [
        ("data", "[proof.json](proof.json)"),
        ("machine", where(record.machine)),
        ("versions", ", ".join(f"{what} {version}" for what, version in record.versions.items())),
    ]
    sections = [HEAD, table(("", ""), about) + "\n"]
    for part, (heading, text) in PARAGRAPHS.items():
        if part not in record.parts:
            continue
        kept = record.parts[part]
        notes = "".join(f"- {note}\n" for note in kept.notes)
        sections += [
            f"## {heading}\n\n{text}\n\n{_made(kept)}\n",
            _counted("", "ended wrong", kept.rows),
            *([_counted("operators broken on purpose", "not found", kept.broken)] if kept.broken else []),
            *([notes] if notes else []),
        ]
    return "\n".join(sections)


def _counted(what: str, wrong: str, rows: Sequence[Tried]) -> str:
    """A table with its sum."""
    tried, failed = sums(rows)
    return (
        table(
            (what, "tried", wrong),
            [
                *((row.what, f"{row.tried:,}", f"{row.failed:,}") for row in rows),
                ("**all**", f"**{tried:,}**", f"**{failed:,}**"),
            ],
        )
        + "\n"
    )


def _made(part: Kept) -> str:
    minutes = round(part.seconds / 60)
    made = f"Tried by `{part.command}`, {part.date}, {minutes} minute{'' if minutes == 1 else 's'} with all that ran beside it"
    return f"{made}." if part.failed_tests is None else f"{made}; tests that failed: {part.failed_tests}."


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    (folder / "proof.md").write_text(page(folder), encoding="utf-8")
