"""Harm without an end: what tempts an operator to ask again and again, as fast as it is refused."""

import json
from collections.abc import Mapping

from proof.harm import Harm
from proof.proxy import Cut
from proof.requests import EXPIRED, Answer, Request

STREAM = {"Content-Type": "application/json"}
#: A watch that ends as soon as it has begun, with and without the word that its version is too old.
AT_ONCE = Answer(200, b"", STREAM)
EXPIRED_AT_ONCE = Answer(200, json.dumps(EXPIRED).encode() + b"\n", STREAM)


class ByName(Harm):
    """Each service's Deployment meets a harm of its own."""

    def __init__(self, harms: Mapping[str, Harm]) -> None:
        super().__init__()
        self._harms = harms

    def _of(self, request: Request) -> Harm | None:
        apply = request.target.resource == "deployments" and request.verb == "apply"
        return self._harms.get(request.name) if apply else None

    async def before(self, request: Request) -> Answer | None:
        harm = self._of(request)
        return await harm.before(request) if harm else None

    async def after(self, request: Request, answer: Answer) -> Answer:
        harm = self._of(request)
        return await harm.after(request, answer) if harm else answer


class Storm(Harm):
    """No watch lives, each kind's ends in its own way: answers by resource, and those that are cut."""

    def __init__(self, answers: Mapping[str, Answer], cut: frozenset[str]) -> None:
        super().__init__()
        self._answers = answers
        self._cut = cut

    async def before(self, request: Request) -> Answer | None:
        if request.verb != "watch":
            return None
        if request.target.resource in self._cut:
            self.did(request)
            raise Cut
        if request.target.resource in self._answers:
            self.did(request)
        return self._answers.get(request.target.resource)
