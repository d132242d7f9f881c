"""Failures that no log line names: what the supervisor, the watchdog and the comparison of settings find themselves. Pure."""

import errno
import signal
from collections.abc import Sequence
from dataclasses import replace

from fairlead_runtime import profiles
from fairlead_runtime.failure import Failure
from fairlead_runtime.profiles import Chosen

_AGAIN = "it is started again; look at the node's accelerator and driver (dmesg, Xid errors) if it comes back"


def cannot_begin(error: OSError | ValueError) -> Failure:
    """The supervisor's port, or the engine's program, is not to be had."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return Failure("PortInUse", f"the management port cannot be opened: {error}", "", "free the port in the pod")
    return Failure("UnknownFailure", f"the engine cannot be started: {error}", "", "read the log of the pod")


def config_unusable(path: str, error: Exception) -> Failure:
    """The RuntimeConfig is absent, or of another release."""
    return Failure(
        "InvalidConfig",
        f"{path} cannot be used: {error}",
        "spec.image",
        "give operator and runtime image the same release",
    )


def killed_for_memory(kills: int) -> Failure:
    """The kernel counted kills in the container's cgroup."""
    return Failure(
        "HostOutOfMemory",
        f"the kernel ended {kills} process(es) of the engine for exceeding the pod's memory",
        "spec.resources.memory",
        "a larger size",
    )


def died(status: int, last_words: str) -> Failure:
    """The front end ended without a cause. status: as subprocess counts, negative numbers are signals."""
    how = f"was ended by {signal_name(-status)}" if status < 0 else "ended by itself"
    return Failure("EngineDied", f"the engine {how}; last said: {last_words}", "", "read its log if it comes back")


def signal_name(number: int) -> str:
    """SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def frozen(silence: float) -> Failure:
    """The front end's event loop has not turned for `silence` seconds."""
    return Failure("EngineStalled", f"the engine's front end gave no sign of life for {silence:.0f} s", "", f"{_AGAIN}")


def stalled(why: str) -> Failure:
    """The watchdog's canary failed. why: its suspicion, one sentence with numbers."""
    return Failure("EngineStalled", f"{why}; a request for one token failed too", "", _AGAIN)


def did_not_stop(allowed: float) -> Failure:
    """Asked to stop, it did not within `allowed` seconds."""
    return Failure("EngineDied", f"the engine did not stop within {allowed:.0f} s and was killed")


def start_timeout(phase: str, seconds: float, limit: float) -> Failure:
    """phase: how far it came; limit: what the spec allows, seconds."""
    return Failure(
        "StartTimeout",
        f"the engine was still {phase} after {seconds:.0f} s of the {limit:.0f} s that it may take",
        "spec.engine.startTimeoutSeconds",
        str(round(limit * 2)),
    )


def ignored(differences: Sequence[tuple[str, object, object]]) -> Failure:
    """The engine runs with other settings than the spec asked for. differences: (field, asked, reported), at least one."""
    told = "; ".join(f"{field} asks for {asked} and the engine runs with {has}" for field, asked, has in differences)
    field, _, has = differences[0]
    return Failure(
        "SettingIgnored", told, field, "another profile" if field == profiles.FIELD else f"{has}, or leave it out"
    )


def of_the_profile(failure: Failure, decided: Chosen) -> Failure:
    """`failure` under the profile's name, where the engine refuses what the profile set and the spec did not mention.

    decided: what the profile set in this service.
    """
    for name, value in decided.fields.items():
        if failure.field == f"spec.engine.{name}":
            said = f"{failure.message}; {profiles.FIELD} {decided.profile} sets {name} to {value}"
            own = f"{failure.field}: {failure.suggestion}" if failure.suggestion else failure.field
            return replace(
                failure,
                message=said,
                field=profiles.FIELD,
                suggestion=f"another profile, or {own}, which wins over the profile",
            )
    if failure.code in {"UnknownEngineArgument", "BadArgument"} and any(
        flag in failure.message for flag in decided.flags
    ):
        said = f"{failure.message}; {profiles.FIELD} {decided.profile} sets it"
        return replace(failure, message=said, field=profiles.FIELD, suggestion="another profile, or a newer spec.image")
    return failure


def of_the_draft_model(failure: Failure, draft: str) -> Failure:
    """`failure` under the field of the model that guesses tokens, where its message names that one instead of the model served."""
    if draft and draft in failure.message and failure.field.startswith("spec.model."):
        return replace(failure, field="spec.engine.speculative.model")
    return failure
