"""The chart, rendered by a real helm."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_cli.dashboards import DASHBOARDS
from fairlead_cli.local import binaries

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "fairlead"
Manifest = dict[str, Any]


class Strict(yaml.SafeLoader):
    """Refuses what YAML forbids and most readers take: two keys of one name."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base class's
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands there twice: {sorted(keys)}"
        return super().construct_mapping(node, deep)


def helm(
    *values: str, apis: tuple[str, ...] = (), name: str = "fairlead-system", chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """apis: those that the cluster has beside Kubernetes' own. name: of the release, and of its namespace."""
    program = binaries.ensure("helm")["helm"]
    settings = [part for value in values for part in ("--set-json", value)]
    settings += [part for api in apis for part in ("--api-versions", api)]
    command = [str(program), "template", name, str(chart), "--namespace", name, *settings]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def rendered(
    *values: str, apis: tuple[str, ...] = (), name: str = "fairlead-system", chart: Path = CHART
) -> list[Manifest]:
    done = helm(*values, apis=apis, name=name, chart=chart)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.load_all(done.stdout, Strict) if manifest]


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


#: What `extraLabels` and an object's own labels may both have.
PART, NAME, OURS = "app.kubernetes.io/part-of", "app.kubernetes.io/name", "team"
#: Each template renders something: values and APIs for that.
EVERYTHING = (
    'networkPolicy={"enabled": true}',
    "replicas=2",
    f"extraLabels={json.dumps({PART: 'platform', NAME: 'llm', OURS: 'all', 'rbac.authorization.k8s.io/aggregate-to-view': 'no'})}",
    *(
        f"{group}={json.dumps({'enabled': True, 'labels': {OURS: group, NAME: group}})}"
        for group in ("podMonitor", "prometheusRules", "dashboards")
    ),
)
MONITORING = tuple(f"monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule"))


def labelled(*values: str) -> list[Manifest]:
    """Every object that takes `extraLabels`."""
    manifests = rendered(*EVERYTHING, *values, apis=MONITORING)
    return [manifest for manifest in manifests if manifest["kind"] != "CustomResourceDefinition"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="a ClusterRole"),
        pytest.param(('watchNamespaces=["one", "two"]',), id="a Role in each namespace"),
    ],
)
def test_labels_that_several_give_are_there_once(values: tuple[str, ...]) -> None:
    own = {"PodMonitor": "podMonitor", "PrometheusRule": "prometheusRules", "ConfigMap": "dashboards"}
    manifests = labelled(*values)

    assert {kind: sum(m["kind"] == kind for m in manifests) for kind in own} == {
        "PodMonitor": 2,
        "PrometheusRule": 1,
        "ConfigMap": len(DASHBOARDS),
    }
    for manifest in manifests:
        labels = manifest["metadata"]["labels"]
        assert labels[PART] == "platform", "what the chart would say yields"
        assert labels[NAME] == "fairlead", "what selectors go by does not"
        assert labels[OURS] == own.get(manifest["kind"], "all"), "an object's own go before those of all"


def test_what_a_label_makes_a_role_is_not_taken_away() -> None:
    (view,) = [manifest for manifest in labelled() if manifest["metadata"]["name"].endswith("-view")]

    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"


def test_the_operators_pods_are_selected_whatever_labels_they_get() -> None:
    manifests = labelled()
    labels = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]

    assert labels[OURS] == "all"
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert only(manifests, kind)["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert only(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert only(manifests, "Service")["spec"]["selector"].items() <= labels.items()


def test_names_that_are_numbers_stay_names() -> None:
    manifests = rendered(*EVERYTHING, 'watchNamespaces=["2024", "1e3"]', apis=MONITORING, name="2025")
    roles = [manifest for manifest in manifests if manifest["kind"] in {"Role", "RoleBinding"}]
    engines, _ = [manifest for manifest in manifests if manifest["kind"] == "PodMonitor"]

    assert {role["metadata"]["namespace"] for role in roles} == {"2024", "1e3", "2025"}
    assert engines["spec"]["namespaceSelector"]["matchNames"] == ["2024", "1e3"]
    for manifest in manifests:
        assert isinstance(manifest["metadata"].get("namespace", ""), str)
        assert all(isinstance(subject["namespace"], str) for subject in manifest.get("subjects", ()))
        assert all(isinstance(value, str) for value in manifest["metadata"].get("labels", {}).values())


def test_a_disruption_budget_comes_with_the_second_replica() -> None:
    assert "PodDisruptionBudget" not in {manifest["kind"] for manifest in rendered()}
    assert only(rendered("replicas=2"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
