"""What the chart's values make of the operator's pods, and what the chart says of itself."""

import json
from typing import Any

import pytest
import yaml

from fairlead_operator.core.resolve import Resolved, resolve
from unit.chart.test_chart import CHART, helm, only, rendered
from unit.operator.builders import DEFAULTS

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
SPREAD = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
ZONES = '{"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}'


def pod(*values: str) -> dict[str, Any]:
    found: dict[str, Any] = only(rendered(*values), "Deployment")["spec"]["template"]
    return found


def annotations_of_the_chart() -> dict[str, str]:
    return dict(yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"])


@pytest.mark.parametrize("reference", [f"registry.test/operator@{DIGEST}", f"registry.test/operator:0.1.0@{DIGEST}"])
def test_images_by_digest_are_taken_as_they_are(reference: str) -> None:
    runtime = reference.replace("operator", "runtime")
    (container,) = pod(f'image.reference="{reference}"', f'runtime={{"image": "{runtime}", "imageCPU": "{runtime}"}}')[
        "spec"
    ]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}

    assert container["image"] == reference
    assert environment["FAIRLEAD_RUNTIME_IMAGE"] == environment["FAIRLEAD_RUNTIME_IMAGE_CPU"] == runtime


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((), [], id="one operator is spread over nothing"),
        pytest.param(("replicas=2",), [SPREAD], id="two go to different nodes"),
        pytest.param(
            ("replicas=2", f"topologySpreadConstraints=[{ZONES}]"), [yaml.safe_load(ZONES)], id="or as they are told"
        ),
    ],
)
def test_operators_are_spread(values: tuple[str, ...], expected: list[dict[str, Any]]) -> None:
    template = pod(*values)
    constraints = template["spec"].get("topologySpreadConstraints", [])

    assert [{k: v for k, v in each.items() if k != "labelSelector"} for each in constraints] == expected
    for each in constraints:
        assert each["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_a_selector_of_ones_own_stays() -> None:
    own = ZONES.replace("}", ', "labelSelector": {"matchLabels": {"a": "b"}}}')
    (constraint,) = pod(f"topologySpreadConstraints=[{own}]")["spec"]["topologySpreadConstraints"]

    assert constraint["labelSelector"] == {"matchLabels": {"a": "b"}}


def test_affinity_is_taken_as_it_is() -> None:
    affinity: dict[str, Any] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}

    assert pod(f"affinity={json.dumps(affinity)}")["spec"]["affinity"] == affinity


def test_annotations_go_where_they_belong() -> None:
    values = ('extraAnnotations={"a": "1"}', 'serviceAccountAnnotations={"b": "2"}', 'podAnnotations={"c": "3"}')
    manifests = rendered(*values, "replicas=2", 'networkPolicy={"enabled": true}')

    for manifest in manifests:
        found = manifest["metadata"].get("annotations", {})
        match manifest["kind"]:
            case "CustomResourceDefinition":
                assert found == {"helm.sh/resource-policy": "keep"}
            case "ServiceAccount":
                assert found == {"a": "1", "b": "2"}
            case _:
                assert found == {"a": "1"}, manifest["kind"]
    assert only(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"] == {"c": "3"}
    assert all("annotations" not in m["metadata"] for m in rendered() if m["kind"] != "CustomResourceDefinition")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param('affinity={"podAntiAfinity": {}}', "podAntiAfinity", id="an affinity"),
        pytest.param('topologySpreadConstraints=[{"maxSkew": 1}]', "topologyKey", id="half a constraint"),
        pytest.param('topologySpreadConstraints=[{"maxSkw": 1}]', "maxSkw", id="a constraint"),
        pytest.param('podAnnotations={"a": 1}', "podAnnotations", id="an annotation that is a number"),
        pytest.param('extraAnnotations=["a"]', "extraAnnotations", id="a list of annotations"),
        pytest.param('networkPolicy={"enable": true}', "enable", id="a network policy"),
        pytest.param('apiKeys={"generated": true}', "generated", id="generated keys"),
    ],
)
def test_what_is_misspelt_is_refused_by_name(value: str, named: str) -> None:
    done = helm(value)

    assert done.returncode != 0
    assert named in done.stderr


def test_the_values_of_a_chart_that_knew_less_still_render() -> None:
    """`helm upgrade --reuse-values` leaves out the defaults of what is new."""
    oldest = yaml.safe_load((CHART.parents[1] / "tests" / "oldest_values.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    new = [name for name in values if name not in oldest]
    new += [f"{group}.{name}" for group in oldest if isinstance(oldest[group], dict) for name in values[group] if name not in oldest[group]]  # fmt: skip

    old, present = rendered(*(f"{name}=null" for name in new)), rendered()

    assert {"apiKeys", "runtime.engineVersion"} <= set(new)
    assert old == present


def test_the_chart_lists_the_images_that_it_runs() -> None:
    (container,) = pod()["spec"]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    listed = {each["name"]: each["image"] for each in yaml.safe_load(annotations_of_the_chart()["artifacthub.io/images"])}  # fmt: skip

    assert listed == {
        "operator": container["image"],
        "runtime": environment["FAIRLEAD_RUNTIME_IMAGE"],
        "runtime-cpu": environment["FAIRLEAD_RUNTIME_IMAGE_CPU"],
    }


def test_the_chart_lists_its_resource_with_an_example_that_is_accepted() -> None:
    (listed,) = yaml.safe_load(annotations_of_the_chart()["artifacthub.io/crds"])
    (example,) = yaml.safe_load(annotations_of_the_chart()["artifacthub.io/crdsExamples"])
    crd = only(rendered(), "CustomResourceDefinition")
    example["metadata"] |= {"namespace": "default", "uid": "0"}

    assert (listed["name"], listed["kind"]) == (crd["metadata"]["name"], crd["spec"]["names"]["kind"])
    assert listed["version"] in {version["name"] for version in crd["spec"]["versions"]}
    assert isinstance(resolve(example, DEFAULTS), Resolved)
