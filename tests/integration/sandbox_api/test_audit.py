"""The audit log has the fields of Kubernetes' audit events."""

import asyncio
import json
from pathlib import Path

import aiohttp

from aiapi_sandbox.apiserver.audit import AuditLog
from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.storage.store import Store

PODS = "/api/v1/namespaces/default/pods"


def _read(log: Path) -> list[str]:
    return log.read_text().splitlines()


async def has_lines(log: Path, count: int) -> list[str]:
    """Read `count` lines. A line is written after the response, so the client may be faster."""
    async with asyncio.timeout(20):
        while len(lines := _read(log)) < count:  # noqa: ASYNC110 - a file has no events
            await asyncio.sleep(0.01)
    return lines


async def test_one_line_per_request(tmp_path: Path) -> None:
    server = ApiServer(Store(), audit=AuditLog(tmp_path / "audit.log"))
    server.authenticator.add("t", "system:serviceaccount:a:b")
    await server.start()
    own = {"Authorization": "Bearer t"}
    asked = [("GET", PODS, own), ("GET", f"{PODS}/x/status", own), ("DELETE", PODS, own)]
    asked += [("GET", "/apis", own), ("POST", PODS, {})]
    try:
        async with aiohttp.ClientSession(server.url) as http:
            for count, (method, path, headers) in enumerate(asked, start=1):
                async with http.request(method, path, headers=headers):
                    pass
                await has_lines(tmp_path / "audit.log", count)
            async with http.get(PODS, params={"watch": "1", "timeoutSeconds": "1"}, headers=own):
                lines = await has_lines(tmp_path / "audit.log", 6)
    finally:
        await server.stop()
    events = [json.loads(line) for line in lines]
    pods = {"resource": "pods", "namespace": "default", "apiVersion": "v1"}
    assert [(e["verb"], e.get("responseStatus", {}).get("code")) for e in events] == [
        ("list", 200),
        ("get", 404),
        ("deletecollection", 200),
        ("get", 200),
        ("create", 401),
        ("watch", None),
    ]
    assert events[0]["objectRef"] == pods
    assert events[1]["objectRef"] == {**pods, "name": "x", "subresource": "status"}
    assert "objectRef" not in events[3]
    users = [event["user"]["username"] for event in events]
    assert users == [*["system:serviceaccount:a:b"] * 4, "system:anonymous", users[0]]
    assert events[5]["stage"] == "RequestReceived"
