"""The chart, rendered by a real helm."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_cli.local import binaries

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "fairlead"
Manifest = dict[str, Any]


def helm(*values: str, apis: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """apis: those that the cluster has beside Kubernetes' own."""
    program = binaries.ensure("helm")["helm"]
    settings = [part for value in values for part in ("--set-json", value)]
    settings += [part for api in apis for part in ("--api-versions", api)]
    command = [str(program), "template", "fairlead-system", str(CHART), "--namespace", "fairlead-system", *settings]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def rendered(*values: str, apis: tuple[str, ...] = ()) -> list[Manifest]:
    done = helm(*values, apis=apis)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def rules(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] in {"Role", "ClusterRole"}:
            yield from manifest["rules"]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param("replica=1", "replica", id="a misspelt key is refused"),
        pytest.param('image={"tag": "1"}', "tag", id="a key that does not exist one level down is refused"),
        pytest.param("replicas=-1", "replicas", id="a number out of bounds is refused"),
        pytest.param('log={"level": "LOUD"}', "level", id="a word that is none of the choices is refused"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str, named: str) -> None:
    done = helm(value)

    assert done.returncode != 0
    assert named in done.stderr


def test_the_charts_crd_is_the_generated_one() -> None:
    names = sorted(path.name for path in (ROOT / "crds").glob("*.yaml"))

    assert sorted(path.name for path in (CHART / "files" / "crds").glob("*.yaml")) == names
    for name in names:
        assert (CHART / "files" / "crds" / name).read_text() == (ROOT / "crds" / name).read_text()


def test_the_rendered_crd_differs_from_the_generated_one_by_the_annotation_that_keeps_it() -> None:
    generated = yaml.safe_load(next((ROOT / "crds").glob("*.yaml")).read_text())
    found = only(rendered(), "CustomResourceDefinition")

    assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == generated


def test_the_crd_can_be_left_out() -> None:
    kinds = {manifest["kind"] for manifest in rendered('crds={"install": false}')}

    assert "CustomResourceDefinition" not in kinds


def test_a_further_release_of_a_cluster_has_nothing_of_the_clusters() -> None:
    values = ('watchNamespaces=["one"]', 'crds={"install": false}', 'userRoles={"create": false}')

    assert {m["kind"] for m in rendered(*values)} & {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
    } == set()
    assert all("namespace" in manifest["metadata"] for manifest in rendered(*values))


def test_no_permission_is_a_wildcard() -> None:
    for rule in rules(rendered()):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


@pytest.mark.parametrize(
    ("values", "verbs"),
    [
        pytest.param((), ["create"], id="secrets can be made and not read"),
        pytest.param(('apiKeys={"generate": false}',), [], id="without generated keys secrets are out of reach"),
    ],
)
def test_rights_to_secrets(values: tuple[str, ...], verbs: list[str]) -> None:
    manifests = rendered(*values)
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}

    assert [verb for rule in rules(manifests) if "secrets" in rule["resources"] for verb in rule["verbs"]] == verbs
    assert environment["FAIRLEAD_GENERATE_API_KEYS"] == str(bool(verbs)).lower()


def test_with_namespaces_given_the_operator_gets_no_cluster_role_of_its_own() -> None:
    manifests = rendered('watchNamespaces=["one", "two"]')
    bound = [manifest for manifest in manifests if manifest["kind"] == "ClusterRoleBinding"]
    namespaces = [m["metadata"]["namespace"] for m in manifests if m["kind"] == "Role"]

    assert bound == []
    assert sorted(namespaces) == ["fairlead-system", "one", "two"]


def test_lists_of_the_values_reach_the_operator() -> None:
    manifests = rendered('watchNamespaces=["one", "two"]', 'allowedImages=["registry.test:5000", "registry.test/team"]')
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}

    assert environment["FAIRLEAD_WATCH_NAMESPACES"] == "one,two"
    assert environment["FAIRLEAD_ALLOWED_IMAGES"] == "registry.test:5000,registry.test/team"


def test_the_operator_passes_pod_security_restricted() -> None:
    pod = only(rendered(), "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}


def test_selectors_hold_nothing_that_an_upgrade_changes() -> None:
    deployment = only(rendered(), "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]

    assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_a_disruption_budget_comes_with_the_second_replica() -> None:
    assert "PodDisruptionBudget" not in {manifest["kind"] for manifest in rendered()}
    assert only(rendered("replicas=2"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
