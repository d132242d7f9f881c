"""The end of a log, for messages."""

from pathlib import Path

#: What is read from the end of a file: a few hundred lines.
TAIL_BYTES = 64 * 1024


def last_lines(path: Path, count: int = 15) -> str:
    """The last lines of a file, indented; says so if there is no such file or nothing in it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join(f"  {line}" for line in lines[-count:]) or "  (its log is empty)"
