"""An HTTP client that is cheap enough to be two thousand of them, and that tells a complete answer from one that was cut."""

import asyncio
import json
import select
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: No answer of these tests takes longer; seconds.
PATIENCE = 240


@dataclass
class Answer:
    """status: 0 when none came. whole: the body came to the end that its framing announced. broken: what went wrong below HTTP."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    broken: str = ""

    @property
    def events(self) -> list[Any]:
        """Of a stream, without its [DONE]."""
        lines = [line.removeprefix(b"data: ") for line in self.body.split(b"\n\n") if line]
        return [json.loads(line) for line in lines if line != b"[DONE]"]

    @property
    def done(self) -> bool:
        return self.body.endswith(b"data: [DONE]\n\n")

    @property
    def error(self) -> str:
        """The code of the error that the body, or its last event, is; "" when it is none."""
        said = self.events[-1] if self.body.startswith(b"data: ") else json.loads(self.body or b"{}")
        return str(said.get("error", {}).get("code", ""))

    def stream_of(self) -> tuple[int, int, list[str]]:
        """Words received, tokens by `usage`, finish reasons: of vLLM's completions and of /generate alike."""
        words, tokens, reasons = 0, 0, []
        for event in self.events:
            for choice in event.get("choices", [event]):
                words += len(choice.get("text", "").split())
                reasons += [choice["finish_reason"]] if choice.get("finish_reason") else []
            tokens += event.get("usage", {}).get("completion_tokens", 0)
        return words, tokens, reasons


class Connection:
    """One kept-alive connection: opened for the first request, and again once it was closed."""

    def __init__(self, port: int, host: str = "127.0.0.1", key: str = "") -> None:
        self._host, self._port, self._key = host, port, key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: Any = None, *, begun: Callable[[], None] = lambda: None) -> Answer:
        """POST with a body, GET without; begun is called at the first byte of the answer's body."""
        answer = Answer()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._exchange(path, body, answer, begun)
        except (OSError, asyncio.IncompleteReadError) as error:
            answer.broken = repr(error)
            self.close()
        return answer

    @property
    def open(self) -> bool:
        """Whether the server has left it open, as a client's pool finds out before it sends: it asks the socket."""
        if self._streams is None or self._streams[0].at_eof():
            return False
        socket = self._streams[1].get_extra_info("socket")
        asking = select.poll()
        asking.register(socket.fileno(), select.POLLIN)
        return not asking.poll(0)

    async def _exchange(self, path: str, body: Any, answer: Answer, begun: Callable[[], None]) -> None:
        if not self.open:
            self.close()
            self._streams = await asyncio.open_connection(self._host, self._port)
        assert self._streams is not None
        reader, writer = self._streams
        content = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        key = f"Authorization: Bearer {self._key}\r\n" if self._key else ""
        json_sent = "Content-Type: application/json\r\n" if content else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\n{key}{json_sent}Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        answer.status = int(lines[0].split()[1])
        pairs = (line.partition(": ") for line in lines[1:] if line)
        answer.headers = {name.lower(): value for name, _, value in pairs}
        await self._body(reader, answer, begun)
        if answer.headers.get("connection") == "close":
            self.close()

    async def _body(self, reader: asyncio.StreamReader, answer: Answer, begun: Callable[[], None]) -> None:
        parts: list[bytes] = []
        try:
            if "content-length" in answer.headers:
                parts.append(await reader.readexactly(int(answer.headers["content-length"])))
            else:
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    parts.append((await reader.readexactly(size + 2))[:-2])
                    if len(parts) == 1:
                        begun()
                await reader.readexactly(2)
            answer.whole = True
        finally:
            answer.body = b"".join(parts)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def once(port: int, path: str, body: Any = None, *, begun: Callable[[], None] = lambda: None) -> Answer:
    """On a connection of its own."""
    connection = Connection(port)
    try:
        return await connection.ask(path, body, begun=begun)
    finally:
        connection.close()


async def says(port: int, path: str, words: str) -> None:
    """Returns once GET `path` answers with these words in it."""
    async with asyncio.timeout(PATIENCE):
        while words.encode() not in (await once(port, path)).body:  # noqa: ASYNC110 - it is said in another process
            await asyncio.sleep(0.01)
