"""Routes that go past FastAPI's injection still say who may call them, and hold to it."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.security import SecurityScopes
from fastapi.testclient import TestClient

from aiapi_service.gateway import problems
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.problems import ProblemError


async def caller(request: Request, wanted: SecurityScopes) -> str:
    if request.headers.get("x-name") != "me":
        raise ProblemError(401, "unauthenticated", "Who are you?", f"needs {wanted.scope_str}")
    return "me"


async def hello(_request: Request, who: Annotated[str, Security(caller, scopes=["chat"])]) -> Any:
    return Response(f"hello {who}")


async def test_it_lets_in_whom_its_dependency_lets_in() -> None:
    app = FastAPI()
    problems.install(app)
    router = APIRouter(route_class=DirectRoute)
    router.add_api_route("/hello", hello, methods=["GET"])
    app.router.routes.extend(router.routes)
    client = TestClient(app)
    assert client.get("/hello", headers={"x-name": "me"}).text == "hello me"
    refused = client.get("/hello")
    assert (refused.status_code, refused.json()["detail"]) == (401, "needs chat")
    assert client.post("/hello").json()["status"] == 405


async def test_a_route_that_says_nobody_is_no_route() -> None:
    async def nobody(_request: Request) -> Any:
        raise AssertionError

    with pytest.raises(TypeError, match="declares 0 times who may call it"):
        DirectRoute("/x", nobody)
