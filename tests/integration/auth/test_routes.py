"""Every route of the gateway authenticates, except for the listed public ones."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from store_support.service import service

from aiapi_service.auth.dependency import AuthenticationDependency
from aiapi_service.auth.principal import SCOPES
from aiapi_service.gateway.app import create_app
from aiapi_service.gateway.settings import GatewaySettings

PUBLIC = {
    "/": "status",
    "/docs": "the documentation",
    "/redoc": "the documentation",
    "/docs/{name}": "files of the documentation",
    "/openapi.json": "the documentation",
    "/v1/auth/token": "callers have no token yet",
    "/v1/auth/revoke": "the token is in the form",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    data_dir = tmp_path_factory.mktemp("data")
    return create_app(GatewaySettings(data_dir=data_dir, local="off"))


def _routes(routes: Iterator[BaseRoute] | list[BaseRoute]) -> Iterator[BaseRoute]:
    """All routes, including those of included routers."""
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        nested = getattr(inner, "routes", None)
        if nested and not isinstance(route, APIRoute):
            yield from _routes(nested)
        else:
            yield route


def _authenticates(dependant: Dependant) -> bool:
    return isinstance(dependant.call, AuthenticationDependency) or any(
        map(_authenticates, dependant.dependencies)
    )


def test_every_route_authenticates_except_public_ones(app: FastAPI) -> None:
    found = list(_routes(app.routes))
    paths = {getattr(route, "path", None) for route in found}
    assert {"/v1/chat/completions", "/v1/answer", "/v1/documents"} <= paths
    assert paths >= set(PUBLIC), "all listed routes exist"
    for route in found:
        path = getattr(route, "path", "")
        protected = isinstance(route, APIRoute) and _authenticates(route.dependant)
        assert protected != (path in PUBLIC), f"{path} is {'protected' if protected else 'public'}"


def test_the_openapi_document_has_both_schemes_and_all_scopes(app: FastAPI) -> None:
    document = app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes["password"]["flows"]["password"]["scopes"] == SCOPES
    assert schemes["bearer"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            schemes_of_route = [set(one) for one in operation.get("security", [])]
            assert schemes_of_route == ([] if path in PUBLIC else [{"password"}, {"bearer"}]), path
            if schemes_of_route and path != "/v1/auth/me":
                assert operation["security"][0]["password"], f"{path} has no scope"


async def test_every_protected_route_returns_401_without_a_token(
    app: FastAPI, tmp_path: Path
) -> None:
    async with service(tmp_path) as one:
        app.state.services = one.app.state.services
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            for path, operations in app.openapi()["paths"].items():
                for method in operations:
                    if path in PUBLIC:
                        continue
                    answer = await client.request(method, path.replace("{id}", "x"), content=b"{}")
                    assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.parametrize(("trusted", "statuses"), [("10.0.0.1", {429}), ("127.0.0.1", {400})])
async def test_forwarded_addresses_are_used_from_trusted_proxies_only(
    database_url: str, tmp_path: Path, trusted: str, statuses: set[int]
) -> None:
    limits: dict[str, Any] = {"auth_address_burst": 2, "auth_address_seconds": 1000}
    async with service(tmp_path, database_url, **limits) as one:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            one.app, log_level="warning", lifespan="off", forwarded_allow_ips=trusted
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/auth/token"
        form = {"grant_type": "password", "username": "nobody", "password": "x"}
        last = 0
        async with aiohttp.ClientSession() as client:
            for number in range(3):
                headers = {"X-Forwarded-For": f"203.0.113.{number}"}
                async with client.post(url, data=form, headers=headers) as answer:
                    last = answer.status
        server.should_exit = True
        await asyncio.wait_for(serving, 20)
        listener.close()
    assert {last} == statuses
