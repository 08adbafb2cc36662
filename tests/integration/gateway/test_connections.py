"""The gateway's connections to upstreams: what is kept, what is not, and what is no HTTP."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aiapi_service.gateway.upstreams.http1 import Http1
from aiapi_service.gateway.upstreams.settings import UpstreamSettings
from aiapi_service.gateway.upstreams.transport import Connections
from aiapi_service.gateway.upstreams.wire import Endpoint, Reply, Timeouts, make_endpoint

PATIENT = Timeouts(pool=20, connect=20, read=20)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Upstream:
    """Answers each request with the next of `answers`, the last of them for ever."""

    def __init__(self, *answers: bytes, close: bool = False) -> None:
        self.answers = list(answers)
        self.close = close
        self.connections = 0
        self.requests: list[bytes] = []
        self.gone = asyncio.Event()
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
            self.gone.set()
        finally:
            writer.close()

    def at(self, method: str = "POST", scheme: str = "http") -> Endpoint:
        headers = httpx.Headers({"Host": "upstream", "Authorization": "Bearer key"})
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
async def http1(limit: int = 10, tls: ssl.SSLContext | None = None) -> AsyncIterator[Http1]:
    way = Http1(limit=limit, tls=tls or ssl.create_default_context())
    try:
        yield way
    finally:
        await way.close()


async def read(reply: Reply) -> bytes:
    try:
        return b"".join([piece async for piece in reply.body])
    finally:
        await reply.body.aclose()


async def test_a_connection_is_kept_and_the_request_goes_out_whole() -> None:
    upstream = Upstream(OK)
    async with listening(upstream), http1() as way:
        for _ in range(3):
            reply = await way.send(upstream.at(), b'{"a": 1}', PATIENT)
            assert (reply.status, await read(reply)) == (200, b"ok")
    assert upstream.connections == 1
    assert upstream.requests[-1] == (
        b"POST /v1/chat HTTP/1.1\r\nHost: upstream\r\nAuthorization: Bearer key\r\n"
        b'content-length: 8\r\n\r\n{"a": 1}'
    )


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
            b"ok",
        ),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", b""),
        (OK[:-2] + b"\xff\x00", b"\xff\x00"),
    ],
)
async def test_bodies_end_where_they_say(answer: bytes, body: bytes) -> None:
    upstream = Upstream(answer)
    async with listening(upstream), http1() as way:
        for _ in range(2):
            reply = await way.send(upstream.at(), b"{}", PATIENT)
            assert await read(reply) == body
            assert reply.header(b"link") == reply.header(b"x") == ""
    assert upstream.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmore",
        OK + b"and more",
    ],
)
async def test_a_connection_that_may_carry_something_else_is_not_used_again(answer: bytes) -> None:
    upstream = Upstream(answer)
    async with listening(upstream), http1() as way:
        for _ in range(2):
            assert await read(await way.send(upstream.at(), b"{}", PATIENT)) == b"ok"
    assert upstream.connections == 2


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    upstream = Upstream(b"HTTP/1.1 200 OK\r\n\r\nall of it", close=True)
    async with listening(upstream), http1() as way:
        assert await read(await way.send(upstream.at(), b"{}", PATIENT)) == b"all of it"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n", httpx.HTTPError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", httpx.ReadError),
        (CHUNKED + b"zz", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200", httpx.ReadError),
        (b"", httpx.ReadError),
    ],
)
async def test_what_is_no_answer_is_an_error(answer: bytes, error: type[Exception]) -> None:
    upstream = Upstream(answer, close=True)
    async with listening(upstream), http1() as way:
        with pytest.raises(error):
            await read(await way.send(upstream.at(), b"{}", PATIENT))


async def test_silence_is_a_timeout_and_ends_the_connection() -> None:
    upstream = Upstream(b"")
    async with listening(upstream), http1() as way:
        with pytest.raises(httpx.ReadTimeout, match=r"nothing for 0\.05 s"):
            await way.send(upstream.at(), b"{}", PATIENT._replace(read=0.05))
        await asyncio.wait_for(upstream.gone.wait(), 20)


async def test_what_only_reads_is_asked_again_on_a_connection_that_had_been_closed() -> None:
    upstream = Upstream(OK, b"", OK)
    async with listening(upstream), http1() as way:
        assert await read(await way.send(upstream.at("GET"), b"", PATIENT)) == b"ok"
        upstream.close = True
        assert await read(await way.send(upstream.at("GET"), b"", PATIENT)) == b"ok"
    assert len(upstream.requests) == 3


async def test_what_may_be_paid_for_is_not_asked_again() -> None:
    upstream = Upstream(OK, b"", OK)
    async with listening(upstream), http1() as way:
        assert await read(await way.send(upstream.at(), b"{}", PATIENT)) == b"ok"
        upstream.close = True
        with pytest.raises(httpx.ReadError):
            await way.send(upstream.at(), b"{}", PATIENT)
    assert len(upstream.requests) == 2


async def test_calls_over_the_limit_wait_for_their_turn() -> None:
    upstream = Upstream(OK)
    async with listening(upstream), http1(limit=1) as way:
        held = await way.send(upstream.at(), b"{}", PATIENT)
        with pytest.raises(httpx.PoolTimeout):
            await way.send(upstream.at(), b"{}", PATIENT._replace(pool=0.05))
        gone = asyncio.create_task(way.send(upstream.at(), b"{}", PATIENT))
        waiting = asyncio.create_task(way.send(upstream.at(), b"{}", PATIENT))
        await asyncio.sleep(0)
        gone.cancel()
        assert await read(held) == b"ok"
        assert await read(await waiting) == b"ok"
        assert await read(await way.send(upstream.at(), b"{}", PATIENT)) == b"ok"
    assert upstream.connections == 1


async def test_leaving_an_answer_closes_its_connection_and_makes_room() -> None:
    upstream = Upstream(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun", OK)
    async with listening(upstream), http1(limit=1) as way:
        reply = await way.send(upstream.at(), b"{}", PATIENT)
        await reply.body.aclose()
        await asyncio.wait_for(upstream.gone.wait(), 20)
        assert await read(await way.send(upstream.at(), b"{}", PATIENT)) == b"ok"
        assert await read(reply) == b"", "what is read now is another call's"


async def test_a_body_that_is_not_read_is_not_taken_in() -> None:
    size = 50_000_000
    upstream = Upstream(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
    async with listening(upstream), http1() as way:
        reply = await way.send(upstream.at(), b"{}", PATIENT)
        longest = total = 0
        async for piece in reply.body:
            longest, total = max(longest, len(piece)), total + len(piece)
            await asyncio.sleep(0)
        await reply.body.aclose()
    assert total == size
    assert longest < 2_000_000


async def test_nobody_there_is_told_apart() -> None:
    upstream = Upstream(OK)
    async with listening(upstream):
        pass
    async with http1() as way:
        with pytest.raises(httpx.ConnectError):
            await way.send(upstream.at(), b"{}", PATIENT)


async def test_a_host_is_looked_up_once_and_again_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: int) -> list[tuple[object, ...]]:
        asked.append(host)
        await asyncio.sleep(0)
        if len(asked) == 1:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    upstream = Upstream(OK)
    async with listening(upstream), http1() as way:
        there = make_endpoint("POST", f"http://vllm.svc:{upstream.port}/", httpx.Headers())
        with pytest.raises(httpx.ConnectError, match="name resolution"):
            await way.send(there, b"{}", PATIENT)
        held = await asyncio.gather(*(way.send(there, b"{}", PATIENT) for _ in range(5)))
        assert [await read(one) for one in held] == [b"ok"] * 5
    assert upstream.connections == 5
    assert asked == ["vllm.svc"] * 2


def test_a_header_cannot_begin_another_request() -> None:
    headers = httpx.Headers({"Authorization": "Bearer x\r\nHost: other"})
    with pytest.raises(ValueError, match="line end"):
        make_endpoint("POST", "http://127.0.0.1/v1", headers)


async def test_a_proxy_is_used_where_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = Upstream(OK)
    async with listening(proxy):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        headers = httpx.Headers({"Host": "far.example", "Authorization": "Bearer key"})
        connections = Connections(UpstreamSettings())
        try:
            far = make_endpoint("POST", "http://far.example/v1/chat", headers)
            reply = await connections.send(far, b"{}", 20)
            assert (reply.status, await read(reply)) == (200, b"ok")
        finally:
            await connections.close()
    assert proxy.requests[0].startswith(b"POST http://far.example/v1/chat HTTP/1.1\r\n")
    assert b"authorization: bearer key" in proxy.requests[0].lower()


async def test_a_certificate_is_checked_against_the_name(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    upstream = Upstream(OK)
    async with listening(upstream, server):
        async with http1(tls=trusting) as way:
            assert await read(await way.send(upstream.at(scheme="https"), b"{}", PATIENT)) == b"ok"
        async with http1() as way:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await way.send(upstream.at(scheme="https"), b"{}", PATIENT)


@pytest.mark.parametrize(
    "test",
    [
        test_a_connection_is_kept_and_the_request_goes_out_whole,
        test_a_body_without_a_length_ends_with_its_connection,
        test_silence_is_a_timeout_and_ends_the_connection,
        test_what_only_reads_is_asked_again_on_a_connection_that_had_been_closed,
        test_calls_over_the_limit_wait_for_their_turn,
        test_leaving_an_answer_closes_its_connection_and_makes_room,
        test_a_body_that_is_not_read_is_not_taken_in,
        test_nobody_there_is_told_apart,
    ],
)
def test_uvloop_does_the_same(test: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


def make_certificate(certificate: Path, key: Path) -> None:
    """For 127.0.0.1, signed by itself."""
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
