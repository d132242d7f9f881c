"""A request that the API server does not carry out although the spec is right: a quota, a webhook, a missing right, its own trouble.

Told in the API server's words, without what changes from try to try: each try would be news.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fairlead_operator.core.reasons import REASONS
from fairlead_runtime.failure import redact

#: Its reason in core/reasons.py.
WRITE_FAILED: Final = "WriteFailed"
#: Characters of the API server's words: with the rest of the message they fit into the note of an event.
LONGEST: Final = 600
#: Of more than so many characters nothing is looked at: an API server, or a proxy before it, may say anything.
MOST: Final = 4096
#: What changes although nothing has changed, and what stands for it.
_MOVING: Final = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d\b)?"), "(time)"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "(uid)"),
    # The port that a connection went out from.
    (re.compile(r"(\d|\]):\d{1,5}(?=->)"), r"\1"),
    (re.compile(r"\b(?:\d+m)?\d+\.\d+(?:ms|µs|s)\b"), "(duration)"),
)
#: Words of the API server, or the code before them -> where to look. The first that fits.
_REMEDIES: Final = tuple(
    (re.compile(words), remedy)
    for words, remedy in (
        (r"^403 .* cannot \w+ resource", "give the operator's ServiceAccount this right: the chart's roles have it"),
        (r"(?:exceeded|failed|insufficient|unknown for) quota", "raise the namespace's ResourceQuota, or free what it counts"),
        (r"failed calling webhook", "repair what serves that webhook, or have its configuration leave this namespace out"),
        (r"serviceIP|range is full", "delete Services that nobody needs, or give the cluster another ServiceCIDR"),
        (r"database space exceeded", "compact and defragment etcd, or raise its --quota-backend-bytes"),
        (r"^401 ", "look at the token of the operator's ServiceAccount"),
        (r"^(?:429|5\d\d) |^no answer", "look at the API server and its etcd, and at the operator's way to them"),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """`request` is verb, kind and name; `words` are the HTTP code, Kubernetes' reason and the API server's message, or that none came."""

    request: str
    words: str


def refusal(request: str, said: str) -> Refusal:
    """From what the API server said to a request, however long, and whatever secret is in it."""
    words = redact(" ".join(said[:MOST].split()))
    for moving, stand_in in _MOVING:
        words = moving.sub(stand_in, words)
    return Refusal(request, words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}...")


def is_told(service: Mapping[str, Any]) -> bool:
    """Whether the status says so: then it may tell of a generation of which nothing was carried out."""
    conditions = (service.get("status") or {}).get("conditions") or ()
    return any(condition.get("reason") == WRITE_FAILED for condition in conditions)


def told(found: Refusal) -> str:
    """What fails, why, and where to look."""
    return f"each try to {found.request} fails: {found.words.rstrip('.;')}; {where_to_look(found.words)}"


def where_to_look(words: str) -> str:
    """What to do after such words of the API server."""
    where = next((remedy for pattern, remedy in _REMEDIES if pattern.search(words)), REASONS[WRITE_FAILED].remedy)
    return f"{where}; it is tried again by itself"
