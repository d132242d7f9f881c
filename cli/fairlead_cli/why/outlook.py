"""What happens next: whether to wait, to act, or to watch it start again. Pure."""

from collections.abc import Mapping
from typing import Any

from fairlead_cli.why.acting import Acting
from fairlead_cli.why.pods import Failure
from fairlead_cli.why.trouble import NOT_SEEN_YET, Trouble
from fairlead_operator.core.names import Manifest
from fairlead_operator.core.reasons import REASONS, Retry


def outlook(
    trouble: Trouble | None,
    cause: Failure | None,
    act: Acting,
    status: Mapping[str, Any],
    deployment: Manifest | None,
    wanted: int,
) -> str:
    """One or two sentences; "" when nothing needs to happen."""
    if act.nobody:
        return "nothing moves until an operator runs again; pods that serve go on serving"
    if trouble is None:
        return "" if wanted else "nothing runs until it is woken"
    if trouble.reason == NOT_SEEN_YET:
        return "wait: the operator looks at a change within seconds"
    if trouble.reason in {"Starting", "RollingOut"}:
        return "wait: it is on its way"
    if trouble.reason == "Deleting":
        return "wait: its pods finish their requests"
    reason = REASONS.get(cause.code if cause else trouble.reason)
    if reason is None:
        return "this release does not know the reason; the message says what to do"
    match reason.retry:
        case Retry.WAIT:
            return "wait: it goes on by itself as soon as what the message names has changed"
        case Retry.RESTART:
            return f"the engine is started again by itself{_so_far(status)}; act if it comes back"
        case Retry.USER:
            return _until_you_act(status, deployment, wanted)


def _until_you_act(status: Mapping[str, Any], deployment: Manifest | None, wanted: int) -> str:
    stalled = any(row["type"] == "Stalled" and row["status"] == "True" for row in status.get("conditions") or ())
    if wanted and deployment and deployment["spec"].get("replicas") == 0:
        return (
            f"you must act: fairlead gave up{_so_far(status)}, and holds no accelerator; a changed spec starts it again"
        )
    if stalled:
        return f"you must act: nothing moves until you do{_so_far(status)}"
    return f"you must act; it is tried again meanwhile{_so_far(status)}"


def _so_far(status: Mapping[str, Any]) -> str:
    times = int((status.get("lastFailure") or {}).get("count") or 0)
    return f", after {times} failures" if times > 1 else ""
