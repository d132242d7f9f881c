"""A child that somebody deletes or edits is back, and nothing else has changed."""

import json
import random
from collections.abc import Iterator

import pytest

from api.cluster import Manifest
from api.operators import OperatorProcess
from fairlead_cli.local.controlplane import ControlPlane
from proof.explore import judging, specs
from proof.explore.conftest import Judge, Size, fenced
from proof.explore.edits import Edit, additions, edits
from proof.explore.endings import difference, essence, essences, in_use
from proof.explore.ground import CHILDREN, PATIENCE, Ground, by_service, settle
from proof.explore.schema import examples

SERVICES = 6
#: Edits of each service, one after the other; all services at the same time.
ROUNDS = 8
KINDS = tuple(CHILDREN)


def ready(field: Ground, names: list[str]) -> dict[str, object]:
    """Wait for all to be Ready; what is left by then."""

    def look() -> dict[str, object]:
        services = field.services()
        told = {name: judging.unready(services.get(name)) for name in names}
        return {name: why for name, why in told.items() if why}

    return settle(look)


def children(field: Ground) -> dict[str, list[Manifest]]:
    """Of each service, those in use."""
    return {name: in_use(found) for name, found in by_service(field.objects()).items()}


def uids(found: list[Manifest]) -> dict[str, str]:
    """By kind and name."""
    return {f"uid of {child['kind']} {child['metadata']['name']}": child["metadata"]["uid"] for child in found}


@pytest.fixture(scope="module")
def field(exploring: ControlPlane, operator: OperatorProcess) -> Iterator[Ground]:
    """One namespace for all of these tests: each leaves it as it was."""
    with fenced(exploring, "repair") as there:
        yield there


@pytest.fixture(scope="module")
def named(field: Ground, size: Size) -> list[str]:
    """Sound services that are Ready, with two replicas, so that each kind of child is there."""
    drawn = examples(specs.sound(), SERVICES, size.seed)
    names = [f"r{number}" for number in range(len(drawn))]
    for name, spec in zip(names, drawn, strict=True):
        assert field.create(name, specs.of_size(spec, 2)).message == ""
    assert ready(field, names) == {}
    return names


def same(field: Ground, before: dict[str, list[Manifest]], gone: dict[str, Manifest]) -> dict[str, object]:
    """Wait until everything is as it was, but for what was deleted, which is another of the same name."""

    def look() -> dict[str, object]:
        now, told = children(field), dict[str, object]()
        for name, was in before.items():
            found = now.get(name, [])
            wrong = difference(essences(was), essences(found))
            was_known, known = uids(was), uids(found)
            for identity in [
                label for label in was_known if name in gone and was_known[label] == gone[name]["metadata"]["uid"]
            ]:
                del was_known[identity]
                known.pop(identity, None)
            wrong += difference(was_known, known)
            if wrong:
                told[name] = wrong
        return told

    return settle(look)


@pytest.mark.timeout(PATIENCE * 10)
def test_a_deleted_child_is_back(field: Ground, named: list[str], judge: Judge) -> None:
    complaints: dict[str, object] = {}
    tried = 0
    for turn in range(len(KINDS)):
        before = children(field)
        doomed = {}
        for number, name in enumerate(named):
            kind = KINDS[(number + turn) % len(KINDS)]
            doomed[name] = next(child for child in before[name] if child["kind"] == kind)
            field.delete(field.path(doomed[name]))
        tried += len(doomed)
        complaints |= {f"{name} {doomed[name]['kind']}": wrong for name, wrong in same(field, before, doomed).items()}
        complaints |= ready(field, named)
    judge("children deleted", tried, complaints)


@pytest.mark.timeout(PATIENCE * 30)
def test_an_edited_child_is_as_it_was(field: Ground, named: list[str], size: Size, judge: Judge) -> None:
    chance = random.Random(size.seed)
    complaints: dict[str, object] = {}
    tried = 0
    for turn in range(size.count(ROUNDS)):
        before = children(field)
        done = {
            name: edited(field, before[name], KINDS[(number + turn) % len(KINDS)], chance)
            for number, name in enumerate(named)
        }
        tried += sum(edit is not None for edit in done.values())
        complaints |= {f"{name} {done[name]}": wrong for name, wrong in same(field, before, {}).items()}
    complaints |= ready(field, named)
    assert tried > SERVICES * size.count(ROUNDS) // 2
    judge("children edited", tried, complaints)


def edited(field: Ground, found: list[Manifest], kind: str, chance: random.Random) -> Edit | None:
    """One edit of the child of that kind, the first of a random order that the API server takes; None where it takes none."""
    child = next(child for child in found if child["kind"] == kind)
    possible = edits(child)
    chance.shuffle(possible)
    for edit in possible:
        answer = field.patch(field.path(child), edit.operations)
        if not answer.message and essence({**answer.body, "kind": kind}) != essence(child):
            return edit
    return None


@pytest.mark.timeout(PATIENCE * 10)
def test_what_was_added_to_the_pods_is_gone(field: Ground, named: list[str], judge: Judge) -> None:
    before = children(field)
    done: dict[str, Edit] = {}
    for number, name in enumerate(named):
        deployment = next(child for child in before[name] if child["kind"] == "Deployment")
        possible = additions(deployment)
        done[name] = possible[number % len(possible)]
        answer = field.patch(field.path(deployment), done[name].operations)
        assert answer.message == "", f"{done[name]}: {answer.message}"

    complaints = {
        f"{name} {json.dumps(done[name].operations)}": wrong for name, wrong in same(field, before, {}).items()
    }
    complaints |= ready(field, named)
    judge("additions to pods", len(done), complaints)
