"""The record that a failed container leaves behind: status.containerStatuses[].(state|lastState).terminated.message.

JSON, at most 4096 bytes, which is what the kubelet keeps. A clean stop leaves none. The supervisor writes it, the operator reads
it, both with this module. Standard library only.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead_runtime.failure import Failure

#: The kubelet's limit for one container's message.
MAX_BYTES = 4096
_CUT = " [...]"
#: Characters of each other field. Of six bytes each, which is the longest escape, they leave room for a message.
_MOST = {"suggestion": 300, "code": 60, "field": 100, "phase": 60, "engineVersion": 60}


@dataclass(frozen=True, slots=True)
class Record:
    """`phase` is the last startup phase that was reached, `engine_version` is "" when the engine was not yet imported."""

    failure: Failure
    phase: str
    engine_version: str = ""

    def to_json(self) -> str:
        """Fits MAX_BYTES: a longer message loses its middle, whose ends hold what failed and what to do."""
        whole = message = self.failure.message
        kept = len(whole)
        while len((text := self._encoded(message)).encode()) > MAX_BYTES and kept:
            # Escapes and wide characters make bytes hard to foretell: cut and look again.
            kept = kept * 9 // 10
            message = whole[: kept // 2] + _CUT + whole[len(whole) - kept // 2 :]
        return text

    def _encoded(self, message: str) -> str:
        fields = asdict(self.failure) | {"phase": self.phase, "engineVersion": self.engine_version}
        cut = {name: text[: _MOST[name]] for name, text in fields.items() if name in _MOST}
        return _sendable(json.dumps(fields | cut | {"message": message}, ensure_ascii=False))

    def write(self, path: str) -> None:
        """Raises OSError; the caller still has the log to say it in."""
        Path(path).write_text(self.to_json(), encoding="utf-8")


def read_record(text: str) -> Record | None:
    """The record in a termination message; None when the kubelet put the end of the log there instead. What is no text counts as absent."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):  # a log may end in as many brackets as it likes
        return None
    if not isinstance(body, dict):
        return None
    told = {name: _sendable(value) for name, value in body.items() if isinstance(value, str)}
    if not told.get("code"):
        return None
    names = ("code", "message", "field", "suggestion")
    failure = Failure(**{"message": "", **{name: told[name] for name in names if name in told}})
    return Record(failure, told.get("phase", ""), told.get("engineVersion", ""))


def _sendable(text: str) -> str:
    """Halves of surrogate pairs, which names of files and JSON's escapes can have, have no bytes: neither file nor API server takes them."""
    return text.encode(errors="replace").decode()
