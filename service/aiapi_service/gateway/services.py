"""What the routes stand on: opened once a worker, read by dependencies, never changed."""

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
    """One worker's."""

    settings: GatewaySettings
    upstreams: UpstreamClient
    embedder: Embedder
    store: Database | None
    auth: Auth
    callers: CallerRateLimiter | None = None
    """How often each caller may call; None: as often as they like."""


@asynccontextmanager
async def open_services(
    settings: GatewaySettings, *, local_embedder: LocalEmbedder | None = None
) -> AsyncIterator[Services]:
    """In order of need; closed in the opposite one."""
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
            callers=await stack.enter_async_context(open_rate_limiter(settings, store)),
        )


def services_of(request: Request) -> Services:
    """For routes that are called often: a dependency costs more than all else they do here."""
    found: Services = request.app.state.services
    return found


async def _services(request: Request) -> Services:
    return services_of(request)


ServicesDep = Annotated[Services, Depends(_services)]
