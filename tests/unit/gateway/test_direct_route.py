"""Direct routes still require and enforce authentication."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.security import SecurityScopes
from fastapi.testclient import TestClient

from aiapi_service.gateway import problems
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.problems import ProblemError


async def caller(request: Request, required: SecurityScopes) -> str:
    if request.headers.get("x-name") != "me":
        raise ProblemError(
            401, "unauthenticated", "Authentication is required", f"requires {required.scope_str}"
        )
    return "me"


async def hello(_request: Request, who: Annotated[str, Security(caller, scopes=["chat"])]) -> Any:
    return Response(f"hello {who}")


async def test_it_enforces_its_security_dependency() -> None:
    app = FastAPI()
    problems.install(app)
    router = APIRouter(route_class=DirectRoute)
    router.add_api_route("/hello", hello, methods=["GET"])
    app.router.routes.extend(router.routes)
    client = TestClient(app)
    assert client.get("/hello", headers={"x-name": "me"}).text == "hello me"
    refused = client.get("/hello")
    assert (refused.status_code, refused.json()["detail"]) == (401, "requires chat")
    assert client.post("/hello").json()["status"] == 405


async def test_a_route_without_require_is_an_error() -> None:
    async def unprotected(_request: Request) -> Any:
        raise AssertionError

    with pytest.raises(TypeError, match="must declare require"):
        DirectRoute("/x", unprotected)
