"""An API server that redirects: the operator's credentials go nowhere else."""

import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import Unavailable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_reported_and_not_followed(tmp_path: Path, status: int) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": str(server.make_url("")).rstrip("/")}}
            ],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        connection = await Connection.open(path)
        with pytest.raises(Unavailable, match="it redirects to /elsewhere, which is not followed"):
            await connection.send(Request("GET", "/api", deadline=0.2))
        await connection.close()
    assert set(asked) == {"/api"}
