"""The termination record, as the runtime wrote it into the container's termination message."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """Why the engine ended, in the runtime's words; `suggestion` is a value for `field`, or a sentence."""

    code: str
    message: str
    field: str = ""
    suggestion: str = ""
    phase: str = ""


def read_record(text: str) -> Record | None:
    """The record in a termination message; None when the kubelet put the end of the log there instead."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("code"), str) or not body["code"]:
        return None
    texts = {
        name: body[name] for name in ("message", "field", "suggestion", "phase") if isinstance(body.get(name), str)
    }
    return Record(code=body["code"], **{"message": "", **texts})
