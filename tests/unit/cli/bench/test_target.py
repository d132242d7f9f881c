"""Which server, which route, which model."""

import pytest

from fairlead_cli.bench import BenchError
from fairlead_cli.bench.target import Api, find, reason, route
from unit.cli.bench.answering import Script, answering


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("http://host:8000", ("http://host:8000", Api.COMPLETIONS), id="an address alone"),
        pytest.param("host:8000/", ("http://host:8000", Api.COMPLETIONS), id="without a scheme"),
        pytest.param("https://host/v1", ("https://host", Api.COMPLETIONS), id="as OpenAI clients write it"),
        pytest.param("http://host/v1/completions", ("http://host", Api.COMPLETIONS), id="completions"),
        pytest.param("http://host/v1/chat/completions", ("http://host", Api.CHAT), id="chat"),
        pytest.param("http://host/generate", ("http://host", Api.GENERATE), id="generate"),
        pytest.param("http://host/team/a/v1", ("http://host/team/a", Api.COMPLETIONS), id="behind a path"),
    ],
)
def test_the_url_names_the_route(url: str, expected: tuple[str, Api]) -> None:
    assert route(url) == expected


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("ftp://host", "http://HOST:PORT", id="another scheme"),
        pytest.param("ftp://me:sesame@host", "http://HOST:PORT", id="another scheme, and credentials"),
        pytest.param("http://", "http://HOST:PORT", id="no host"),
        pytest.param("http://[::1", "http://HOST:PORT", id="an open bracket"),
        pytest.param("http://me:sesame@host:none", "http://HOST:PORT", id="no number for a port, and credentials"),
        pytest.param("http://host:70000", "http://HOST:PORT", id="a port that is too large"),
        pytest.param("http://host/v1/embeddings", "no benchmark for /v1/embeddings", id="another route"),
        pytest.param("http://me:sesame@host", "--api-key", id="credentials in the address"),
    ],
)
def test_an_address_that_is_none_is_told(url: str, told: str) -> None:
    with pytest.raises(BenchError, match="URL: ") as raised:
        route(url)

    assert told in str(raised.value)
    assert "sesame" not in str(raised.value)


async def test_the_model_is_what_the_server_serves() -> None:
    with answering(Script(models=["first", "second"])) as server:
        assert (await find(server.url, model=None)).model == "first"
        assert (await find(server.url, model="second")).model == "second"
        with pytest.raises(BenchError, match=r"--model: .* serves first, second, not third"):
            await find(server.url, model="third")


async def test_a_key_is_asked_for_sent_and_never_shown() -> None:
    with answering(Script(key="sesame")) as server:
        target = await find(server.url, model=None, key="sesame")
        with pytest.raises(BenchError, match=r"wants an API key .401.: pass one with --api-key or FAIRLEAD_API_KEY"):
            await find(server.url, model=None)
        with pytest.raises(BenchError, match="the API key was refused") as raised:
            await find(server.url, model=None, key="mesase")

    assert target.headers() == {"Authorization": "Bearer sesame"}
    assert "sesame" not in repr(target)
    assert "mesase" not in str(raised.value)


async def test_nobody_there_is_told() -> None:
    with pytest.raises(BenchError, match=r"cannot reach http://127\.0\.0\.1:1"):
        await find("http://127.0.0.1:1", model=None)


async def test_no_model_served_is_told() -> None:
    with answering(Script(models=[])) as server, pytest.raises(BenchError, match="serves no model"):
        await find(server.url, model=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"error": {"message": "too\\nlong", "code": 400}}', "too long", id="OpenAI's"),
        pytest.param('{"message": "too long"}', "too long", id="the message alone"),
        pytest.param("<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>", id="no JSON"),
        pytest.param("[1]", "[1]", id="JSON of another shape"),
    ],
)
def test_an_errors_message_is_found(text: str, expected: str) -> None:
    assert reason(text) == expected
