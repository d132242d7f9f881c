"""What is done to a service, step by step; each step is carried out before the next begins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.cluster import Manifest
from fairlead_operator.controller.kinds import INFERENCE_SERVICES
from proof.crash.pictures import Place
from simulated.nodes import Pool

NAME = "mistral"


@dataclass(frozen=True)
class Step:
    """name: in a word. act: what a user does. made, kept: pods that the step starts, and that live through it."""

    name: str
    act: Callable[[Place, Pool], None]
    made: int
    kept: int


def create(**spec: Any) -> Callable[[Place, Pool], None]:
    """A new service."""

    def act(place: Place, pool: Pool) -> None:
        manifest = pool.service(NAME, **spec)
        place.http.post(INFERENCE_SERVICES.path(place.namespace), json=manifest).raise_for_status()

    return act


def change(**spec: Any) -> Callable[[Place, Pool], None]:
    """Another spec of it."""

    def act(place: Place, _: Pool) -> None:
        patch(place, {"spec": spec})

    return act


def patch(place: Place, body: Manifest) -> None:
    """JSON merge patch."""
    headers = {"Content-Type": "application/merge-patch+json"}
    path = INFERENCE_SERVICES.path(place.namespace, NAME)
    place.http.patch(path, json=body, headers=headers).raise_for_status()


def delete(place: Place, _: Pool) -> None:
    """The service goes, its children after it."""
    place.http.delete(INFERENCE_SERVICES.path(place.namespace, NAME)).raise_for_status()


def replace(**spec: Any) -> Callable[[Place, Pool], None]:
    """It goes, and one of the same name comes at once, while the children of the first are still there."""

    def act(place: Place, pool: Pool) -> None:
        delete(place, pool)
        create(**spec)(place, pool)

    return act


CREATE = Step("create", create(replicas=2), made=2, kept=0)
UPDATE = Step("update", change(disruption="Block", rollout={"strategy": "Surge"}), made=0, kept=2)
SCALE_DOWN = Step("scale down", change(replicas=1), made=0, kept=1)
SCALE_UP = Step("scale up", change(replicas=3), made=2, kept=1)
ROLLOUT = Step("rollout", change(engine={"maxModelLen": 2048}), made=2, kept=0)
WIDE_ROLLOUT = Step("rollout", change(engine={"maxModelLen": 2048}), made=3, kept=0)
SUSPEND = Step("suspend", change(suspend=True), made=0, kept=0)
RESUME = Step("resume", change(suspend=False), made=3, kept=0)
DELETE = Step("delete", delete, made=0, kept=0)
REPLACE = Step("delete and create at once", replace(replicas=1), made=1, kept=0)

#: What fits a CI run.
SHORT = (CREATE, ROLLOUT, DELETE)
LONG = (CREATE, UPDATE, SCALE_DOWN, SCALE_UP, WIDE_ROLLOUT, SUSPEND, RESUME, REPLACE, DELETE)
