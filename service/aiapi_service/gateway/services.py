"""The services that routes depend on, created once per worker."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from aiapi_service.auth.factory import Auth, open_auth
from aiapi_service.auth.rate_limit import CallerRateLimiter, open_rate_limiter
from aiapi_service.gateway.embedder import Embedder
from aiapi_service.gateway.local.embedder import LocalEmbedder
from aiapi_service.gateway.settings import GatewaySettings
from aiapi_service.gateway.upstreams.client import UpstreamClient, open_upstream_client
from aiapi_service.store.database import Database, open_database


@dataclass(frozen=True)
class Services:
    """The services of one worker."""

    settings: GatewaySettings
    upstreams: UpstreamClient
    embedder: Embedder
    store: Database | None
    auth: Auth
    rate_limiter: CallerRateLimiter | None = None
    """The limit per caller; None without a limit."""


@asynccontextmanager
async def open_services(
    settings: GatewaySettings, *, local_embedder: LocalEmbedder | None = None
) -> AsyncIterator[Services]:
    """Open the services in order of dependency, and close them in reverse order."""
    async with AsyncExitStack() as stack:
        upstreams = await stack.enter_async_context(open_upstream_client(settings, settings))
        store = await stack.enter_async_context(open_database(settings))
        auth = await stack.enter_async_context(open_auth(settings, store))
        yield Services(
            settings=settings,
            upstreams=upstreams,
            embedder=Embedder(settings, upstreams, local_embedder),
            store=store,
            auth=auth,
            rate_limiter=await stack.enter_async_context(open_rate_limiter(settings, store)),
        )


def services_of(request: Request) -> Services:
    """For hot paths, where a FastAPI dependency would cost too much."""
    found: Services = request.app.state.services
    return found


async def _services(request: Request) -> Services:
    return services_of(request)


ServicesDep = Annotated[Services, Depends(_services)]
