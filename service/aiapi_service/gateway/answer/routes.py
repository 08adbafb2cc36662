"""``/v1/answer`` and ``/v1/chats``."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.answer.chain import AnswerChain, no_chat
from aiapi_service.gateway.answer.schemas import EXAMPLE, Answer, AnswerRequest, Chat
from aiapi_service.gateway.answer.steps import TimedAuthentication, steps_of
from aiapi_service.gateway.answer.store import ChatStore
from aiapi_service.gateway.body import read_json
from aiapi_service.gateway.disconnect import run_until_disconnect
from aiapi_service.gateway.documents.routes import DatabaseDep
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import responses
from aiapi_service.gateway.services import ServicesDep

router = APIRouter(tags=["answers"])

Caller = Annotated[Principal, require("answer")]
_MAX_TURNS = 100


@router.post(
    "/v1/answer",
    summary="Answer a question",
    response_model=Answer,
    response_model_exclude_none=True,
    responses=responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504),
    openapi_extra=json_body(AnswerRequest, EXAMPLE),
)
async def answer(
    request: Request,
    services: ServicesDep,
    caller: Annotated[Principal, require("answer", caller=TimedAuthentication())],
    store: DatabaseDep,
    timings: Annotated[bool, Query(description="Include the timings of the steps.")] = False,
) -> Response:
    """Answer a question from the tenant's documents, and store both in a chat."""
    steps = steps_of(request)
    settings = services.settings
    question = await read_json(request, AnswerRequest, settings)
    chain = AnswerChain(
        settings=settings, store=store, embedder=services.embedder, upstreams=services.upstreams
    )

    async def work() -> Response:
        found = await chain.answer(question, caller, steps)
        if timings or question.timings:
            found = found.model_copy(update={"timings": steps.all_times()})
        return JSONResponse(found.model_dump(mode="json", exclude_none=True))

    return await run_until_disconnect(request, work())


@router.get(
    "/v1/chats/{id}", summary="Get a chat", responses=responses(401, 403, 404, 422, 429, 503)
)
async def chat(id: UUID, caller: Caller, store: DatabaseDep) -> Chat:  # noqa: A002 - the path's
    """Get a chat of the caller with its latest turns."""
    found = await ChatStore(store).read(id, caller, turns=_MAX_TURNS)
    if found is None:
        raise no_chat()
    return found


@router.delete(
    "/v1/chats/{id}",
    summary="Delete a chat",
    status_code=204,
    responses=responses(401, 403, 404, 422, 429, 503),
)
async def delete(id: UUID, caller: Caller, store: DatabaseDep) -> Response:  # noqa: A002 - as above
    """Delete a chat of the caller with all of its turns."""
    if not await ChatStore(store).delete(id, caller):
        raise no_chat()
    return Response(status_code=204)
