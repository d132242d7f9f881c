"""What is measured: one route of one server, and the model that answers there."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from fairlead_cli.bench import BenchError

#: Seconds for the server to say which models it has.
MODELS_WITHIN = 10.0
KEY_HINT = "pass one with --api-key or FAIRLEAD_API_KEY"


class Api(StrEnum):
    """The routes that can be measured, by their path."""

    COMPLETIONS = "/v1/completions"
    CHAT = "/v1/chat/completions"
    GENERATE = "/generate"


@dataclass(frozen=True, slots=True)
class Target:
    """url: the route, complete. model: "" where the route needs none. key: sent as a bearer token, never shown."""

    url: str
    api: Api
    model: str
    key: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def route(url: str) -> tuple[str, Api]:
    """The server's address and the route that `url` names; an address alone means /v1/completions. Raises BenchError."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        well = False
    if not well:  # it is not repeated: a password may be in it
        raise BenchError("URL: this is no address of a server; write http://HOST:PORT")
    if parts.username or parts.password:
        raise BenchError(f"URL: a name or password in it is not sent; {KEY_HINT}")
    path = parts.path.rstrip("/")
    api = next((api for api in Api if path.endswith(api)), Api.COMPLETIONS)
    prefix = path.removesuffix(api).removesuffix("/v1")
    if path not in (prefix, f"{prefix}/v1", f"{prefix}{api}") or prefix.count("/v1/"):
        raise BenchError(f"URL: no benchmark for {path}; end it with one of {', '.join(Api)}, or with the port")
    return urlunsplit((parts.scheme, parts.netloc, prefix, "", "")), api


async def find(url: str, *, model: str | None, key: str = "") -> Target:
    """The target at `url`; without `model`, the first that the server lists. Raises BenchError."""
    server, api = route(url)
    served = await _models(server, key)
    if served is None:
        if api is not Api.GENERATE and model is None:
            raise BenchError(f"{server} does not list its models at /v1/models: name one with --model")
        return Target(f"{server}{api}", api, model or "", key)
    if not served:
        raise BenchError(f"{server} serves no model")
    if model is not None and model not in served:
        raise BenchError(f"--model: {server} serves {', '.join(served)}, not {model}")
    return Target(f"{server}{api}", api, model or served[0], key)


async def _models(server: str, key: str) -> list[str] | None:
    """Names that the server answers to; None when it has no such list."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=MODELS_WITHIN)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{server}/v1/models") as answer,
        ):
            if answer.status in (401, 403):
                given = "the API key was refused" if key else "the server wants an API key"
                raise BenchError(f"{given} ({answer.status}): {KEY_HINT}")
            if answer.status in (404, 405):
                return None
            text = await answer.text()
            if answer.status != 200:
                raise BenchError(f"{server}/v1/models answered {answer.status}: {reason(text)}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise BenchError(f"cannot reach {server}: {str(error) or type(error).__name__}") from error
    try:
        return [str(entry["id"]) for entry in json.loads(text)["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{server}/v1/models is not an OpenAI server's list: {text[:100]!r}") from error


def reason(text: str) -> str:
    """The message of an OpenAI error, else the text itself; one line."""
    try:
        found: Any = json.loads(text)
        error = found.get("error", found)
        message = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        message = None
    return " ".join(str(message or text).split())[:200]
