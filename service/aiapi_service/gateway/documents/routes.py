"""``/v1/documents``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import read_json
from aiapi_service.gateway.documents import cursor as cursors
from aiapi_service.gateway.documents.schemas import (
    PUT_EXAMPLE,
    SEARCH_EXAMPLE,
    Document,
    DocumentIn,
    DocumentPage,
    Id,
    PutDocuments,
    PutDocumentsResponse,
    SearchRequest,
    SearchResponse,
)
from aiapi_service.gateway.documents.store import DocumentStore, validate_vectors
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import FieldError, ProblemError, responses
from aiapi_service.gateway.services import ServicesDep
from aiapi_service.gateway.steps import step
from aiapi_service.store.database import Database

router = APIRouter(tags=["documents"])

_BODY = (400, 401, 403, 408, 413, 415, 422, 429, 502, 503, 504)
_PLAIN = (401, 403, 422, 429, 503)


def no_database() -> ProblemError:
    """No database is configured."""
    return ProblemError(
        503,
        "no-database",
        "No database is configured",
        "Set AIAPI_DATABASE_URL to a Postgres with pgvector, or install aiapi[local] and run "
        "aiapi-serve.",
    )


async def database(services: ServicesDep) -> Database:
    """The database of the worker; raises a problem when there is none."""
    if services.store is None:
        raise no_database()
    return services.store


DatabaseDep = Annotated[Database, Depends(database)]
Reader = Annotated[Principal, require("documents:read")]
Writer = Annotated[Principal, require("documents:write")]


@router.put(
    "/v1/documents",
    summary="Store documents",
    response_model=PutDocumentsResponse,
    responses=responses(*_BODY),
    openapi_extra=json_body(PutDocuments, PUT_EXAMPLE),
)
async def put(
    request: Request, services: ServicesDep, principal: Writer, store: DatabaseDep
) -> PutDocumentsResponse:
    """Store documents, all or none. A document replaces an existing one with the same id."""
    settings = services.settings
    body = await read_json(request, PutDocuments, settings)
    documents = _unique(body.documents)
    with step("embed"):
        found = await services.embedder.embed([one.content for one in documents])
    with step("store"):
        vectors = validate_vectors(found.vectors, found.model)
        await DocumentStore(store).put(principal.tenant, documents, vectors)
    return PutDocumentsResponse(
        ids=[one.name for one in body.documents], model=found.model, tokens=found.tokens
    )


def _unique(documents: list[DocumentIn]) -> list[DocumentIn]:
    """Each document once. Two different ones with the same id are an error."""
    known: dict[str, DocumentIn] = {}
    for index, one in enumerate(documents):
        first = known.setdefault(one.name, one)
        if (first.content, first.metadata) != (one.content, one.metadata):
            where = f"documents[{index}]"
            what = "has the same id as an earlier document, and other content or metadata"
            raise ProblemError(
                422,
                "invalid-request",
                "The request is not valid",
                f"{where} {what}",
                errors=[FieldError(where, what)],
            )
    return list(known.values())


@router.get("/v1/documents", summary="List documents", responses=responses(*_PLAIN))
async def page(
    principal: Reader,
    store: DatabaseDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str, Query(max_length=256)] = "",
) -> DocumentPage:
    """List the tenant's documents by id, in pages."""
    after = cursors.decode(cursor)
    found = await DocumentStore(store).page(principal.tenant, after=after, limit=limit + 1)
    more = len(found) > limit
    found = found[:limit]
    return DocumentPage(data=found, next_cursor=cursors.encode(found[-1].id) if more else None)


@router.post(
    "/v1/documents/search",
    summary="Search documents",
    response_model=SearchResponse,
    responses=responses(*_BODY),
    openapi_extra=json_body(SearchRequest, SEARCH_EXAMPLE),
)
async def search(
    request: Request, services: ServicesDep, principal: Reader, store: DatabaseDep
) -> SearchResponse:
    """Find the tenant's documents that are nearest in meaning to a text."""
    settings = services.settings
    body = await read_json(request, SearchRequest, settings)
    with step("embed"):
        found = await services.embedder.embed([body.query])
    with step("search"):
        query = validate_vectors(found.vectors, found.model)[0]
        hits = await DocumentStore(store).search(
            principal.tenant, query, limit=body.limit, metadata=body.filter
        )
    return SearchResponse(data=hits, model=found.model)


@router.get("/v1/documents/{id}", summary="Get a document", responses=responses(404, *_PLAIN))
async def get(id: Id, principal: Reader, store: DatabaseDep) -> Document:  # noqa: A002 - the path's
    """One document of the tenant."""
    found = await DocumentStore(store).get(principal.tenant, id)
    if found is None:
        raise _not_found(id)
    return found


@router.delete(
    "/v1/documents/{id}",
    summary="Delete a document",
    status_code=204,
    responses=responses(404, *_PLAIN),
)
async def delete(id: Id, principal: Writer, store: DatabaseDep) -> Response:  # noqa: A002 - as above
    """One document of the tenant."""
    if not await DocumentStore(store).delete(principal.tenant, id):
        raise _not_found(id)
    return Response(status_code=204)


def _not_found(name: str) -> ProblemError:
    detail = f"Document {name} does not exist."
    return ProblemError(404, "no-document", "No such document", detail)
