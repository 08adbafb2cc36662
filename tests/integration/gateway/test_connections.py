"""Connections to upstreams: reuse, limits, errors and proxies."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.requests import CurrentRequest, current
from aiapi_service.gateway.upstreams.settings import UpstreamSettings
from aiapi_service.gateway.upstreams.transport import UpstreamTransport
from aiapi_service.gateway.upstreams.wire import ResponseHead, UpstreamEndpoint, make_endpoint

LONG_TIMEOUT = 20.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Upstream:
    """Sends the next of `answers` for each request, and repeats the last one."""

    def __init__(self, *answers: bytes, close: bool = False) -> None:
        self.answers = list(answers)
        self.close = close
        self.connections = 0
        self.requests: list[bytes] = []
        self.disconnected = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or 0)))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer)
                await writer.drain()
                if self.close:
                    return
        except (asyncio.IncompleteReadError, OSError):
            self.disconnected.set()
        finally:
            writer.close()

    def at(self, method: str = "POST", scheme: str = "http") -> UpstreamEndpoint:
        headers = {"Host": "upstream", "Authorization": "Bearer key"}
        return make_endpoint(method, f"{scheme}://127.0.0.1:{self.port}/v1/chat", headers)


@asynccontextmanager
async def listening(upstream: Upstream, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def connections(limit: int = 10) -> AsyncIterator[UpstreamTransport]:
    transport = UpstreamTransport(UpstreamSettings(upstream_connections=limit))
    try:
        yield transport
    finally:
        await transport.close()


async def read(reply: ResponseHead) -> bytes:
    try:
        return b"".join([piece async for piece in reply.body])
    finally:
        await reply.body.aclose()


async def test_a_call_has_the_request_id_and_the_trace_context() -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    upstream, request = Upstream(OK), CurrentRequest()
    request.scope = {"headers": [(b"x-request-id", b"order-7"), (b"traceparent", trace)]}
    request.counters = cast("RequestCounters", SimpleNamespace(upstream=lambda _: None))
    async with listening(upstream), connections() as transport:
        await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT))
        token = current.set(request)
        await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT))
        current.reset(token)
    outside, inside = (one.lower() for one in upstream.requests)
    assert b"x-request-id" not in outside
    assert b"\r\nx-request-id: order-7\r\n" in inside
    assert b"\r\ntraceparent: " + trace + b"\r\n" in inside


async def test_a_connection_is_reused() -> None:
    upstream = Upstream(OK)
    async with listening(upstream), connections() as transport:
        for _ in range(3):
            reply = await transport.send(upstream.at(), b'{"a": 1}', LONG_TIMEOUT)
            assert (reply.status, await read(reply)) == (200, b"ok")
    assert upstream.connections == 1
    head, _, sent = upstream.requests[-1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat HTTP/1.1\r\nHost: upstream\r\nAuthorization: Bearer key")
    assert sent == b'{"a": 1}'


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        CHUNKED + b"zz",
        b"HTTP/1.1 200",
        b"",
    ],
)
async def test_an_invalid_response_is_an_httpx_error(answer: bytes) -> None:
    upstream = Upstream(answer, close=True)
    async with listening(upstream), connections() as transport:
        with pytest.raises(httpx.HTTPError):
            await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT))


async def test_no_response_is_a_timeout_and_closes_the_connection() -> None:
    upstream = Upstream(b"")
    async with listening(upstream), connections() as transport:
        with pytest.raises(httpx.TimeoutException):
            await transport.send(upstream.at(), b"{}", 0.05)
        await asyncio.wait_for(upstream.disconnected.wait(), 20)


async def test_a_call_is_repeated_if_a_kept_connection_was_closed_before_any_byte() -> None:
    upstream = Upstream(OK, b"", OK)
    async with listening(upstream), connections() as transport:
        assert await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)) == b"ok"
        upstream.close = True
        assert await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)) == b"ok"
    assert (len(upstream.requests), upstream.connections) == (3, 2)


async def test_a_call_is_not_repeated_after_a_byte_of_a_response() -> None:
    upstream = Upstream(OK, b"HTTP/1.1 2", OK)
    async with listening(upstream), connections() as transport:
        assert await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)) == b"ok"
        upstream.close = True
        with pytest.raises(httpx.HTTPError):
            await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)
    assert len(upstream.requests) == 2


async def test_a_call_is_not_repeated_on_a_new_connection() -> None:
    upstream = Upstream(b"", OK, close=True)
    async with listening(upstream), connections() as transport:
        with pytest.raises(httpx.HTTPError):
            await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)
    assert len(upstream.requests) == 1


async def test_a_call_that_may_have_been_processed_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiapi_service.gateway.upstreams.transport._STALE_SECONDS", 0.0)
    upstream = Upstream(OK, b"", OK)
    async with listening(upstream), connections() as transport:
        assert await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)) == b"ok"
        upstream.close = True
        with pytest.raises(httpx.HTTPError):
            await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)
    assert len(upstream.requests) == 2


async def test_an_idle_connection_is_closed_before_the_upstream_closes_it() -> None:
    assert UpstreamSettings().upstream_idle_timeout < 5, "vLLM and Uvicorn close it after 5 s"
    upstream = Upstream(OK)
    transport = UpstreamTransport(UpstreamSettings(upstream_idle_timeout=0.05))
    async with listening(upstream):
        await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT))
        await asyncio.wait_for(upstream.disconnected.wait(), 20)
        await transport.close()


async def test_calls_over_the_limit_wait_for_a_connection() -> None:
    upstream = Upstream(BEGUN, OK)
    async with listening(upstream), connections(limit=1) as transport:
        held = await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)
        with pytest.raises(httpx.ConnectTimeout):
            await transport.send(upstream.at(), b"{}", 0.05)
        waiting = asyncio.create_task(transport.send(upstream.at(), b"{}", LONG_TIMEOUT))
        await asyncio.sleep(0)
        assert not waiting.done()
        await held.body.aclose()
        assert await read(await waiting) == b"ok"


async def test_closing_a_response_early_frees_its_connection() -> None:
    upstream = Upstream(BEGUN, OK)
    async with listening(upstream), connections(limit=1) as transport:
        reply = await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)
        await reply.body.aclose()
        await asyncio.wait_for(upstream.disconnected.wait(), 20)
        assert await read(await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)) == b"ok"


async def test_a_refused_connection_is_a_connect_error() -> None:
    upstream = Upstream(OK)
    async with listening(upstream):
        pass
    async with connections() as transport:
        with pytest.raises(httpx.ConnectError):
            await transport.send(upstream.at(), b"{}", LONG_TIMEOUT)


def test_headers_must_not_contain_line_breaks() -> None:
    with pytest.raises(ValueError, match="line break"):
        make_endpoint("POST", "http://127.0.0.1/v1", {"Authorization": "Bearer x\r\nHost: other"})


async def test_the_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = Upstream(OK)
    async with listening(proxy), connections() as transport:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        headers = {"Host": "far.example", "Authorization": "Bearer key"}
        far = make_endpoint("POST", "http://user:word@far.example/v1/chat", headers)
        reply = await transport.send(far, b"{}", LONG_TIMEOUT)
        assert (reply.status, await read(reply)) == (200, b"ok")
    assert proxy.requests[0].startswith(b"POST http://far.example/v1/chat HTTP/1.1\r\n")
    assert b"authorization: bearer key" in proxy.requests[0].lower()


async def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    upstream = Upstream(OK)
    async with listening(upstream, server), connections() as transport:
        with pytest.raises(httpx.HTTPError, match="CERTIFICATE_VERIFY_FAILED"):
            await transport.send(upstream.at(scheme="https"), b"{}", LONG_TIMEOUT)


def make_certificate(certificate: Path, key: Path) -> None:
    """A self-signed certificate for 127.0.0.1."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "upstream")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
