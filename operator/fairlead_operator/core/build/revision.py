"""A revision as a ControllerRevision."""

import json
from dataclasses import asdict

from fairlead_operator.core import names
from fairlead_operator.core.build.metadata import metadata
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.resolve import Resolved
from fairlead_operator.core.revisions import Revision


def build_revision(service: Resolved, revision: Revision) -> Manifest:
    """The rendering and what is known of it. `data` may never change; the annotations may."""
    failure = revision.failure
    annotations = {
        **({names.SERVED: "true"} if revision.served else {}),
        **({names.COMMIT: revision.commit} if revision.commit else {}),
        **({names.FAILED: json.dumps(asdict(failure), sort_keys=True)} if failure else {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            **metadata(service, revision.name),
            **({"annotations": annotations} if annotations else {}),
        },
        "revision": revision.number,
        "data": {"template": revision.template.pod, "config": revision.template.config},
    }
