"""Errors in the shape that OpenAI clients parse: {"error": {"message", "type", "param", "code"}}.

Every refusal of the serving port that is not vLLM's own has it: the guard's, /generate's, the deadline's and the drain's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: ASGI headers: lower-case names, bytes.
Headers = Sequence[tuple[bytes, bytes]]
#: The code of what vLLM's front end does not let into the engine, because too much waits there.
OVERLOADED = "overloaded"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says no.

    status: HTTP status. param: the request's field that must change, if one does. code: a word for programs.
    retry_after: seconds after which the same request may succeed, sent as Retry-After.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    retry_after: int | None = None

    def error(self) -> dict[str, Any]:
        """What stands under "error"."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"message": self.message, "type": kind, "param": self.param, "code": self.code}

    def body(self) -> bytes:
        return json.dumps({"error": self.error()}, ensure_ascii=False).encode()

    def event(self) -> bytes:
        """The same as a server-sent event, for a stream that has begun: its status can no longer be changed."""
        return b"data: " + self.body() + b"\n\n"

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-type", b"application/json")]
        if self.retry_after is not None:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        return headers


class RefusedError(Exception):
    """A request that must be answered with `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def bad_request(message: str, *, param: str | None, code: str = "invalid_value") -> RefusedError:
    """400 that names the parameter to change."""
    return RefusedError(Refusal(400, message, code, param))


def internal_error() -> Refusal:
    """500 for what nobody foresaw: the exception is in the log and not in the answer."""
    return Refusal(500, "The server failed to answer; its log says why.", "internal_error")
