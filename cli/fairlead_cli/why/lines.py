"""The few lines of an engine's log that tell what happened. Pure."""

import re
from typing import Final

from fairlead_runtime.catalogue import CATALOGUE
from fairlead_runtime.causes import PREFIX
from fairlead_runtime.failure import redact

#: Lines that are told, and characters of each.
TOLD: Final = 6
LONGEST: Final = 320
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: A traceback's head and frames: where it happened in the engine's code, which helps nobody who runs it.
_FRAME: Final = re.compile(r'Traceback \(most recent call last\)| {2,}File "| {4,}\S|\s*[\^~]+\s*$')
#: What vLLM's logger and uvicorn say of their own accord, which may quote errors that did not happen.
_CHATTER: Final = re.compile(r"(?:\([\w-]{1,40} pid=\d+\)\s?)?(?:DEBUG|INFO|WARNING)[: ]")
_ERROR: Final = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|\b\w{0,80}(?:Error|Exception)\b|: error: ")


def telling(text: str) -> tuple[str, ...]:
    """The last lines that speak of an error, without repetitions; where none does, the last lines of all. Secrets are left out."""
    lines = [line for raw in text.splitlines() if (line := _COLOURS.sub("", raw).rstrip()) and not _is_frame(line)]
    chosen = [line for line in lines if _is_of_the_failure(line)] or lines
    # An exception is printed by each process that it passes through.
    distinct = {PREFIX.sub("", line).strip(): None for line in reversed(chosen)}
    told = list(distinct)[:TOLD]
    return tuple(_cut(redact(line)) for line in reversed(told))


def _is_of_the_failure(line: str) -> bool:
    if _CHATTER.match(line):
        return False
    return bool(_ERROR.search(line)) or any(cause.pattern.search(line) for cause in CATALOGUE)


def _is_frame(line: str) -> bool:
    return bool(_FRAME.match(PREFIX.sub("", line)))


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
