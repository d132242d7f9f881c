"""The served schema: the whole allow-list, nothing else, and examples that hold."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI

from fairlead_runtime import openapi
from fairlead_runtime.batch import parse as parse_batch
from fairlead_runtime.generate_schema import check, parse
from fairlead_runtime.guard_routes import HEALTH, ROUTES
from unit.runtime.serving_app import ScriptedEngine, application, serving

OURS = ("/generate", "/generate/batch")


def full_application() -> FastAPI:
    """Every route of the allow-list, as vLLM's application has them, and one that is not on it."""
    app = application(ScriptedEngine(), [])
    there = application(ScriptedEngine(), []).openapi()["paths"]

    async def answer() -> None:
        """Nothing."""

    for path, method in ROUTES.items():
        if path not in there:
            app.add_api_route(path, answer, methods=[method])
    return app


@pytest.fixture(scope="module")
def schema() -> Mapping[str, Any]:
    return openapi.served(full_application().openapi(), "0.22.0")


def resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a $ref points to. Raises KeyError when it points nowhere."""
    found: Any = schema
    for step in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        found = found[step]
    return found if "$ref" in part else part


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_says_what_it_is_of(schema: Mapping[str, Any]) -> None:
    assert (schema["info"]["title"], schema["info"]["version"]) == ("fairlead", "0.22.0")


@pytest.mark.parametrize(("path", "method"), ROUTES.items())
def test_every_route_of_the_allow_list_is_documented_with_what_the_guard_adds(
    schema: Mapping[str, Any], path: str, method: str
) -> None:
    operation = schema["paths"][path][method.lower()]

    assert operation["summary"]
    assert "200" in operation["responses"]
    if (method, path) == HEALTH:
        assert operation["security"] == []
        assert set(operation["responses"]) == {"200", "503"}
        return
    assert "security" not in operation
    assert {"400", "401", "413", "429", "500", "503", "504"} <= set(operation["responses"])
    names = {resolved(schema, parameter)["name"] for parameter in operation["parameters"]}
    assert names == {"X-Request-Id", "X-Request-Timeout"}


def test_nothing_else_is_documented(schema: Mapping[str, Any]) -> None:
    assert {(path, verb.upper()) for path, item in schema["paths"].items() for verb in item} == set(ROUTES.items())
    assert "/collective_rpc" in full_application().openapi()["paths"]


def test_a_route_that_the_application_does_not_have_is_not_promised() -> None:
    assert set(openapi.served(application(ScriptedEngine(), []).openapi(), "0.22.0")["paths"]) < set(ROUTES)


def test_all_references_lead_somewhere(schema: Mapping[str, Any]) -> None:
    found = set(references(schema))

    assert len(found) > 10
    for reference in found:
        resolved(schema, {"$ref": reference})


@pytest.mark.parametrize("path", OURS)
def test_the_examples_of_our_requests_are_taken(schema: Mapping[str, Any], path: str) -> None:
    content = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]

    for example in content["examples"]:
        jsonschema.validate(example, content)
        if path == "/generate":
            parse(json.dumps(example).encode())
        else:
            for item in parse_batch(json.dumps(example).encode()):
                check(item)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/generate", {"prompt": "how is it"}, id="an answer"),
        pytest.param("/generate/batch", [{"prompt": "how is it"}, {"prompt": ""}], id="an answer and an error"),
    ],
)
async def test_our_answers_are_as_described(schema: Mapping[str, Any], path: str, body: Any) -> None:
    described = schema["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    async with serving() as port:
        answer = (await port.client.post(path, json=body)).json()

    jsonschema.validate(answer, {**described, "components": schema["components"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"text": 1}, {**described, "components": schema["components"]})


def test_the_examples_of_our_answers_are_as_described(schema: Mapping[str, Any]) -> None:
    described = schema["components"]["schemas"]

    for name in ("GenerateAnswer", "FailedItem"):
        for example in described[name]["examples"]:
            jsonschema.validate(example, {**described[name], "components": schema["components"]})


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param("401", {"Authorization": ""}, id="no key"),
        pytest.param("400", {"X-Request-Timeout": "soon"}, id="no deadline"),
    ],
)
async def test_refusals_look_like_their_examples(
    schema: Mapping[str, Any], tmp_path: Path, status: str, headers: Mapping[str, str]
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sesame\n")
    described = schema["components"]["responses"][f"Refusal{status}"]["content"]["application/json"]
    async with serving(keys=keys) as port:
        answer = await port.client.get("/v1/models", headers={"Authorization": "Bearer sesame", **headers})

    assert str(answer.status_code) == status
    assert answer.json() == described["example"]
    jsonschema.validate(answer.json(), {**described["schema"], "components": schema["components"]})
