"""Whatever a client sends: an answer with a status, and for what is wrong with it a 4xx that says so."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from fairlead_runtime import batch
from fairlead_runtime.drain import Admission, Gate
from fairlead_runtime.exchange import Message
from fairlead_runtime.generate import Prompt, sampling_of
from fairlead_runtime.generate_schema import check, parse
from fairlead_runtime.guard import Guard
from fairlead_runtime.keys import ApiKeys
from fairlead_runtime.metrics import Metrics
from fairlead_runtime.refusals import RefusedError
from proof.fuzz.inputs import ANYTHING, NASTY, SECRET, TEXT, damaged
from proof.fuzz.trying import fuzzed, work

CALLS = 20_000
REQUESTS = damaged(
    st.fixed_dictionaries(
        {"prompt": TEXT},
        optional={
            "max_tokens": st.integers(-1, 20),
            "temperature": st.floats(),
            "top_p": st.floats(0, 1),
            "top_k": st.integers(-1, 2**32),
            "stop": st.lists(TEXT, max_size=5),
            "stream": st.booleans(),
        },
    ),
    most=2,
)
BODIES = st.one_of(
    REQUESTS.map(json.dumps).map(str.encode),
    st.lists(REQUESTS, max_size=3).map(json.dumps).map(str.encode),
    ANYTHING.map(json.dumps).map(str.encode),
    NASTY.map(str.encode),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"prompt":' * 50_000,
            b'{"prompt": "\\ud800"}',
            b'{"prompt": "a", "prompt": 1}',
            b"[" + b"{}," * 600 + b"{}]",
        ]
    ),
)


def refused(error: RefusedError) -> None:
    refusal = error.refusal
    assert refusal.status == 400
    assert json.loads(refusal.body())["error"]["message"]
    assert len(refusal.body()) < 20_000


@fuzzed("POST /generate", BODIES, st.integers(0, 40))
def test_a_request_is_taken_or_refused(body: bytes, tokens: int) -> None:
    try:
        with work(CALLS):
            asked = parse(body)
            sampling = sampling_of(asked, Prompt(tokens, ""), 32)
        assert asked.prompt
        assert 1 <= sampling["max_tokens"] <= 32 - tokens
    except RefusedError as error:
        refused(error)


@fuzzed("POST /generate/batch", BODIES)
def test_a_batch_is_taken_or_refused(body: bytes) -> None:
    try:
        items = batch.parse(body)
    except RefusedError as error:
        refused(error)
        return
    assert 1 <= len(items) <= batch.MAX_ITEMS
    for item in items:
        try:
            check(item)
        except RefusedError as error:
            refused(error)


LENGTHS = st.one_of(
    st.integers(-5, 5000).map(lambda number: str(number).encode()),
    NASTY.map(lambda text: text.encode()[:5000]),
    st.binary(max_size=8),
    st.sampled_from([b"9" * 5000, b"1_0", b" 5", b"+5", b"\xb2"]),
)
#: No deadline that a slow machine keeps at times.
_FLOATS = st.floats().filter(lambda number: not 1e-9 < number < 10)
SECONDS = st.one_of(
    _FLOATS.map(lambda number: str(number).encode()), LENGTHS, st.sampled_from([b"1e-320", b"1_0", b"0x10"])
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just(b"content-length"), LENGTHS),
        st.tuples(st.just(b"x-request-timeout"), SECONDS),
        st.tuples(st.just(b"x-request-id"), st.binary(max_size=200)),
        st.tuples(st.just(b"authorization"), st.binary(max_size=40) | st.just(f"Bearer {SECRET}".encode())),
        st.tuples(st.binary(min_size=1, max_size=8), st.binary(max_size=8)),
    ),
    max_size=5,
)
PATHS = st.sampled_from(["/generate", "/v1/models", "/health", "/metrics", "//generate", "/generate/", ""]) | TEXT
#: Mostly what is served, so that the rest of the request is looked at.
LINES_ASKED = st.one_of(
    st.sampled_from([("POST", "/generate"), ("POST", "/v1/completions"), ("GET", "/v1/models"), ("GET", "/health")]),
    st.tuples(st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "get", ""]), PATHS),
)
ADMISSIONS = st.sampled_from([Admission.SERVING, Admission.SERVING, *Admission])
CHUNKS = st.lists(st.binary(max_size=40) | st.just(b"x" * 3000), max_size=4)


async def ask(guard: Guard, scope: dict[str, Any], chunks: list[bytes]) -> list[Message]:
    """What the guard sends to a client that sends `chunks` and then goes."""
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await guard(scope, receive, send)
    return sent


async def reads_all(_scope: Any, receive: Any, send: Any) -> None:
    """An application that answers once it has the body."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@fuzzed(
    "the guard",
    LINES_ASKED,
    HEADERS,
    CHUNKS,
    ADMISSIONS,
    st.sampled_from([None, None, None, Path("/nonexistent/keys")]),
    share=2,
)
def test_every_request_gets_one_whole_answer(
    metrics: Metrics,
    asked: tuple[str, str],
    headers: list[tuple[bytes, bytes]],
    chunks: list[bytes],
    admission: Admission,
    key_file: Path | None,
) -> None:
    method, path = asked

    async def run() -> list[Message]:
        gate = Gate(metrics)
        gate.admission = admission
        keys = ApiKeys(key_file) if key_file else None
        guard = Guard(reads_all, gate=gate, keys=keys, request_timeout_seconds=30.0, metrics=metrics, body_limit=4096)
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": ("10.0.0.1", 1)}
        return await ask(guard, scope, chunks)

    sent = asyncio.run(run())

    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1
    assert starts[0]["status"] in {200, 400, 401, 404, 405, 413, 503, 504}  # 504: a deadline of next to nothing
    assert [message.get("more_body", False) for message in sent if message["type"] == "http.response.body"][-1:] == [
        False
    ]
    given = b"".join(message.get("body", b"") for message in sent)
    assert SECRET.encode() not in given + repr(starts).encode()
    if key_file and (method, path) != ("GET", "/health"):
        assert starts[0]["status"] == 401
    if starts[0]["status"] == 200 and path != "/health":
        assert sum(map(len, chunks)) <= 4096


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


LINES = st.lists(st.binary(max_size=6) | st.sampled_from([b"", b" ", b"a b", b"key\r", b"\xff\xfe"]), max_size=5)


@fuzzed(
    "the file of keys",
    LINES,
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    st.binary(max_size=6),
    st.sampled_from([b"Bearer ", b"bearer  ", b"Basic ", b""]),
)
def test_a_key_is_accepted_if_it_is_a_line(
    folder: Path, lines: list[bytes], end: bytes, other: bytes, scheme: bytes
) -> None:
    file = folder / "keys"
    file.unlink(missing_ok=True)
    file.write_bytes(end.join(lines))
    keys = ApiKeys(file)
    known = {line.strip() for line in end.join(lines).splitlines()} - {b""}

    assert all(keys.caller(b"Bearer " + key) for key in known)
    assert keys.caller(None) is None
    assert keys.caller(b"Bearer ") is None
    if scheme.strip().lower() == b"bearer":
        assert (keys.caller(scheme + other) is not None) == (other.strip() in known)
    else:
        assert keys.caller(scheme + b"Bearer" + other) is None
