"""The API server's certificate, as all clients of the operator verify it."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from tls_support import certificates
from tls_support.certificates import Issuer

from aiapi_operator import handlers
from aiapi_operator.cli import main
from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import Untrusted
from aiapi_operator.process.health import HealthServer
from aiapi_operator.process.startup import Startup

AUTHORITIES = [
    certificates.without_key_usage,
    certificates.with_basic_constraints_not_critical,
    certificates.intermediate,
]
EVERY_AUTHORITY = pytest.mark.parametrize(
    "authority", AUTHORITIES, ids=[each.__name__ for each in AUTHORITIES]
)


@pytest.fixture(autouse=True)
def _strict_as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    make = ssl.create_default_context

    def strict(*args: Any, **options: Any) -> ssl.SSLContext:
        context = make(*args, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


@asynccontextmanager
async def serving(issuer: Issuer, trusted: Issuer, folder: Path) -> AsyncIterator[Path]:
    """An API server with a certificate of ``issuer``; yields a kubeconfig with another CA."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"gitVersion": "v1.36.2", "resources": [{"name": "aiapis"}]})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server(ssl=issuer.server_context(folder))
    try:
        yield kubeconfig(folder, f"https://127.0.0.1:{server.port}", trusted.pem)
    finally:
        await server.close()


def kubeconfig(folder: Path, url: str, ca: bytes) -> Path:
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


@EVERY_AUTHORITY
async def test_the_operator_and_the_commands_accept_what_kubectl_accepts(
    authority: Callable[[], Issuer], tmp_path: Path
) -> None:
    issuer = authority()
    async with serving(issuer, issuer, tmp_path) as path:
        connection = await Connection.open(path)
        found = await connection.send(Request("GET", "/version", deadline=2.0))
        await connection.close()
    assert found["gitVersion"] == "v1.36.2"


@EVERY_AUTHORITY
async def test_kopf_accepts_what_kubectl_accepts(
    authority: Callable[[], Issuer], tmp_path: Path
) -> None:
    issuer = authority()
    async with serving(issuer, issuer, tmp_path) as path:
        connection = await Connection.open(path)
        endpoint = await connection.endpoint()
        context = handlers._connection(endpoint).as_ssl_context()
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{endpoint.server}/version", ssl=context) as response,
        ):
            assert response.status == 200
        await connection.close()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_another_ca_is_refused_with_the_reason(tmp_path: Path) -> None:
    ours, theirs = certificates.without_key_usage(), certificates.without_key_usage()
    async with serving(theirs, ours, tmp_path) as path:
        connection = await Connection.open(path)
        with pytest.raises(Untrusted, match="the Kubernetes API's certificate is not trusted: "):
            await asyncio.wait_for(connection.send(Request("GET", "/version")), 5)
        await connection.close()


async def no_metrics() -> bytes:
    return b""


async def test_the_log_and_readyz_give_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = certificates.without_key_usage(), certificates.without_key_usage()
    startup, stop = Startup(), asyncio.Event()
    health = HealthServer(overdue=list, waiting_for=startup.waiting_for, metrics=no_metrics)
    async with (
        health.serving("127.0.0.1", 0) as port,
        serving(theirs, ours, tmp_path) as path,
        aiohttp.ClientSession() as session,
    ):
        connection = await Connection.open(path)
        task = asyncio.create_task(startup.wait_for_crd(connection, stop))
        async with asyncio.timeout(20):
            while "waiting: " not in caplog.text:  # noqa: ASYNC110 - the log has no event
                await asyncio.sleep(0.05)
        async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
            assert response.status == 503
            text = await response.text()
        stop.set()
        assert await task is False
        await connection.close()
    reason = "the Kubernetes API's certificate is not trusted: "
    assert text.startswith(f"not watching yet: {reason}")
    assert f"waiting: {reason}" in caplog.text


async def test_doctor_gives_the_reason(tmp_path: Path) -> None:
    ours, theirs = certificates.without_key_usage(), certificates.without_key_usage()
    async with serving(theirs, ours, tmp_path) as path:
        words = ["doctor", "--kubeconfig", str(path)]
        result = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert result.exit_code == 3
    assert "the Kubernetes API's certificate is not trusted: " in result.output
    assert "Check the certificate authority and the server in the kubeconfig." in result.output
