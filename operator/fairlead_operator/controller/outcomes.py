"""How a reconcile can end other than well, named by what happens next; anything else is backed off and logged."""

#: A namespace on its way out takes its time, in seconds.
TERMINATING = 30.0


class NotYetError(Exception):
    """Something else is on its way; look again in `after` seconds."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


class PredecessorError(NotYetError):
    """What belongs to a deleted InferenceService of the same name has to go first; it may be kept, by a finalizer of somebody's."""


class RejectedError(Exception):
    """The user must change `field`; retrying cannot help."""

    def __init__(self, reason: str, message: str, field: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field


class LostLeaseError(Exception):
    """Writing is over for this process: another may hold the Lease."""


class ApiError(Exception):
    """The API server's refusal: HTTP `code` (0 when there was no answer), Kubernetes `reason`, its message.

    `request` is what was asked: verb, kind and name.
    """

    def __init__(self, code: int, reason: str, message: str, request: str = "") -> None:
        super().__init__(f"{code} {reason}: {message}" if code else message)
        self.code = code
        self.reason = reason
        self.request = request


def namespace_ends(refusal: ApiError) -> NotYetError | None:
    """What a refusal means that comes of a namespace on its way out; None for any other."""
    if refusal.code == 403 and "being terminated" in str(refusal):
        return NotYetError("the namespace is being terminated", TERMINATING)
    return None
