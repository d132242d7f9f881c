"""docs/generate.md: what it tells to send is sent, and what it shows is what comes back."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import httpx
import pytest

from fairlead_runtime.batch import CONCURRENT_ITEMS, MAX_ITEMS
from fairlead_runtime.exchange import BODY_SECONDS
from fairlead_runtime.generate import Step
from fairlead_runtime.generate_schema import DEFAULT_MAX_TOKENS, MAX_STOPS, GenerateRequest
from fairlead_runtime.guard import BODY_LIMIT_BYTES
from fairlead_runtime.request_heads import HEAD_LIMIT_BYTES, HEAD_SECONDS
from unit.runtime.serving_app import ScriptedEngine, serving

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "generate.md").read_text()
#: (command, what it prints)
EXAMPLES = re.findall(r"^```console\n\$ (curl [^\n]*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def request(command: str, values: Mapping[str, str]) -> tuple[str, dict[str, str], str]:
    """(URL, headers, body) of one curl command."""
    words = shlex.split(Template(command).substitute(values))
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    return words[2], headers, words[words.index("-d") + 1]


def shape(value: Any) -> Any:
    """Its keys, and words for its leaves."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return [shape(inner) for inner in value]
        case float():
            return "number"
        case _:
            return type(value).__name__


def printed(text: str) -> Any:
    """JSON, or the events of a stream."""
    if not text.startswith("data: "):
        return json.loads(text)
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


def test_the_page_has_examples_of_everything() -> None:
    assert len(EXAMPLES) == PAGE.count("```console") == 5


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
async def test_an_example_does_what_it_shows(tmp_path: Path, command: str, shown: str) -> None:
    (tmp_path / "keys").write_text("sesame\n")
    engine = ScriptedEngine(max_model_len=4096, steps=(Step("A fairlead ", 3), Step("guides a line.", 4, "stop")))
    async with serving(engine, keys=tmp_path / "keys") as port:
        url, headers, body = request(command, {"URL": str(port.client.base_url).rstrip("/"), "KEY": "sesame"})
        answer = await port.client.post(url, headers=headers, content=body)

    came, expected = printed(answer.text), printed(shown)
    assert shape(came) == shape(expected)
    if "text" in expected:
        assert answer.status_code == httpx.codes.OK
    elif "error" in expected:
        assert (answer.status_code, came) == (httpx.codes.BAD_REQUEST, expected)
    else:
        assert came[-1] == expected[-1]


def test_the_page_knows_every_field_and_bound() -> None:
    fields = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)

    assert fields == list(GenerateRequest.model_fields)
    assert f"{DEFAULT_MAX_TOKENS}, or what the prompt leaves" in PAGE
    assert f"up to {MAX_STOPS} texts" in PAGE
    assert f"up to {MAX_ITEMS} requests" in PAGE
    assert f"At most {CONCURRENT_ITEMS} items" in PAGE


def test_the_pages_know_how_large_a_body_may_be_and_how_slow() -> None:
    size, time = f"{BODY_LIMIT_BYTES / 2**20:g} MiB", f"{BODY_SECONDS:g} seconds"

    assert f"the body is larger than {size} |" in PAGE
    assert f"the body did not arrive within {time} |" in PAGE
    head = f"A request's head has at most {HEAD_LIMIT_BYTES / 1024:g} KiB and {HEAD_SECONDS:g} seconds to arrive"
    assert f"{head}, a body {size} and {time}." in (DOCS / "security.md").read_text()
