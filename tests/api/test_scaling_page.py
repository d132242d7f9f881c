"""What docs/scaling.md shows is what the API server takes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from api.cluster import Kubectl
from api.conftest import CRD, ROOT

PAGE = (ROOT / "docs" / "scaling.md").read_text()
MANIFESTS: list[dict[str, Any]] = [yaml.safe_load(part.partition("```")[0]) for part in PAGE.split("```yaml\n")[1:]]
DEFINITION = yaml.safe_load(CRD.read_text())["spec"]


def targets() -> Iterator[dict[str, Any]]:
    """What the autoscalers on the page scale."""
    return (manifest["spec"]["scaleTargetRef"] for manifest in MANIFESTS if "scaleTargetRef" in manifest["spec"])


#: KEDA's own API is not served here: of its object only the target can be judged.
SERVED = [pytest.param(one, id=one["kind"]) for one in MANIFESTS if not one["apiVersion"].startswith("keda.sh/")]


@pytest.mark.parametrize("manifest", SERVED)
def test_a_manifest_of_the_page_is_accepted(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest)


def test_autoscalers_on_the_page_scale_an_inference_service_of_the_page() -> None:
    (service,) = [manifest for manifest in MANIFESTS if manifest["kind"] == DEFINITION["names"]["kind"]]
    expected = {
        "apiVersion": f"{DEFINITION['group']}/{DEFINITION['versions'][0]['name']}",
        "kind": service["kind"],
        "name": service["metadata"]["name"],
    }

    assert list(targets()) == [expected, expected]
    assert "scale" in DEFINITION["versions"][0]["subresources"]


def test_a_query_of_the_page_asks_for_one_service_alone() -> None:
    """A pattern of pods' names fits those of another service too whose name begins alike."""
    (keda,) = [manifest for manifest in MANIFESTS if manifest["apiVersion"].startswith("keda.sh/")]
    (query,) = [trigger["metadata"]["query"] for trigger in keda["spec"]["triggers"]]

    assert dict(re.findall(r'(\w+)="([^"]*)"', query)) == {
        "namespace": "default",
        "name": keda["spec"]["scaleTargetRef"]["name"],
    }
    assert "=~" not in query


def test_every_rule_of_the_autoscaler_is_on_the_page() -> None:
    fields = DEFINITION["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["autoscaling"]

    assert [name for name in fields["properties"] if name not in PAGE] == []
