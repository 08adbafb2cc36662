"""The bundled app: an OpenAI-compatible gateway with authentication, embeddings and documents.

``create_app`` builds the app for given settings. ``app`` is the default app of ``aiapi-serve``,
built from the environment on first use.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from aiapi_service.auth import routes as auth
from aiapi_service.gateway import docs_ui, openapi, problems
from aiapi_service.gateway.answer import routes as answer
from aiapi_service.gateway.documents import routes as documents
from aiapi_service.gateway.embedder import load_local
from aiapi_service.gateway.middleware import RequestMiddleware
from aiapi_service.gateway.routes import (
    about,
    chat,
    completions,
    embeddings,
    fanout,
    models,
    pass_through,
    responses,
)
from aiapi_service.gateway.services import open_services
from aiapi_service.gateway.settings import GatewaySettings, load
from aiapi_service.gateway.version import VERSION

ROUTERS = (
    chat.router,
    about.router,
    completions.router,
    responses.router,
    fanout.router,
    embeddings.router,
    models.router,
    auth.router,
    documents.router,
    answer.router,
    docs_ui.router,
    pass_through.router,
)

PUBLIC_PATHS = frozenset({"/", "/docs", "/redoc", "/docs/{name}", "/openapi.json"})
"""Public routes. A test checks that all other routes declare their scopes."""


def create_app(settings: GatewaySettings) -> FastAPI:
    """Build the app. Slow work happens here, before workers are forked."""
    embedder = load_local(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, local_embedder=embedder) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="aiapi gateway",
        version=VERSION,
        summary="An OpenAI-compatible gateway, right-sized by aiapi-operator.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.add_middleware(RequestMiddleware)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    problems.install(app)
    for router in ROUTERS:
        # Flat: include_router would add a lookup in each router to every request.
        app.router.routes.extend(router.routes)
    app.openapi = lambda: openapi.openapi_document(app)  # type: ignore[method-assign]
    return app


def _allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Outermost, so that errors have the headers too. Pages send keys, never cookies."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"],
    )


def __getattr__(name: str) -> Any:
    """``app``, on first use: importing this module reads no environment."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()["app"] = create_app(load())
    return found
