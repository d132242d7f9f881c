"""The first requests, asked by the runtime itself: what vLLM sets up at the first request of a kind is set up before a user waits.

They go through vLLM's own application, past the guard: routes, templates, tokenizer and sampler are all part of a first answer.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

logger = logging.getLogger(__name__)

#: Long enough that a prompt and a few steps are computed in each of the engine's ways, short enough to cost little.
PROMPT = "The quick brown fox jumps over the lazy dog. " * 8
MAX_TOKENS = 8


def requests(model: str, max_model_len: int) -> tuple[tuple[str, dict[str, Any]], ...]:
    """(path, body): completions and chat, streamed and whole. Prompts take a quarter of a short context at most."""
    # A character is a token at worst.
    prompt = PROMPT[: max(1, max_model_len // 4)]
    common: dict[str, Any] = {"model": model, "max_tokens": min(MAX_TOKENS, max(1, max_model_len // 4))}
    texts: dict[str, dict[str, Any]] = {
        "/v1/completions": {"prompt": prompt},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": prompt}]},
    }
    return tuple(
        (path, {**common, **text, "stream": stream}) for path, text in texts.items() for stream in (True, False)
    )


async def warm_up(application: Application, model: str, max_model_len: int) -> None:
    """Asks each kind of request once. A refusal is logged and no failure: a model without a chat template refuses to chat.

    Nor is an exception: one kind of request that fails would keep all others from being served.
    """
    for path, body in requests(model, max_model_len):
        try:
            status = await ask(application, path, body)
        except Exception:
            logger.exception("The warm-up request to %s failed", path)
            continue
        if status != 200:
            logger.info("The warm-up request to %s was answered with %d", path, status)


async def ask(application: Application, path: str, body: dict[str, Any]) -> int:
    """POST `body` to the ASGI `application`; the status, after the last byte. Raises what the application raises."""
    content = json.dumps(body).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    given: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
    status = 0

    async def receive() -> Message:
        if given:
            return given.pop()
        # The client stays until its answer is complete.
        await _for_ever()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(message["status"])

    await application(scope, receive, send)
    return status


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
