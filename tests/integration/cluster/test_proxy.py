"""Proxies of the environment and of the kubeconfig lead to the API server; netrc is not read."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import Unavailable

PATH = "/api/v1/namespaces/shop/pods/a"
VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@dataclass
class Listener:
    """Answers each request with an empty object, and records its head."""

    port: int = 0
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        status = "502 Bad Gateway" if head.startswith("CONNECT") else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    async with await asyncio.start_server(listener.answer, "127.0.0.1", 0) as server:
        listener.port = server.sockets[0].getsockname()[1]
        yield listener


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def kubeconfig(folder: Path, **cluster: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {}}],
    }
    path.write_text(json.dumps(config))
    return path


async def ask(path: Path) -> None:
    connection = await Connection.open(path)
    try:
        assert await connection.send(Request("GET", PATH, deadline=3.0)) == {}
    finally:
        await connection.close()


async def test_the_environment_s_proxy_is_used_with_its_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%21@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.invalid")
        await ask(kubeconfig(tmp_path, server="http://api.invalid"))
    assert proxy.heads[0].startswith(f"GET http://api.invalid{PATH} HTTP/1.1\r\n")
    credentials = base64.b64encode(b"me:pass!").decode()
    assert f"Proxy-Authorization: Basic {credentials}\r\n" in proxy.heads[0]


async def test_tls_is_tunnelled_through_the_environment_s_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(Unavailable):
            await ask(kubeconfig(tmp_path, server="https://api.invalid"))
    assert proxy.heads[0].startswith("CONNECT api.invalid:443 HTTP/1.1\r\n")


async def test_hosts_of_no_proxy_are_asked_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as proxy, listening() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await ask(kubeconfig(tmp_path, server=server.url))
    assert (len(proxy.heads), len(server.heads)) == (0, 1)


async def test_the_kubeconfig_s_proxy_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as proxy, listening() as other:
        monkeypatch.setenv("HTTP_PROXY", other.url)
        config = {"server": "http://api.invalid", "proxy-url": proxy.url}
        await ask(kubeconfig(tmp_path, **config))
    assert (len(proxy.heads), len(other.heads)) == (1, 0)


async def test_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with listening() as server:
        await ask(kubeconfig(tmp_path, server=server.url))
    assert "Authorization" not in server.heads[0]
