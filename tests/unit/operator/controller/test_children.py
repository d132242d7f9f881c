"""What is applied, what is skipped, and what a refusal means. The API server's own part is proved in tests/api."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest

from fairlead_operator.controller.children import REFUSED_FOR, Children
from fairlead_operator.controller.kinds import DEPLOYMENTS, INFERENCE_SERVICES, Kind
from fairlead_operator.controller.outcomes import ApiError, NotYetError, RejectedError
from fairlead_operator.controller.store import Store
from fairlead_operator.core import names
from unit.operator.controller.objects import Clock, obj

SERVICE = obj(uid="cr", generation=1)
INTENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "namespace": "ns",
        "name": "mistral",
        "labels": names.labels("mistral"),
        "ownerReferences": [names.owner("mistral", "cr")],
    },
    "spec": {"replicas": 1},
}


def live(**changes: Any) -> dict[str, Any]:
    """The Deployment as it lies in the cluster."""
    metadata = {**INTENT["metadata"], "uid": "d", "resourceVersion": "7"}  # type: ignore[dict-item]
    return {**INTENT, "metadata": metadata, **changes}


class Server:
    """Stands in for Cluster."""

    def __init__(self) -> None:
        self.objects: dict[Kind, dict[str, Any] | None] = {INFERENCE_SERVICES: SERVICE, DEPLOYMENTS: None}
        self.applied: list[str | None] = []
        self.removed: list[tuple[str, list[str]]] = []
        self.rewritten: list[tuple[str, list[str], int]] = []
        self.asked: list[Kind] = []
        self.refuses: ApiError | None = None
        self.refusals = 1000
        self.makes = self.would_make = live()
        self.in_the_meantime: list[ApiError] = []
        self.leaves = live()

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        self.asked.append(kind)
        return self.objects[kind]

    async def apply(self, manifest: dict[str, Any], known_uid: str | None, dry_run: str = "") -> dict[str, Any]:
        if dry_run:
            return self.would_make
        self.applied.append(known_uid)
        if self.refuses and len(self.applied) <= self.refusals:
            raise self.refuses
        return self.makes

    async def rewrite(
        self, kind: Kind, manifest: dict[str, Any], parts: dict[str, Any], without: Sequence[str] = ()
    ) -> dict[str, Any]:
        if self.in_the_meantime:
            raise self.in_the_meantime.pop()
        self.rewritten.append((manifest["metadata"]["resourceVersion"], [*parts, *without], len(self.applied)))
        return manifest

    async def remove(self, kind: Kind, manifest: dict[str, Any], pointers: list[str]) -> dict[str, Any]:
        if self.in_the_meantime:
            raise self.in_the_meantime.pop()
        self.removed.append((manifest["metadata"]["resourceVersion"], pointers))
        return self.leaves


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def children(server: Server, clock: Clock) -> Children:
    return Children(Store(), server, now=clock)  # type: ignore[arg-type]


async def test_a_missing_child_is_created_and_then_left_alone(children: Children, server: Server) -> None:
    assert await children.bring_about(SERVICE, [INTENT]) == ["Deployment/mistral: created"]
    assert await children.bring_about(SERVICE, [INTENT]) == []
    assert server.applied == [None]


async def test_a_child_that_only_the_server_shows_is_known_from_then_on(children: Children, server: Server) -> None:
    """After a conflict it was taken out of the store, and the watch has nothing new to tell of it."""
    server.objects[DEPLOYMENTS] = live()

    assert await children.bring_about(SERVICE, [INTENT]) == []

    assert children.store.get(DEPLOYMENTS, ("ns", "mistral")) == live()


async def test_the_first_difference_is_named_and_the_uid_is_sent(children: Children, server: Server) -> None:
    children.store.observe(DEPLOYMENTS, live(spec={"replicas": 3}))
    server.makes = live()
    server.makes["metadata"]["resourceVersion"] = "8"

    (change,) = await children.bring_about(SERVICE, [INTENT])

    assert "replicas" in change
    assert server.applied == ["d"]


async def test_a_server_that_keeps_its_own_mind_is_asked_once(children: Children, server: Server) -> None:
    """A webhook that rewrites our field must not make us write for ever."""
    children.store.observe(DEPLOYMENTS, live(spec={"replicas": 3}))
    server.makes = live(spec={"replicas": 3})
    server.makes["metadata"]["resourceVersion"] = "8"

    for _ in range(20):
        await children.bring_about(SERVICE, [INTENT])

    assert server.applied == ["d"]
    drifted = live(spec={"replicas": 4})
    drifted["metadata"]["resourceVersion"] = "9"
    children.store.observe(DEPLOYMENTS, drifted)
    await children.bring_about(SERVICE, [INTENT])
    assert len(server.applied) == 2, "another's change is drift again"


def peopled(version: str, **spec: Any) -> dict[str, Any]:
    """A Deployment with a container beside the engine, in this version."""
    containers = [{"name": "engine"}, {"name": "beside"}]
    found = live(spec={**WITH_PODS["spec"], "template": {"metadata": {}, "spec": {"containers": containers}}, **spec})
    return {**found, "metadata": {**found["metadata"], "resourceVersion": version}}


WITH_PODS: dict[str, Any] = {
    **INTENT,
    "spec": {"replicas": 1, "template": {"metadata": {}, "spec": {"containers": [{"name": "engine"}]}}},
}


async def test_what_was_added_to_the_pods_is_removed_from_the_version_that_has_it(
    children: Children, server: Server
) -> None:
    children.store.observe(DEPLOYMENTS, peopled("7"))
    server.leaves = live(spec=WITH_PODS["spec"])
    server.leaves["metadata"]["resourceVersion"] = "8"

    (change,) = await children.bring_about(SERVICE, [WITH_PODS])

    assert "/spec/template/spec/containers/1" in change
    assert (server.applied, server.removed) == ([], [("7", ["/spec/template/spec/containers/1"])])
    assert await children.bring_about(SERVICE, [WITH_PODS]) == []


async def test_it_is_removed_after_what_was_changed_beside_it(children: Children, server: Server) -> None:
    children.store.observe(DEPLOYMENTS, peopled("7", replicas=3))
    server.makes, server.leaves = peopled("8"), live(spec=WITH_PODS["spec"])

    await children.bring_about(SERVICE, [WITH_PODS])

    assert (server.applied, server.removed) == (["d"], [("8", ["/spec/template/spec/containers/1"])])


async def test_a_port_with_another_number_is_put_right_before_the_intent_is_applied(
    children: Children, server: Server
) -> None:
    """Which would be refused for two ports of one name."""
    wanted = deepcopy(WITH_PODS)
    wanted["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8000}]
    changed = live(spec=deepcopy(wanted["spec"]))
    changed["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = 8001
    children.store.observe(DEPLOYMENTS, changed)
    server.makes = live(spec=wanted["spec"])

    await children.bring_about(SERVICE, [wanted])

    assert server.rewritten == [("7", ["/spec/template/spec/containers/0/ports"], 0)]
    assert server.applied == ["d"]


async def test_a_server_that_adds_something_itself_is_asked_once(children: Children, server: Server) -> None:
    """A webhook that has its container in every Deployment must not make us write for ever."""
    children.store.observe(DEPLOYMENTS, peopled("7"))
    server.leaves = peopled("8")

    for _ in range(20):
        await children.bring_about(SERVICE, [WITH_PODS])

    assert len(server.removed) == 1


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], RejectedError, id="nobody's"),
        pytest.param([{"kind": "Other", "apiVersion": "v1", "name": "x", "uid": "x", "controller": True}], RejectedError, id="another controller's"),
        pytest.param([names.owner("mistral", "old")], NotYetError, id="its predecessor's: garbage collection will take it"),
    ],
)  # fmt: skip
async def test_what_is_not_ours_is_never_written(
    children: Children, server: Server, found: list[dict[str, Any]], expected: type[Exception]
) -> None:
    foreign = live()
    foreign["metadata"]["ownerReferences"] = found
    server.objects[DEPLOYMENTS] = foreign

    with pytest.raises(expected):
        await children.bring_about(SERVICE, [INTENT])
    assert server.applied == []


async def test_a_child_is_recalled_though_no_watch_shows_it(children: Children, server: Server) -> None:
    server.objects[DEPLOYMENTS] = live()

    assert await children.recall(SERVICE, DEPLOYMENTS, "mistral") == set()

    assert children.store.get(DEPLOYMENTS, ("ns", "mistral")) is not None
    server.asked.clear()
    assert await children.bring_about(SERVICE, [INTENT]) == []
    assert server.asked == []


@pytest.mark.parametrize("at", [7, 9], ids=["a watch told its end", "a comparison did not find it"])
async def test_a_child_that_only_lost_its_label_is_recalled(children: Children, server: Server, at: int) -> None:
    """It has ended for a watch by label, at its own version; the API server has it."""
    children.store.observe(DEPLOYMENTS, live())
    children.store.end(DEPLOYMENTS, ("ns", "mistral"), "d", at)
    server.objects[DEPLOYMENTS] = live()

    await children.recall(SERVICE, DEPLOYMENTS, "mistral")

    assert children.store.get(DEPLOYMENTS, ("ns", "mistral")) == live()
    children.store.end(DEPLOYMENTS, ("ns", "mistral"), "d", at)
    await children.bring_about(SERVICE, [INTENT])
    assert children.store.get(DEPLOYMENTS, ("ns", "mistral")) == live()


async def test_what_was_not_there_a_moment_ago_is_not_asked_for_again(children: Children, server: Server) -> None:
    absent = await children.recall(SERVICE, DEPLOYMENTS, "mistral")
    assert server.asked == [DEPLOYMENTS]

    assert await children.bring_about(SERVICE, [INTENT], absent) == ["Deployment/mistral: created"]

    assert server.asked == [DEPLOYMENTS, INFERENCE_SERVICES]


@pytest.mark.parametrize("now_there", [None, obj(uid="successor"), obj(uid="cr", deletionTimestamp="now")])
async def test_nothing_is_created_for_a_service_that_is_gone(
    children: Children, server: Server, now_there: dict[str, Any] | None
) -> None:
    server.objects[INFERENCE_SERVICES] = now_there

    with pytest.raises(NotYetError):
        await children.bring_about(SERVICE, [INTENT])
    assert server.applied == []


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (ApiError(422, "Invalid", "Deployment is invalid: spec.affinity"), RejectedError),
        (ApiError(409, "Conflict", "uid mismatch"), NotYetError),
        (ApiError(403, "Forbidden", "namespace ns is being terminated"), NotYetError),
        (ApiError(403, "Forbidden", "quota"), ApiError),
        (ApiError(500, "InternalError", "etcd"), ApiError),
    ],
    ids=["content", "identity", "namespace goes", "rights", "trouble"],
)
async def test_a_refusal_is_named_by_what_happens_next(
    children: Children, server: Server, refusal: ApiError, expected: type[Exception]
) -> None:
    children.store.observe(DEPLOYMENTS, live(spec={"replicas": 3}))
    server.refuses = refusal

    with pytest.raises(expected):
        await children.bring_about(SERVICE, [INTENT])


async def test_refused_content_is_not_sent_again_until_spec_or_much_time_has_changed(
    children: Children, server: Server, clock: Clock
) -> None:
    server.refuses = ApiError(422, "Invalid", "Deployment is invalid: spec.affinity")
    for _ in range(20):
        with pytest.raises(RejectedError):
            await children.bring_about(SERVICE, [INTENT])
    assert len(server.applied) == 1

    with pytest.raises(RejectedError):
        await children.bring_about(obj(uid="cr", generation=2), [INTENT])
    assert len(server.applied) == 2

    clock.time += REFUSED_FOR
    with pytest.raises(RejectedError):
        await children.bring_about(SERVICE, [INTENT])
    assert len(server.applied) == 3


EXCLUDED = ApiError(
    422, "Invalid", "PodDisruptionBudget is invalid: minAvailable and maxUnavailable cannot be both set"
)
TEMPLATE_PATH = "/spec/template"


@pytest.mark.parametrize("refusals", [1, 2], ids=["it stood in the way", "it is the intent that is refused"])
async def test_what_excludes_ours_gives_way_to_it(children: Children, server: Server, refusals: int) -> None:
    """Somebody has set the other one of two fields: ours beside it is refused, as if the spec were wrong."""
    children.store.observe(DEPLOYMENTS, live(spec={**WITH_PODS["spec"], "replicas": 3}))
    server.refuses, server.refusals = EXCLUDED, refusals
    server.makes = live(spec=WITH_PODS["spec"])
    server.makes["metadata"]["resourceVersion"] = "8"

    if refusals == 1:
        (change,) = await children.bring_about(SERVICE, [WITH_PODS])
        assert "replicas" in change
    else:
        with pytest.raises(RejectedError, match="cannot be both set"):
            await children.bring_about(SERVICE, [WITH_PODS])

    assert server.rewritten == [("7", [TEMPLATE_PATH], 1)]
    assert len(server.applied) == 2


@pytest.mark.parametrize(
    "said",
    [
        "Deployment is invalid: spec.template.spec.containers[0].image",
        'ValidatingAdmissionPolicy "few" with binding "few" denied request: at most 5 replicas',
    ],
)
async def test_what_is_refused_for_anything_else_is_written_no_other_way(
    children: Children, server: Server, said: str
) -> None:
    """A part of it might pass where the whole does not."""
    children.store.observe(DEPLOYMENTS, live(spec={**WITH_PODS["spec"], "replicas": 3}))
    server.refuses = ApiError(422, "Invalid", said)

    with pytest.raises(RejectedError):
        await children.bring_about(SERVICE, [WITH_PODS])

    assert (server.rewritten, len(server.applied)) == ([], 1)


async def test_a_child_that_is_not_there_has_nothing_in_the_way(children: Children, server: Server) -> None:
    server.refuses = EXCLUDED

    with pytest.raises(RejectedError):
        await children.bring_about(SERVICE, [WITH_PODS])

    assert (server.rewritten, len(server.applied)) == ([], 1)


def templated(version: str, template: str, **pod: Any) -> dict[str, Any]:
    """A Deployment whose template has this hash and these fields of a pod."""
    spec = {"containers": [{"name": "engine"}], "securityContext": {}, **pod}
    labels = {names.TEMPLATE_LABEL: template}
    found = live(spec={"replicas": 1, "template": {"metadata": {"labels": labels}, "spec": spec}})
    return {**found, "metadata": {**found["metadata"], "resourceVersion": version}}


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param("former", [("7", ["/spec", "/spec/template/spec/priorityClassName"], 0)], id="of a former template, as after kubectl rollout undo"),
        pytest.param("wanted", [], id="of somebody else, in a template that stays"),
    ],
)  # fmt: skip
async def test_what_was_asked_for_before_goes_with_its_template(
    children: Children, server: Server, before: str, expected: list[Any]
) -> None:
    wanted = {**templated("0", "wanted"), "metadata": INTENT["metadata"]}
    children.store.observe(DEPLOYMENTS, templated("7", before, priorityClassName="high"))
    server.would_make = templated("7", "wanted", priorityClassName="high")
    server.makes = templated("9", "wanted")

    await children.bring_about(SERVICE, [wanted])

    assert server.rewritten == expected


async def test_what_the_intent_itself_takes_out_is_left_to_it(children: Children, server: Server) -> None:
    wanted = {**templated("0", "wanted"), "metadata": INTENT["metadata"]}
    children.store.observe(DEPLOYMENTS, templated("7", "former", priorityClassName="high"))
    server.makes = server.would_make = templated("8", "wanted")

    await children.bring_about(SERVICE, [wanted])

    assert (server.applied, server.rewritten) == (["d"], [])


CONFLICT = ApiError(409, "Conflict", "the object has been modified")


async def test_a_conflict_makes_nothing_forgotten_that_is_to_go(children: Children, server: Server) -> None:
    """The Deployment's controller writes as soon as somebody has changed the template."""
    wanted = {**templated("0", "wanted"), "metadata": INTENT["metadata"]}
    there = templated("7", "former", priorityClassName="high")
    children.store.observe(DEPLOYMENTS, there)
    server.would_make, server.makes = there, templated("9", "wanted")
    server.in_the_meantime = [CONFLICT]
    with pytest.raises(NotYetError):
        await children.bring_about(SERVICE, [wanted])
    assert server.applied == []

    server.objects[DEPLOYMENTS] = there
    await children.bring_about(SERVICE, [wanted])

    assert server.rewritten == [("7", ["/spec", "/spec/template/spec/priorityClassName"], 0)]


async def test_a_conflict_is_no_refusal_of_the_intent(children: Children, server: Server) -> None:
    children.store.observe(DEPLOYMENTS, live(spec={**WITH_PODS["spec"], "replicas": 3}))
    server.refuses, server.refusals, server.in_the_meantime = EXCLUDED, 1, [CONFLICT]
    server.makes = live(spec=WITH_PODS["spec"])
    with pytest.raises(NotYetError):
        await children.bring_about(SERVICE, [WITH_PODS])

    server.objects[DEPLOYMENTS] = live(spec={**WITH_PODS["spec"], "replicas": 3})
    (change,) = await children.bring_about(SERVICE, [WITH_PODS])

    assert "replicas" in change
