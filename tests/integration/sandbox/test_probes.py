"""httpGet probes over TLS: as the kubelet, the sandbox verifies no certificate."""

import asyncio
from pathlib import Path

import pytest
from tls_support import certificates

from aiapi_sandbox.node.probes import ProbeTarget, run_handler


async def execute(_command: list[str], _limit: float) -> tuple[int, str]:
    raise AssertionError("no command")


@pytest.mark.parametrize(
    ("status", "message"), [(200, ""), (503, "HTTP probe failed with statuscode: 503")]
)
async def test_an_https_probe(tmp_path: Path, status: int, message: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % status)
        writer.close()

    context = certificates.without_key_usage().server_context(tmp_path)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    target = ProbeTarget(pod_ip="127.0.0.1", ports={"admin": port}, execute=execute)
    probe = {"httpGet": {"path": "/readyz", "port": "admin", "scheme": "HTTPS"}}
    assert await run_handler(probe, target, 5.0) == message
    server.close()
    await server.wait_closed()


async def test_an_https_probe_of_a_plain_server_fails() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 x\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = ProbeTarget(pod_ip="127.0.0.1", ports={}, execute=execute)
    probe = {"httpGet": {"path": "/", "port": port, "scheme": "HTTPS"}}
    assert f'Get "https://127.0.0.1:{port}/"' in await run_handler(probe, target, 5.0)
    server.close()
    await server.wait_closed()
