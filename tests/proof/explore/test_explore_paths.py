"""Where a service comes to rest hangs on its spec, not on the specs that it had before."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from api.client import Answer
from fairlead_cli.local.controlplane import ControlPlane
from proof.explore import judging, specs
from proof.explore.conftest import Judge, Size, fenced
from proof.explore.endings import difference, ending
from proof.explore.ground import PATIENCE, Ground, by_service, settle
from proof.explore.rules import Spec
from proof.explore.schema import examples

TRIPLES = 10
#: At a time, in each of the two namespaces.
BATCH = 60


@pytest.fixture
def straight(exploring: ControlPlane, field: Ground) -> Iterator[Ground]:
    """Another namespace, for services of the same names that leave the second spec out."""
    with fenced(exploring, f"{field.namespace}-straight") as there:
        yield there


def at_rest(grounds: tuple[Ground, ...], names: list[str]) -> dict[str, object]:
    """Wait until the services are; what is left by then."""

    def look() -> dict[str, object]:
        told: dict[str, object] = {}
        for ground in grounds:
            services = ground.services()
            found = {f"{ground.namespace}/{name}": judging.moving(services.get(name)) for name in names}
            told |= {place: why for place, why in found.items() if why}
        return told

    return settle(look)


@pytest.mark.timeout(PATIENCE * 40)
def test_the_way_does_not_matter(field: Ground, straight: Ground, size: Size, judge: Judge) -> None:
    """A, B, C beside A, C. Half of the services come to rest with A and with B, the others are changed while they move."""
    between = st.one_of(specs.wild(), specs.sound())
    triples = examples(
        st.tuples(between, between, specs.sound().map(without_generated_key)), size.count(TRIPLES), size.seed
    )
    complaints: dict[str, object] = {}
    for start in range(0, len(triples), BATCH):
        batch = {f"p{start + number}": triple for number, triple in enumerate(triples[start : start + BATCH])}
        complaints |= walk(field, straight, batch)
        for ground in (field, straight):
            for name in batch:
                ground.delete_service(name)
    judge("ways to a spec", len(triples), complaints)


def without_generated_key(spec: Spec) -> Spec:
    """Its Secret is called after the service's uid, and so no two services have the same pods."""
    serving = {name: value for name, value in (spec.get("serving") or {}).items() if name != "apiKey"}
    return {**spec, "serving": serving} if "serving" in spec else spec


def refused(name: str, answers: list[Answer]) -> dict[str, object]:
    """What the API server did not take."""
    messages = [answer.message for answer in answers if answer.message]
    return {name: f"refused: {messages}"} if messages else {}


def walk(field: Ground, straight: Ground, batch: dict[str, tuple[Spec, ...]]) -> dict[str, object]:
    """Take each service both ways; what differs at the end."""
    grounds, patient = (field, straight), list(batch)[::2]
    complaints: dict[str, object] = {}
    for name, (first, _, _) in batch.items():
        complaints |= refused(name, [ground.create(name, first) for ground in grounds])
    complaints |= at_rest(grounds, patient)
    for name, (_, second, _) in batch.items():
        complaints |= refused(name, [field.respecify(name, second)])
    complaints |= at_rest((field,), patient)
    for name, (_, _, third) in batch.items():
        complaints |= refused(name, [ground.respecify(name, third) for ground in grounds])

    def look() -> dict[str, object]:
        ends: list[dict[str, dict[str, str]]] = []
        wrong: dict[str, list[str]] = {}
        for ground in grounds:
            services, children = ground.services(), by_service(ground.objects())
            moving = {name: why for name in batch if (why := judging.unready(services.get(name)))}
            if moving:
                return {name: f"{ground.namespace}: {why}; {json.dumps(batch[name])}" for name, why in moving.items()}
            ends.append({name: ending(services[name], children.get(name, [])) for name in batch})
            wrong |= {name: told for name in batch if (told := judging.wrong(services[name], children.get(name, [])))}
        differing = wrong | {name: told for name in batch if (told := difference(ends[0][name], ends[1][name]))}
        return {name: f"{found}; {json.dumps(batch[name])}" for name, found in differing.items()}

    return complaints | settle(look)
