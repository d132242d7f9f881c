import asyncio
import json
import tracemalloc

import pytest

from fairlead_operator.controller.kinds import DEPLOYMENTS, INFERENCE_SERVICES, PODS
from fairlead_operator.controller.store import REMEMBERED, Store, owner
from fairlead_operator.core import names
from unit.operator.controller.objects import Clock, child, obj

PLACE, KEY = ("ns", "mistral"), ("ns", "mistral")


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        pytest.param(obj(version=1), obj(version=2), 2, id="a newer version replaces"),
        pytest.param(obj(version=10), obj(version=9), 10, id="an older version is ignored, numbers not texts"),
        pytest.param(obj(version=1), obj(version=5, uid="u2"), 5, id="a successor of the name replaces"),
        pytest.param(obj(version=5, uid="u2"), obj(version=4, uid="u1"), 5, id="a predecessor's late event is ignored"),
    ],
)
def test_the_newest_version_is_kept(first: dict[str, object], second: dict[str, object], kept: int) -> None:
    store = Store()
    store.observe(INFERENCE_SERVICES, first)
    store.observe(INFERENCE_SERVICES, second)

    known = store.get(INFERENCE_SERVICES, PLACE)

    assert known is not None
    assert known["metadata"]["resourceVersion"] == str(kept)


def test_our_own_write_counts_before_any_watch_shows_it() -> None:
    store = Store()
    store.observe(DEPLOYMENTS, child(version=1))
    store.written(DEPLOYMENTS, child(version=5))

    assert not store.observe(DEPLOYMENTS, child(version=3))
    assert store.unseen(DEPLOYMENTS, KEY) == {"c1"}
    assert not store.observe(DEPLOYMENTS, child(version=5))
    assert store.unseen(DEPLOYMENTS, KEY) == frozenset()


def test_deletion_takes_only_the_one_that_was_deleted() -> None:
    store = Store()
    store.observe(PODS, child(uid="new", version=9))

    assert not store.remove(PODS, PLACE, "old")
    assert store.remove(PODS, PLACE, "new")
    assert store.get(PODS, PLACE) is None
    assert store.owned(PODS, KEY) == ()


def test_late_news_of_what_has_ended_brings_nothing_back() -> None:
    """A watch event that was overtaken, or the response of our own write that was on its way when somebody deleted the object."""
    store = Store()
    store.observe(PODS, child(version=5))

    assert store.end(PODS, PLACE, "c1", 7)

    assert not store.observe(PODS, child(version=6))
    store.written(PODS, child(version=6))
    assert store.get(PODS, PLACE) is None
    assert store.unseen(PODS, KEY) == frozenset()
    assert store.observe(PODS, child(version=8)), "it only lost the label by which it is watched, and has it again"
    assert not store.end(PODS, PLACE, "other", 9)


def test_what_the_api_server_has_has_not_ended() -> None:
    store = Store()
    store.end(PODS, PLACE, "c1", 7)

    store.found(PODS, child(version=6))

    assert store.version_at(PODS, PLACE) == 6
    assert store.end(PODS, PLACE, "c1", 8)
    assert not store.observe(PODS, child(version=8)), "and may end again"


def test_not_all_ends_are_remembered() -> None:
    store = Store()
    for number in range(REMEMBERED + 1):
        store.end(PODS, PLACE, f"u{number}", 1)

    assert len(store._ended) == REMEMBERED


def test_objects_are_found_by_their_service() -> None:
    store = Store()
    for name, service in (("b", "mistral"), ("a", "mistral"), ("c", "other")):
        store.observe(PODS, child(name, uid=name, service=service))

    assert [pod["metadata"]["name"] for pod in store.owned(PODS, KEY)] == ["a", "b"]


def test_a_label_that_moves_moves_the_object() -> None:
    store = Store()
    store.observe(PODS, child(version=1))
    store.observe(PODS, child(version=2, service="other"))

    assert store.owned(PODS, KEY) == ()
    assert len(store.owned(PODS, ("ns", "other"))) == 1


