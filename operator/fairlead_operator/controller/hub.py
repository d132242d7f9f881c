"""What a plan needs of a model on a hub: config.json and the headers of its weights. No weights are fetched.

Bounded in bytes and in time. Standard library, and meant for a thread: the operator asks once for each revision of a model.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_runtime import memory

#: Where huggingface_hub looks when nothing else is set.
PUBLIC: Final = "https://huggingface.co"
#: Bytes of all answers together, and seconds for all of them.
MOST_BYTES: Final = 10 * 2**20
MOST_SECONDS: Final = 10.0
#: Of more files than this the index has to do: each header is a request.
MOST_FILES: Final = 16
#: What is read of a file at once: most headers are shorter, and the rest of a longer one is asked for.
_FIRST: Final = 2**17


class UnreadableError(Exception):
    """`str()` says what cannot be read and why; `status` is the hub's answer, 200 where that is of no use, 0 where there was none."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class _Redirects(urllib.request.HTTPRedirectHandler):
    """To another host without the token: that is for the hub alone."""

    def redirect_request(  # noqa: PLR0917 - the base class's
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            followed.remove_header("Authorization")
        return followed


@dataclass
class Hub:
    """One hub. endpoint: as HF_ENDPOINT. token: "" for none. now: seconds, for the limit of all requests of one `read`."""

    endpoint: str = PUBLIC
    token: str = ""
    most_bytes: int = MOST_BYTES
    most_seconds: float = MOST_SECONDS
    now: Callable[[], float] = time.monotonic

    def read(self, repository: str, revision: str = "") -> Checkpoint:
        """The model's shape and the size of its weights. Raises UnreadableError."""
        reading = _Reading(
            self, f"{self.endpoint.rstrip('/')}/{repository}/resolve/{quote(revision or 'main', safe='')}"
        )
        try:
            model = memory.read_config(reading.document("config.json"))
            return Checkpoint(model, _weights(reading, model) or memory.by_shape(model))
        except (memory.ConfigError, ValueError, RecursionError) as broken:
            raise UnreadableError(f"{repository}: {broken}", 200) from broken


def _weights(reading: "_Reading", model: memory.ModelConfig) -> memory.Weights | None:
    try:
        index = reading.document("model.safetensors.index.json")
    except UnreadableError as absent:
        if absent.status != 404:
            raise
        try:
            return memory.from_headers([reading.header("model.safetensors")], model)
        except UnreadableError as none:
            if none.status != 404:
                raise
            return None
    names = index.get("weight_map") if isinstance(index, Mapping) else None
    files = sorted({str(name) for name in names.values()}) if isinstance(names, Mapping) else []
    if 0 < len(files) <= MOST_FILES:
        return memory.from_headers([reading.header(name) for name in files], model)
    return memory.from_index(index, model)


class _Reading:
    """The requests for one model, and what they may still take."""

    def __init__(self, hub: Hub, base: str) -> None:
        self._hub, self._base = hub, base
        self._left = hub.most_bytes
        self._until = hub.now() + hub.most_seconds
        self._opener = urllib.request.build_opener(_Redirects())

    def document(self, name: str) -> Any:
        return json.loads(self._get(name, None))

    def header(self, name: str) -> Mapping[str, Any]:
        """Of a safetensors file: eight bytes with its length, then JSON."""
        start = self._get(name, _FIRST)
        needed = 8 + int.from_bytes(start[:8], "little")
        if len(start) == _FIRST and _FIRST < needed <= self._left:
            start = self._get(name, needed)
        return memory.read_header(start)

    def _get(self, name: str, most: int | None) -> bytes:
        """A file, or its first `most` bytes: not more is read even if the server sends all of it."""
        request = urllib.request.Request(f"{self._base}/{quote(name)}")  # noqa: S310 - the endpoint is the administrator's
        if most is not None:
            request.add_header("Range", f"bytes=0-{most - 1}")
        if self._hub.token:
            request.add_header("Authorization", f"Bearer {self._hub.token}")
        try:
            with self._opener.open(request, timeout=self._seconds()) as answer:
                return self._read(answer, name, most)
        except urllib.error.HTTPError as refused:
            refused.close()
            raise UnreadableError(f"{name}: the hub answers {refused.code} {refused.reason}", refused.code) from refused
        except (OSError, HTTPException, ValueError) as failed:
            raise UnreadableError(f"{name}: {failed}") from failed

    def _read(self, answer: Any, name: str, most: int | None) -> bytes:
        parts: list[bytes] = []
        wanted = self._left + 1 if most is None else min(most, self._left + 1)
        while wanted > 0 and (part := answer.read1(min(wanted, 2**16))):
            parts.append(part)
            wanted -= len(part)
            self._seconds()
        found = b"".join(parts)
        self._left -= len(found)
        if self._left < 0:
            raise UnreadableError(f"{name}: more than {memory.gib(self._hub.most_bytes)} would have to be read", 200)
        return found

    def _seconds(self) -> float:
        left = self._until - self._hub.now()
        if left <= 0:
            raise UnreadableError(f"the hub takes longer than {self._hub.most_seconds:g} s")
        return left
