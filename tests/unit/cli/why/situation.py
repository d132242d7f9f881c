"""One situation: Kubernetes objects in a file, and a reader that answers from it as a cluster would."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fairlead_cli.why.asking import Refusal, UnansweredError
from fairlead_operator.core.names import Manifest

FOLDER = Path(__file__).parent / "situations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass
class Situation:
    """`facts`: now, inferenceservice, deployment, pods, events, leases, logs by `pod` or `pod/previous`, and what is refused."""

    facts: dict[str, Any]

    @classmethod
    def of(cls, name: str) -> "Situation":
        return cls(json.loads((FOLDER / f"{name}.json").read_text()))

    def now(self) -> datetime:
        return datetime.fromisoformat(self.facts["now"])

    def get(self, kind: str, name: str) -> Manifest:
        found = self.facts["inferenceservice" if kind.startswith("inferenceservices") else "deployment"]
        if not found or found["metadata"]["name"] != name:
            raise UnansweredError(Refusal.ABSENT, f'Error from server (NotFound): {kind} "{name}" not found')
        return dict(found)

    def find(self, kind: str, *, labels: str = "", fields: str = "", everywhere: bool = False) -> Sequence[Manifest]:
        short = kind.partition(".")[0]
        self._refuse(short)
        if short == "inferenceservices":
            return list(self.facts.get("inferenceservices", [self.facts["inferenceservice"]]))
        found: list[Manifest] = self.facts[short]
        if short == "events":
            uid = self.facts["inferenceservice"]["metadata"]["uid"]
            ours = fields == f"involvedObject.uid={uid}"
            return [event for event in found if (event["involvedObject"]["uid"] == uid) == ours]
        return found

    def log(self, pod: str, *, previous: bool, lines: int) -> str:
        self._refuse("log")
        name = f"{pod}/previous" if previous else pod
        if name not in self.facts["logs"]:
            raise UnansweredError(
                Refusal.UNREACHABLE, f'previous terminated container "engine" in pod "{pod}" not found'
            )
        return str(self.facts["logs"][name])

    def namespace(self) -> str:
        return "models"

    def _refuse(self, what: str) -> None:
        if said := self.facts["refused"].get(what):
            raise UnansweredError(Refusal.FORBIDDEN, f"Error from server (Forbidden): {said}")