def test_the_owner_is_known_without_the_label() -> None:
    reference = names.owner("mistral", "u1")

    assert owner(DEPLOYMENTS, obj("x", ownerReferences=[reference])) == KEY
    theirs = {**reference, "apiVersion": "serving.kserve.io/v1beta1"}
    assert owner(DEPLOYMENTS, obj("x", ownerReferences=[theirs], labels={})) is None, (
        "a kind of our name in another group"
    )
    assert owner(DEPLOYMENTS, obj("x")) is None


async def test_catching_up_ends_when_the_watch_shows_the_write() -> None:
    store = Store()
    store.written(DEPLOYMENTS, child(version=5))
    waiting = asyncio.create_task(store.caught_up((DEPLOYMENTS,), KEY, 30))
    await asyncio.sleep(0)
    assert not waiting.done()

    store.observe(DEPLOYMENTS, child(version=5))

    assert await waiting


async def test_catching_up_gives_up() -> None:
    store = Store(Clock())
    store.written(DEPLOYMENTS, child(version=5))

    assert not await store.caught_up((DEPLOYMENTS,), KEY, 0)


def test_a_child_comes_out_as_it_went_in() -> None:
    store = Store()
    deployment = child(version=5) | {"spec": {"replicas": 2, "paused": False, "selector": None, "names": ["é", ""]}}

    store.observe(DEPLOYMENTS, deployment)

    assert store.get(DEPLOYMENTS, PLACE) == deployment
    assert store.owned(DEPLOYMENTS, KEY) == (deployment,)
    assert list(store.all(DEPLOYMENTS)) == [deployment]


def test_versions_are_known_without_reading_objects() -> None:
    store = Store()
    store.observe(DEPLOYMENTS, child(version=5))

    assert store.versions(DEPLOYMENTS) == [(PLACE, "c1", 5, KEY)]
    assert store.version_at(DEPLOYMENTS, PLACE) == 5
    assert store.version_at(DEPLOYMENTS, ("ns", "other")) is None


def test_many_children_take_little_more_than_their_text() -> None:
    def large(number: int) -> dict[str, object]:
        containers = [{"name": f"c{part}", "env": [{"name": "A", "value": f"{number}"}]} for part in range(100)]
        return child(name=f"d{number}", uid=f"u{number}", version=1) | {"spec": {"containers": containers}}

    text = sum(len(json.dumps(large(number))) for number in range(50))
    store = Store()
    tracemalloc.start()
    for number in range(50):
        store.observe(DEPLOYMENTS, json.loads(json.dumps(large(number))))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert store.count(DEPLOYMENTS) == 50
    assert taken < 2 * text


def test_of_a_pods_containers_only_what_is_read_is_kept() -> None:
    container = {"name": "engine", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    pod = child(version=5) | {
        "spec": {"nodeName": "n", "volumes": [{"name": "config"}]},
        "status": {"phase": "Running"},
    }
    store = Store()

    store.observe(PODS, pod | {"spec": {**pod["spec"], "containers": [container | {"env": [], "livenessProbe": {}}]}})

    assert store.get(PODS, PLACE) == pod | {"spec": {**pod["spec"], "containers": [container]}}


def test_words_that_objects_share_are_in_memory_once() -> None:
    store = Store()
    for name in ("a", "b"):
        pod = child(name) | {"status": {"phase": "Running", "message": "x" * 100}}
        store.observe(PODS, json.loads(json.dumps(pod)))

    one, other = (store.get(PODS, ("ns", name)) for name in ("a", "b"))

    assert one is not None
    assert other is not None
    assert one["status"] == other["status"]
    assert one["status"]["phase"] is other["status"]["phase"]
    assert {id(key) for key in one["status"]} == {id(key) for key in other["status"]}
