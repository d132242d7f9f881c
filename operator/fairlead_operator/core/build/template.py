"""What this release makes of a spec: the pod template, and the configuration that it mounts."""

from fairlead_operator.core.build.pod import build_pod_template
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import Template


def render(service: Resolved) -> Template:
    """Everything that a release may render differently, its image and its defaults included, in one value."""
    return Template(build_pod_template(service), service.config.canonical_json())
