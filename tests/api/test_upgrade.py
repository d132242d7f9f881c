"""Another release of the operator, with other builders and another default image, takes over and touches no pod."""

import dataclasses
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from api.cluster import Kubectl, Manifest, accepted, eventually, service
from api.conftest import ROOT
from api.operators import OperatorProcess, operator_on
from fairlead_cli.local.controlplane import ControlPlane

#: The next release: this code, but each template differs, and so would each of its hashes.
NEXT = """
import runpy
from fairlead_operator.core.build import pod
render = pod._template
def changed(service):
    template = render(service)
    template["spec"]["terminationGracePeriodSeconds"] += 5
    template["spec"]["containers"][0]["env"].append({"name": "NEXT_RELEASE", "value": "1"})
    return template
pod._template = changed
runpy.run_module("fairlead_operator", run_name="__main__")
"""
NEXT_IMAGE = "example.com/fairlead-runtime:2"
REVISIONS = "operator/fairlead_operator/core/revisions.py"


@pytest.fixture
def kubectl(managed: ControlPlane, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a namespace of its own, with one pod per replica made by the real controllers."""
    admin = Kubectl(managed.kubectl, managed.kubeconfig, "default")
    return admin.new_namespace(f"upgrade-{abs(hash(request.node.name)) % 10**8}")


def git(*arguments: str) -> bytes:
    """Skips the test where this checkout has no history."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode or not done.stdout.strip():
        pytest.skip(f"no history: git {' '.join(arguments)}")
    return done.stdout


def source_of(commit: str, folder: Path) -> dict[str, str]:
    """The environment in which Python finds operator and runtime as they were."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "operator", "runtime"))) as archive:
        archive.extractall(folder, filter="data")
    return {"PYTHONPATH": f"{folder / 'operator'}:{folder / 'runtime'}"}


def release(managed: ControlPlane, folder: Path, which: str) -> OperatorProcess:
    """The operator before the upgrade."""
    if which == "this one":
        return operator_on(managed, folder, "former")
    commit = "HEAD~1"
    if which == "the last that kept no revisions":
        added = git("log", "--diff-filter=A", "--format=%H", "--", REVISIONS).split()[-1].decode()
        commit = f"{added}~1"
    return operator_on(managed, folder, "former", **source_of(commit, folder))


def next_release(managed: ControlPlane, folder: Path) -> OperatorProcess:
    """The operator after the upgrade."""
    later = {"FAIRLEAD_RUNTIME_IMAGE": NEXT_IMAGE, "FAIRLEAD_RESYNC_SECONDS": "0.2"}
    return dataclasses.replace(operator_on(managed, folder, "next", **later), program=("-c", NEXT))


def served_by(operator: OperatorProcess, kubectl: Kubectl, manifest: Manifest) -> tuple[Manifest, set[str]]:
    """What the release makes of it: the Deployment and its pods' uids."""
    with operator:
        operator.ready()
        kubectl.apply(manifest)
        eventually(lambda: accepted(kubectl) and len(pods(kubectl)) == 2, f"two pods, see {operator.log}")
        assert operator.end() == 0
    return deployment(kubectl), pods(kubectl)


def deployment(kubectl: Kubectl) -> Manifest:
    found = kubectl.get("deployment", "mistral")
    assert found is not None
    return found


def template(kubectl: Kubectl) -> Manifest:
    found: Manifest = deployment(kubectl)["spec"]["template"]
    return found


def pods(kubectl: Kubectl) -> set[str]:
    return {pod["metadata"]["uid"] for pod in kubectl.items("pod")}


def looks(operator: OperatorProcess, times: int) -> None:
    """Wait until it has looked at the service so often."""
    done = 'fairlead_reconcile_duration_seconds_count{outcome="Done"}'
    begin = operator.metric(done) or 0
    eventually(lambda: (operator.metric(done) or 0) >= begin + times, f"{times} looks, see {operator.log}")


def is_next(made: Manifest) -> bool:
    """Whether the next release rendered it."""
    container = made["spec"]["containers"][0]
    names = {variable["name"] for variable in container["env"]}
    return container["image"] == NEXT_IMAGE and "NEXT_RELEASE" in names


@pytest.mark.parametrize("former", ["this one", "the commit before", "the last that kept no revisions"])
def test_an_upgrade_touches_no_pod(managed: ControlPlane, kubectl: Kubectl, tmp_path: Path, former: str) -> None:
    spec = service(replicas=2, engine={"maxModelLen": 4096})
    before, uids = served_by(release(managed, tmp_path, former), kubectl, spec)

    with next_release(managed, tmp_path) as operator:
        operator.ready()
        looks(operator, 5)
        kubectl("scale", "infs/mistral", "--replicas=3")
        eventually(lambda: len(pods(kubectl)) == 3, "a third pod")
        assert template(kubectl) == before["spec"]["template"]
        assert uids < pods(kubectl)
        hashes = {pod["metadata"]["labels"]["fairlead.dev/template"] for pod in kubectl.items("pod")}
        assert len(hashes) == 1, "the third pod is like the others"

        kubectl.patch("infs", "mistral", {"spec": {"engine": {"maxModelLen": 2048}}})

        eventually(lambda: is_next(template(kubectl)), "the new release's template for a new spec")
        kubectl.delete("infs", "mistral")
        assert operator.end() == 0


def test_an_upgrade_in_the_same_moment_changes_no_generation(managed: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:  # fmt: skip
    before, _ = served_by(release(managed, tmp_path, "this one"), kubectl, service(replicas=2))

    with next_release(managed, tmp_path) as operator:
        operator.ready()
        looks(operator, 5)
        assert deployment(kubectl)["metadata"]["generation"] == before["metadata"]["generation"]
        kubectl.delete("infs", "mistral")
        assert operator.end() == 0


def test_new_defaults_come_when_they_are_asked_for(managed: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:
    before, _ = served_by(release(managed, tmp_path, "this one"), kubectl, service(replicas=2))

    with next_release(managed, tmp_path) as operator:
        operator.ready()
        looks(operator, 2)
        assert template(kubectl) == before["spec"]["template"]

        kubectl("annotate", "infs", "mistral", "fairlead.dev/adopt-defaults=2")

        eventually(lambda: is_next(template(kubectl)), "the new release's template")
        assert len(kubectl.items("controllerrevision")) == 2
        kubectl.delete("infs", "mistral")
        assert operator.end() == 0


def test_a_revision_that_no_watch_shows_is_found_all_the_same(managed: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:  # fmt: skip
    before, _ = served_by(release(managed, tmp_path, "this one"), kubectl, service(replicas=2))
    [revision] = kubectl.items("controllerrevision")
    label = "app.kubernetes.io/managed-by"
    kubectl.patch("controllerrevision", revision["metadata"]["name"], {"metadata": {"labels": {label: None}}})

    with next_release(managed, tmp_path) as operator:
        operator.ready()
        eventually(lambda: kubectl.items("controllerrevision")[0]["metadata"]["labels"].get(label), "its label")
        assert template(kubectl) == before["spec"]["template"]

        # Under its eyes: the watch tells that the revision has ended.
        kubectl.patch("controllerrevision", revision["metadata"]["name"], {"metadata": {"labels": {label: None}}})

        eventually(lambda: kubectl.items("controllerrevision")[0]["metadata"]["labels"].get(label), "its label again")
        assert template(kubectl) == before["spec"]["template"]
        kubectl.delete("infs", "mistral")
        assert operator.end() == 0


def test_the_data_of_a_revision_never_changes(managed: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:
    """That a kept rendering stays what it was is the API server's word, not ours."""
    served_by(release(managed, tmp_path, "this one"), kubectl, service(replicas=2))
    [revision] = kubectl.items("controllerrevision")

    with pytest.raises(AssertionError, match="immutable"):
        kubectl.patch("controllerrevision", revision["metadata"]["name"], {"data": {"config": "{}"}})
    assert set(revision["data"]) == {"template", "config"}
    kubectl.delete("infs", "mistral")
