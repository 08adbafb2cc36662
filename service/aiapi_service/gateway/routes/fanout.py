"""Many completions in one request, run concurrently in one worker."""

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
    summary="Complete many chats",
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
    """Send one prompt to several models, or several prompts to one model.

    The status is 200 even if items fail: each item has a completion or a problem. Each item counts
    as one request for the rate limit.
    """
    settings = services.settings
    body = await read_json(request, FanoutRequest, settings)
    items = body.items()
    if services.rate_limiter is not None:
        await services.rate_limiter.take_remaining(request, principal, len(items))
    seconds = min(body.timeout or settings.fanout_timeout, settings.fanout_timeout)
    work = _complete_all(services.upstreams, items, seconds)
    return await run_until_disconnect(request, work)


async def _complete_all(
    upstreams: UpstreamClient, items: list[dict[str, Any]], seconds: float
) -> Response:
    began = monotonic()
    with step("fanout"):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_complete(upstreams, item, seconds)) for item in items]
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


async def _complete(
    upstreams: UpstreamClient, item: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Complete one item. Never raises for upstream errors, which would fail the other items."""
    began = monotonic()
    completion = problem = None
    try:
        deadline = asyncio.get_running_loop().time() + seconds
        completion = await upstreams.chat(item, deadline=deadline)
        # A number too large for JSON would fail the whole response.
        json.dumps(completion, allow_nan=False)
    except ProblemError as error:
        problem = error.body()
    except ValueError:
        completion = None
        problem = failures.broken("an upstream returned a number that is not valid in JSON").body()
    return {
        "model": item["model"],
        "seconds": round(monotonic() - began, 6),
        "completion": completion,
        "problem": problem,
    }
