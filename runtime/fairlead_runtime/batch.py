"""POST /generate/batch: a list of /generate's requests in, a list of their answers out, in the same order.

The list has status 200, and each item its own answer or its own error. A deadline or a drain ends what is not finished; what is
keeps its answer.
"""

import asyncio
import dataclasses
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fairlead_runtime.exchange import EARLY_END
from fairlead_runtime.generate import Origin, TextEngine, complete, refused_response, while_connected
from fairlead_runtime.generate_schema import GenerateAnswer, GenerateRequest, check
from fairlead_runtime.refusals import Refusal, RefusedError, bad_request, internal_error

logger = logging.getLogger(__name__)

#: Requests in one batch. Their text is bounded by the size of a body.
MAX_ITEMS = 512
#: Requests of one batch that are in the engine at a time: enough to fill its steps, and room for other callers between them.
CONCURRENT_ITEMS = 32


class ItemError(BaseModel):
    """As /generate refuses, and the HTTP status that it would have."""

    message: str
    type: str
    param: str | None = Field(description="The field that must change, with its item: `[3].max_tokens`.")
    code: str
    status: int
    retry_after: int | None = Field(default=None, description="Seconds after which the item may succeed, if it may.")


class FailedItem(BaseModel):
    """What stands in the place of an answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": "max_tokens: Input should be greater than or equal to 1.",
                        "type": "invalid_request_error",
                        "param": "[1].max_tokens",
                        "code": "invalid_value",
                        "status": 400,
                    }
                }
            ]
        }
    )

    error: ItemError


Answer = GenerateAnswer | FailedItem
_ANSWERS = TypeAdapter(list[Answer])
_LIST = TypeAdapter(Annotated[list[Any], Field(min_length=1, max_length=MAX_ITEMS)])


def router(engine: TextEngine) -> APIRouter:
    """The route, bound to an engine that is up, behind the guard."""

    async def generate_batch(request: Request) -> Response:
        try:
            items = parse(await request.body())
        except RefusedError as refused:
            return refused_response(refused)
        ended: asyncio.Future[Refusal] = request.scope["extensions"][EARLY_END]()
        return await while_connected(request, _answered(engine, items, Origin.of(request), ended))

    routes = APIRouter()
    schema = {
        "type": "array",
        "items": GenerateRequest.model_json_schema(),
        "minItems": 1,
        "maxItems": MAX_ITEMS,
        "examples": [[{"prompt": "What is a fairlead?"}, {"prompt": "What is a bollard?", "max_tokens": 32}]],
    }
    routes.add_api_route(
        "/generate/batch",
        generate_batch,
        methods=["POST"],
        response_model=None,
        summary="Text for many prompts",
        description="Each item is answered or refused by itself, in its own place. `stream` is refused.",
        responses={200: {"model": list[Answer], "description": "An answer or an error for each item, in their order."}},
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}},
    )
    return routes


def parse(body: bytes) -> list[Any]:
    """The items, not yet looked at. Raises RefusedError when the body is not a list of a length that is taken."""
    try:
        return _LIST.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise bad_request(f"The body is not JSON: {first['msg']}.", param=None, code="invalid_json") from None
        message = {
            "too_short": "The list is empty; send at least one request.",
            "too_long": f"The list has more than {MAX_ITEMS} requests; send them as several batches.",
        }.get(first["type"], "The body must be a JSON list of requests, each as POST /generate takes it.")
        raise bad_request(message, param=None) from None


async def _answered(engine: TextEngine, items: list[Any], origin: Origin, ended: "asyncio.Future[Refusal]") -> Response:
    """Once all items are answered, or with what `ended` says in the place of those that are not."""
    answers: list[Answer | None] = [None] * len(items)
    waiting = iter(enumerate(items))

    async def work() -> None:
        for index, item in waiting:
            answers[index] = await _answer(engine, item, index, origin)

    async def work_side_by_side() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENT_ITEMS, engine.max_num_seqs, len(items))):
                group.create_task(work())

    working: asyncio.Future[Any] = asyncio.ensure_future(work_side_by_side())
    try:
        await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        await asyncio.wait({working})
    if working.done() and not working.cancelled():
        working.result()
    missing = _failed(ended.result() if ended.done() else internal_error())
    told = [answer or missing for answer in answers]
    return Response(_ANSWERS.dump_json(told), media_type="application/json")


async def _answer(engine: TextEngine, item: object, index: int, origin: Origin) -> Answer:
    try:
        return await complete(engine, _whole(item), origin.item(index))
    except RefusedError as refused:
        refusal = refused.refusal
        if refusal.status == 400:
            field = f".{refusal.param}" if refusal.param else ""
            refusal = dataclasses.replace(refusal, param=f"[{index}]{field}")
        return _failed(refusal)
    except Exception:
        logger.exception("Item %d of the batch %s failed", index, origin.request_id)
        return _failed(internal_error())


def _whole(item: object) -> GenerateRequest:
    asked = check(item)
    if asked.stream:
        message = "An item of a batch cannot be streamed; send it to POST /generate, or leave stream out."
        raise bad_request(message, param="stream")
    return asked


def _failed(refusal: Refusal) -> FailedItem:
    return FailedItem(error=ItemError(**refusal.error(), status=refusal.status, retry_after=refusal.retry_after))
