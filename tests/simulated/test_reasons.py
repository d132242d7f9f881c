"""Every reason of every condition, provoked in a real API server by real controllers and simulated kubelets.

All cases run at once; each test waits for its own. What to add for a new reason: a row in cases.py.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

import fairlead_operator.core
from api.cluster import Kubectl, eventually
from api.operators import OperatorProcess
from fairlead_cli.local.controlplane import ControlPlane
from fairlead_operator.controller.refusals import LASTS
from fairlead_operator.core.autoscale import State
from fairlead_operator.core.reasons import REASONS
from simulated import policies
from simulated.cases import CASES, Case
from simulated.nodes import Pool
from simulated.scene import Scene
from simulated.witness import Place, Witness, witness

#: Whose case comes first waits for those that are played before it.
pytestmark = pytest.mark.timeout(300)

SHARED = "reasons"
#: Kubernetes' own limit of a name is longer; the CRD's is not.
NAME = 48
#: Seconds until the last reason was seen.
WITHIN = 220.0


@dataclass(frozen=True)
class Played:
    """All cases, applied."""

    witness: Witness
    places: dict[str, Place]
    afterwards: dict[str, Future[None]]
    #: On the clock time.monotonic: what was not seen until then will not come.
    deadline: float

    def patience(self, case: Case) -> float:
        """Seconds that are left, a little at least. What is told only once it has lasted gets that time besides."""
        deadline = self.deadline + LASTS if case.lasts else self.deadline
        return max(deadline - time.monotonic(), 0.5)


def place(case: Case, number: int) -> Place:
    """Where the case's service is: in a namespace of its own if it needs one."""
    if any(item["metadata"]["name"] == "taken" for item in case.before):
        return f"{SHARED}-{number}", "taken"
    name = re.sub("(?<=[a-z])(?=[A-Z])", "-", case.reason).lower()
    return (f"{SHARED}-{number}" if case.apart else SHARED), f"{name}-{number}"[:NAME]


@pytest.fixture(scope="module")
def played(plane: ControlPlane, admin: Kubectl, operator: OperatorProcess, admission: None) -> Iterator[Played]:
    """Every case on its way."""
    pools = {name: Pool(admin, name) for name in (SHARED, "reasons-one", "reasons-two")}
    pools[SHARED].add(500)
    for name in ("reasons-one", "reasons-two"):
        pools[name].add(1)
    admin.new_namespace(SHARED)
    places = {case.sentence: place(case, number) for number, case in enumerate(CASES)}
    with (
        witness(plane.kubeconfig) as seen,
        ExitStack() as engines,
        ThreadPoolExecutor(4) as beside,
    ):

        def play(case: Case) -> None:
            namespace, name = places[case.sentence]
            kubectl = replace(admin, namespace=namespace)
            if case.apart:
                labels = {policies.LABEL: case.apart} if case.apart != "-" else {}
                admin.apply(
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
                )
            for manifest in case.before:
                kubectl.apply(manifest)
            kubectl.apply(pools[SHARED].service(name, case.fate, **case.spec))
            if case.after:
                case.after(Scene(kubectl, pools[SHARED], name, engines))

        # The long ones first.
        order = sorted(CASES, key=lambda case: (not case.lasts, case.after is None))
        afterwards = {case.sentence: beside.submit(play, case) for case in order}
        yield Played(seen, places, afterwards, time.monotonic() + WITHIN)
        for done in afterwards.values():
            done.cancel()
    for namespace in {namespace for namespace, _ in places.values()}:
        admin.delete("namespace", namespace)


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.condition} {case.status} {case.reason}: {case.sentence}") for case in CASES])  # fmt: skip
def test_the_reason_is_seen_with_its_field_and_told(played: Played, case: Case) -> None:
    where = played.places[case.sentence]
    played.afterwards[case.sentence].result(timeout=played.patience(case))
    verdict = (case.condition, case.status, case.reason)

    try:
        service = eventually(lambda: played.witness.seen[where].get(verdict), str(verdict), played.patience(case))
    except AssertionError as never:
        raise AssertionError(f"{never}; seen: {played.witness.words(where)}") from never

    message = next(item["message"] for item in service["status"]["conditions"] if item["type"] == case.condition)
    assert message
    assert case.field in message
    if case.status == "False" and case.fate and case.fate.ends:
        assert service["status"]["lastFailure"]["code"] == case.reason
    if case.told:
        event = eventually(lambda: played.witness.told(where, case.reason), f"an event {case.reason}")
        assert event["note"]


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_case(reason: str) -> None:
    wanted = (REASONS[reason].condition, "False", reason)

    assert wanted in {(case.condition, case.status, case.reason) for case in CASES}, (
        f"add a row for {wanted} to cases.py"
    )


def reasons_given() -> Iterator[str]:
    """The second argument of each Verdict(...) in core that is a word, or a name for one."""
    for found in pkgutil.walk_packages(fairlead_operator.core.__path__, "fairlead_operator.core."):
        module = importlib.import_module(found.name)
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Verdict":
                match call.args:
                    case [_, ast.Constant(value=str(reason)), *_]:
                        yield reason
                    case [_, ast.Name(id=name), *_] if isinstance(constant := getattr(module, name, None), str):
                        yield constant


def test_each_verdict_that_core_gives_has_a_case() -> None:
    """Reasons that are no failure stand where they are given, as Verdict("True", "Valid", ...)."""
    given = {*reasons_given(), *State}

    assert {"Valid", "Deleting"} <= given
    assert given - {case.reason for case in CASES} == set(), "add rows for these to cases.py"


def test_no_status_lied(played: Played) -> None:
    """Of all that was seen: observedGeneration on each condition, Reconciling and Stalled never at once."""
    assert played.witness.seen
    assert played.witness.lies == []
