"""Streamed answers whose chunks go straight to the guard, past the layers of vLLM's application that only read a response's head.

Between vLLM's handler and the guard lie five wrappers of `send`: two for exceptions, CORS, Prometheus, errors. Each is awaited for each
token of each stream and does something at the response's start or end only. Starts and ends still pass through them.
"""

import importlib
import logging
from collections.abc import Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from fairlead_runtime.exchange import CHUNKS

logger = logging.getLogger(__name__)

#: The modules of vLLM's streaming routes, and the name that they answer with.
MODULES = ("vllm.entrypoints.openai.completion.api_router", "vllm.entrypoints.openai.chat_completion.api_router")
NAME = "StreamingResponse"


class DirectStream(StreamingResponse):
    """As its base class; between start and end it sends by what the scope's extension CHUNKS gives, where there is one."""

    _direct: Callable[[], Send | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._direct = scope.get("extensions", {}).get(CHUNKS)
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # A layer that holds the start back for a moment must not be overtaken.
        chunks = (self._direct() if self._direct else None) or send
        async for chunk in self.body_iterator:
            body = chunk.encode(self.charset) if isinstance(chunk, str) else chunk
            await chunks({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def install(modules: tuple[str, ...] = MODULES) -> list[str]:
    """Lets these modules answer with DirectStream. Those that do; the log names any other."""
    done = []
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            logger.warning("%s keeps its own way of sending streams: %s", name, error)
            continue
        if not issubclass(getattr(module, NAME, object), StreamingResponse):
            logger.warning("%s keeps its own way of sending streams: it has no %s", name, NAME)
            continue
        setattr(module, NAME, DirectStream)
        done.append(name)
    return done
