"""GET /openapi.json: the application's own schema cut to the allow-list, with what the guard adds to every route.

vLLM's schema describes vLLM's routes. What it does not know is the guard: the key, two headers, and refusals that come before any
route. Behind the key like everything but /health: a schema tells which engine runs here.
"""

import json
from collections.abc import Mapping
from typing import Any

from fairlead_runtime.drain import stopping
from fairlead_runtime.exchange import body_too_slow, too_large
from fairlead_runtime.guard import BODY_LIMIT_BYTES
from fairlead_runtime.guard_routes import HEALTH, ROUTES
from fairlead_runtime.rate_limit import too_many
from fairlead_runtime.refusals import Refusal, internal_error

Schema = dict[str, Any]

#: What every route but /health may answer instead: when, and for example with what.
REFUSALS: Mapping[str, tuple[str, Refusal]] = {
    "400": (
        "Something in the request must change; `param` names it.",
        Refusal(400, "X-Request-Timeout must be a number of seconds above 0.", "invalid_value", "X-Request-Timeout"),
    ),
    "401": (
        "No valid key, where the service has one.",
        Refusal(401, "A valid API key is needed: send the header `Authorization: Bearer KEY`.", "invalid_api_key"),
    ),
    "408": ("The body did not arrive in time.", body_too_slow()),
    "413": (
        "The body is too large.",
        too_large(BODY_LIMIT_BYTES),
    ),
    "429": (
        "This key's rate limit is reached, where the service has one.",
        too_many(10, 20, wait=1),
    ),
    "500": (
        "The engine or the server failed.",
        internal_error(),
    ),
    "503": (
        "Not ready, stopping or full; the same request may succeed elsewhere or later.",
        stopping(),
    ),
    "504": (
        "The deadline has passed; the engine has stopped working on the request.",
        Refusal(
            504,
            "The request took longer than its deadline of 300 s; ask for fewer tokens or raise the deadline.",
            "deadline_exceeded",
        ),
    ),
}

ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}

HEADERS: Mapping[str, Schema] = {
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Comes back with the answer and is the name of the request in the engine's log. One is made when it is absent.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"},
    },
    "RequestTimeout": {
        "name": "X-Request-Timeout",
        "in": "header",
        "description": "Seconds; lowers the service's deadline for this request.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
}


#: Answered by the guard, and by the framework: no application describes them.
OWN_ROUTES: Mapping[str, Schema] = {
    HEALTH[1]: {
        "summary": "Whether this replica takes requests",
        "description": "The one route without a key. The same as /readyz on the management port.",
        "security": [],
        "responses": {
            "200": {"description": "It does."},
            "503": {"$ref": "#/components/responses/Refusal503"},
        },
    },
    "/openapi.json": {
        "summary": "This schema",
        "responses": {
            "200": {"description": "The schema.", "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    },
}


def served(schema: Mapping[str, Any], engine: str) -> Schema:
    """`schema`, the application's, with exactly those of its routes that the guard lets through, as the guard lets them through.

    `engine` is vLLM's version: nearly all routes are its own.
    """
    info = {
        "title": "fairlead",
        "version": engine,
        "description": f"What one replica answers; its engine is vLLM {engine}.",
    }
    paths: Schema = {}
    for path, method in ROUTES.items():
        verb = method.lower()
        operation = OWN_ROUTES.get(path) or schema["paths"].get(path, {}).get(verb)
        if operation is not None:
            paths[path] = {verb: operation if (method, path) == HEALTH else _guarded(operation)}
    own: Mapping[str, Schema] = {
        "schemas": {"Refusal": ERROR},
        "responses": {f"Refusal{status}": _response(*refusal) for status, refusal in REFUSALS.items()},
        "parameters": dict(HEADERS),
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    components = dict(schema.get("components", {}))
    for kind, entries in own.items():
        components[kind] = {**components.get(kind, {}), **entries}
    return {**schema, "info": info, "paths": paths, "components": components, "security": [{"key": []}]}


def _guarded(operation: Schema) -> Schema:
    parameters = [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS]
    responses = dict(operation["responses"])
    for status in REFUSALS:
        responses.setdefault(status, {"$ref": f"#/components/responses/Refusal{status}"})
    parameters = [*operation.get("parameters", ()), *parameters]
    return {**operation, "parameters": parameters, "responses": responses}


def _response(when: str, example: Refusal) -> Schema:
    content = {"schema": {"$ref": "#/components/schemas/Refusal"}, "example": json.loads(example.body())}
    headers = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}} if example.retry_after else {}
    return {"description": when, "headers": headers, "content": {"application/json": content}}
