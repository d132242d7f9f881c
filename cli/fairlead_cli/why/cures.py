"""What to change: the field, what it holds now, what it should hold, and the command that does it. Pure.

A value is told only where somebody computed it: the engine, or the reason's own remedy. The cured spec is judged by the API's models
before a command is made of it, so that the command is one that the API server takes.
"""

import json
import re
import shlex
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fairlead_operator.api.v1alpha1 import InferenceService
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.refusal import WRITE_FAILED

#: As the runtime's suggestions and the reasons' remedies say it; the last one is about the field.
_SET = re.compile(r"\bset (spec(?:\.[A-Za-z]\w*)+) to ([^\s;,]+)")
_FIELD = re.compile(r"\bspec(?:\.[A-Za-z]\w*)+")
#: Where the spec names a Secret.
_SECRET_FIELDS = ("spec.serving.apiKeySecretRef", "spec.model.tokenSecretRef")

#: Of a Secret that is the operator's to make: no change of the spec would cure these.
_GENERATED = {("APIKeyMissing", "spec.serving.apiKey"), ("SecretNotFound", "spec.serving.apiKey")}


@dataclass(frozen=True)
class Cure:
    """`present` and `value` are JSON; `value` is None where nobody knows the right one. `command` is "" where none would do."""

    field: str
    present: Any
    value: Any
    command: str


@dataclass(frozen=True)
class Target:
    """How a command names this very service: `flags` are those that the user gave to reach the cluster."""

    name: str
    namespace: str
    flags: tuple[str, ...] = ()

    def kubectl(self, *arguments: str) -> str:
        """One line for a shell."""
        return shlex.join(["kubectl", *arguments, "-n", self.namespace, *self.flags])

    def patch(self, change: Mapping[str, Any]) -> str:
        """A merge patch of the spec."""
        body = json.dumps({"spec": change}, separators=(",", ":"))
        return self.kubectl("patch", "infs", self.name, "--type=merge", "-p", body)

    def logs(self) -> str:
        """What the engine said before it ended."""
        return self.kubectl("fairlead", "logs", self.name, "--previous")

    def edit(self) -> str:
        """In the user's editor."""
        return self.kubectl("edit", "infs", self.name)


def cure(service: Manifest, reason: str, message: str, field: str, target: Target) -> Cure | None:
    """For one failure. `message` ends with what to do; `field` is "" where it is only in the message, or nowhere."""
    if reason == "SecretNotFound" and (made := _secret(service, field, message, target)):
        return made
    asked = [(named, value.rstrip(".")) for named, value in _SET.findall(message)]
    field = field or (asked[-1][0] if asked else "") or next(iter(_FIELD.findall(message)), "")
    # A path in what the API server says of a refused write is another object's.
    if not field.startswith("spec.") or (reason, field) in _GENERATED or reason == WRITE_FAILED:
        return None
    path = field.split(".")[1:]
    present = dig(service, path)
    for named, text in reversed(asked):
        if named == field and (value := _fitting(service, path, text)) is not None and value != present:
            return Cure(field, present, value, target.patch(_nested(path, value)))
    return Cure(field, present, None, target.edit())


def dig(service: Manifest, path: list[str]) -> Any:
    """What the field holds; None when it is not set."""
    found: Any = service.get("spec") or {}
    for part in path:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _fitting(service: Manifest, path: list[str], text: str) -> Any:
    """`text` as the type that the field has; None when the spec would be refused with it."""
    readings: list[Any] = [json.loads(text)] if re.fullmatch(r"\d{1,18}|true|false", text) else []
    for value in (*readings, text):
        cured = deepcopy(service)
        place = cured.setdefault("spec", {})
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
        try:
            InferenceService.parse(cured)
        except ValidationError:
            continue
        return value
    return None


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    found: dict[str, Any] = value
    return found


def _secret(service: Manifest, field: str, message: str, target: Target) -> Cure | None:
    """The Secret that a reference names, to be made; one that only lacks the key is not replaced."""
    reference = dig(service, field.split(".")[1:]) if field in _SECRET_FIELDS else None
    if not isinstance(reference, dict) or "does not exist" not in message:
        return None
    name, key = reference.get("name", ""), reference.get("key", "")
    return Cure(field, reference, None, target.kubectl("create", "secret", "generic", name, f"--from-file={key}=FILE"))
