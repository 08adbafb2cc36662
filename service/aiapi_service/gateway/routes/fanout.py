"""Many completions at once, in one worker: they all wait together."""

import asyncio
import json
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import read_json
from aiapi_service.gateway.disconnect import run_until_disconnect
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import ProblemError, responses
from aiapi_service.gateway.schemas import examples
from aiapi_service.gateway.schemas.fanout import FanoutRequest, FanoutResponse
from aiapi_service.gateway.services import ServicesDep
from aiapi_service.gateway.steps import step
from aiapi_service.gateway.upstreams import failures
from aiapi_service.gateway.upstreams.client import UpstreamClient
from aiapi_service.gateway.upstreams.usage import TokenCounts, parse_usage

router = APIRouter(tags=["chat"])


@router.post(
    "/v1/fanout",
    summary="Complete many chats at once",
    response_model=FanoutResponse,
    responses={
        200: {"content": {"application/json": {"example": examples.FANOUT_ANSWER}}},
        **responses(400, 401, 403, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra=json_body(FanoutRequest, examples.FANOUT),
)
async def fanout(
    request: Request, services: ServicesDep, principal: Annotated[Principal, require("chat")]
) -> Response:
    """One prompt to several models, or several prompts to one.

    The answer is 200 when the request was good, whatever became of its items: each has a
    completion or a problem. Counted as many requests as it has items.
    """
    settings = services.settings
    asked = await read_json(request, FanoutRequest, settings)
    items = asked.items()
    if services.callers is not None:
        await services.callers.take_more(request, principal, len(items))
    seconds = min(asked.timeout or settings.fanout_timeout, settings.fanout_timeout)
    work = _all(services.upstreams, items, seconds)
    return await run_until_disconnect(request, work)


async def _all(upstreams: UpstreamClient, items: list[dict[str, Any]], seconds: float) -> Response:
    began = monotonic()
    with step("fanout"):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_one(upstreams, item, seconds)) for item in items]
    results = [{"index": index, **task.result()} for index, task in enumerate(tasks)]
    usages = [
        parse_usage((one["completion"] or {}).get("usage")) or TokenCounts() for one in results
    ]
    prompt, completion = sum(one.prompt for one in usages), sum(one.completion for one in usages)
    failed = sum(one["completion"] is None for one in results)
    return JSONResponse(
        {
            "object": "fanout",
            "succeeded": len(results) - failed,
            "failed": failed,
            "seconds": round(monotonic() - began, 6),
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
            "results": results,
        }
    )


async def _one(upstreams: UpstreamClient, item: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Never raises for what an upstream does: one item does not spoil the others."""
    began = monotonic()
    completion = problem = None
    try:
        deadline = asyncio.get_running_loop().time() + seconds
        completion = await upstreams.chat(item, deadline=deadline)
        # A number too large to be one cannot be sent; it would spoil the other items.
        json.dumps(completion, allow_nan=False)
    except ProblemError as error:
        problem = error.body()
    except ValueError:
        completion = None
        problem = failures.broken("an upstream answered a number that is none").body()
    return {
        "model": item["model"],
        "seconds": round(monotonic() - began, 6),
        "completion": completion,
        "problem": problem,
    }
