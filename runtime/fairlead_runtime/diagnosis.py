"""Failure text -> Failure: what an engine said before it ended, as a code, a sentence, a field and a value. Pure.

Where an exception is raised in a child process, the front end only says "see root cause above": so all lines are searched, and
the order of the catalogue decides.
"""

import re
from collections import deque
from collections.abc import Iterable

from fairlead_runtime.catalogue import CATALOGUE
from fairlead_runtime.causes import PREFIX, unprefixed
from fairlead_runtime.failure import CODES, Failure, redact

__all__ = ["CODES", "Failure", "diagnose", "redact"]

#: More text than this adds nothing, and takes time: the end is kept.
MAX_CHARACTERS = 200_000
#: Lines of an unknown failure that are told.
TOLD_LINES = 6
#: Characters of the record's message for an unknown failure.
TOLD_CHARACTERS = 1000

#: Lines that name no cause: vLLM's "(APIServer pid=9) INFO 11-24 ...", uvicorn's "INFO:     127.0.0.1:5 - "GET /x HTTP/1.1" 200 OK".
CHATTER = re.compile(r"^(?:\([\w-]{1,40} pid=\d+\)\s?)?(?:INFO|DEBUG)[: ]")
#: The frames of a traceback: source code, which names exceptions that nobody raised.
_FRAME = re.compile(r' {2,}File "| {4,}\S')
_ERROR = re.compile(r"[\w.]{1,100}(?:Error|Exception|Interrupt)\b")


def diagnose(lines: Iterable[str], exception: str = "") -> Failure:
    """The most exact cause in the log `lines` (oldest first) and the front end's own `exception` text.

    Lines of level INFO and DEBUG name no cause, and access logs among them carry paths that clients chose: they are not searched.
    """
    kept = [line for line in (*lines, *exception.splitlines()) if not CHATTER.match(line) and not _frame(line)]
    text = "\n".join(kept)[-MAX_CHARACTERS:]
    for cause in CATALOGUE:
        # The last of them: an exception that is raised from another one is printed after it, and says more.
        if seen := deque(cause.pattern.finditer(text), maxlen=1):
            return cause.build(seen[0])
    return Failure("UnknownFailure", _root_cause(kept), "", "read the log of the pod's previous run")


def _frame(line: str) -> bool:
    return bool(_FRAME.match(PREFIX.sub("", line)))


def _root_cause(lines: list[str]) -> str:
    """What the process nearest to the failure said last: a worker rather than the engine core, that rather than the front end.

    Its last exception and the lines before it, or without an exception the last lines of all.
    """
    for process in ("Worker", "EngineCore", ""):
        own = [line for line in lines if (seen := PREFIX.match(line)) and process in seen["process"]]
        said = [told for line in (own if process else lines) if (told := unprefixed(line))]
        at = next((index for index in reversed(range(len(said))) if _ERROR.match(said[index])), None)
        if at is not None:
            before = " | ".join(said[max(0, at - TOLD_LINES + 1) : at])
            return _told(f"{said[at]} (before it: {before})" if before else said[at])
    return _told(" | ".join([told for line in lines if (told := unprefixed(line))][-TOLD_LINES:]))


def _told(text: str) -> str:
    return redact(text)[:TOLD_CHARACTERS] or "the engine ended without a word"
