"""No right to spare: what the operator may do and never did in all these tests it does not need."""

import pytest

from api import access, audit
from api.conftest import HERE
from fairlead_cli.local.controlplane import ControlPlane

#: The API server asks for it without a request of its own, where the admission plugin OwnerReferencesPermissionEnforcement is on.
UNSEEN = {("fairlead.dev", "inferenceservices/finalizers", "update")}


@pytest.mark.last
@pytest.mark.usefixtures("operator")
def test_every_right_was_used(plane: ControlPlane, managed: ControlPlane, request: pytest.FixtureRequest) -> None:
    ran = {item.path for item in request.session.items}
    if missing := sorted(path.name for path in HERE.glob("test_*.py") if path not in ran):
        pytest.skip(f"tells only after the whole suite; left out: {', '.join(missing)}")
    allowed = audit.granted(access.RULES + access.CLUSTER_RULES + access.NETWORK_RULES + access.LEASE_RULES)

    used = audit.used(plane.audit_log) | audit.used(managed.audit_log)

    assert sorted(allowed - used - UNSEEN) == []
