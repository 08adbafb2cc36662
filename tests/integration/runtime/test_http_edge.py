"""What clients send that is unusual or hostile, to the connections of both parsers."""

import asyncio
import contextlib
import json
import re
from types import SimpleNamespace

import pytest
from runtime_support.client import Connection
from runtime_support.pod import until
from uvicorn.server import ServerState

from aiapi_runtime.limits.connection import WholeRequestProtocol
from aiapi_runtime.limits.h11_connection import H11Connection
from aiapi_runtime.limits.heads import HeadLimits
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_server import make_config

MIB = 1048576


class App:
    """Answers with what it got; /early answers before the body, /wait until the client leaves."""

    def __init__(self):
        self.waiting = 0
        self.left = 0
        self.release = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/wait":
            await self._wait(receive, send)
        elif scope["path"] == "/early":
            await answer(send, 413, b"too large")
        else:
            body = await whole(receive)
            text = json.dumps({"path": scope["path"], "body": body.decode()})
            await answer(send, 200, text.encode())

    async def _wait(self, receive, send):
        self.waiting += 1
        release = asyncio.create_task(self.release.wait())
        gone = asyncio.create_task(disconnect(receive))
        await asyncio.wait((release, gone), return_when=asyncio.FIRST_COMPLETED)
        self.left += gone.done()
        release.cancel()
        gone.cancel()
        await answer(send, 200, b'{"path": "/wait", "body": ""}')


async def disconnect(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(send, status, body):
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(params=[WholeRequestProtocol, H11Connection], ids=["httptools", "h11"])
async def server(request):
    """One worker's connections, with short times and small limits."""
    app, state = App(), ServerState()
    settings = RuntimeSettings(app="none:app", keep_alive=0.5)
    config = make_config(app, bounded(request.param), settings)
    config.load()

    def connect():
        return config.http_protocol_class(config=config, server_state=state, app_state={})

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(connect, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield SimpleNamespace(app=app, state=state, port=port)
    app.release.set()
    listening.close()
    for one in list(state.connections):
        one.transport.abort()
    if state.tasks:
        await asyncio.wait(state.tasks)


def bounded(kind):
    limits = HeadLimits(size=8192, headers=50, seconds=0.4)
    return type(kind.__name__, (kind,), {"head_limits": limits})


@pytest.fixture
async def client(server):
    connection = await Connection.open("127.0.0.1", server.port)
    async with asyncio.timeout(20):
        yield connection
    await connection.close()


async def replies(client, count):
    return [json.loads((await client.read()).body) for _ in range(count)]


async def ended(client):
    """All that comes until the server ends the connection."""
    with contextlib.suppress(ConnectionResetError):
        return await client.reader.read()
    return b""


async def send_all(client, data, most):
    """How much of endless data the server takes before it ends the connection."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most and not client.reader.at_eof():
            client.writer.write(data)
            await client.writer.drain()
            sent += len(data)
            await asyncio.sleep(0)
    return sent


UPGRADES = [
    "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
    "connection: upgrade\r\nupgrade: TLS/1.2\r\n",
    "connection: keep-alive, Upgrade\r\nupgrade: foo/2, bar\r\n",
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize(
    "body",
    ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
)
async def test_an_upgrade_that_is_not_taken_keeps_body_and_next_request(client, upgrade, body):
    client.writer.write(f"POST /a HTTP/1.1\r\nhost: x\r\n{upgrade}{body}".encode())
    client.writer.write(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n")
    assert await replies(client, 2) == [
        {"path": "/a", "body": "hello"},
        {"path": "/b", "body": ""},
    ]


@pytest.mark.parametrize("upgrade", UPGRADES)
async def test_an_upgrade_without_a_body_keeps_the_next_request(client, upgrade):
    for path in ("/a", "/b", "/c"):
        client.writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n".encode())
    assert [one["path"] for one in await replies(client, 3)] == ["/a", "/b", "/c"]


async def test_a_body_behind_an_upgrade_may_come_in_pieces(client):
    head = f"POST /a HTTP/1.1\r\nhost: x\r\n{UPGRADES[0]}content-length: 10\r\n\r\n"
    for piece in (head[:30], head[30:], "hello", "world", "GET /b HTTP/1.1\r\nhost: x\r\n\r\n"):
        client.writer.write(piece.encode())
        await asyncio.sleep(0.02)
    assert [one["body"] for one in await replies(client, 2)] == ["helloworld", ""]


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"y" * 9000 + b"\r\n",
        b"".join(b"x%d: %s\r\n" % (number, b"y" * 300) for number in range(40)),
        b"".join(b"x%d: y\r\n" % number for number in range(60)),
    ],
    ids=["one long header", "long together", "too many headers"],
)
@pytest.mark.parametrize("step", [200, 100_000])
async def test_a_head_that_is_too_large_is_answered_with_431(client, head, step):
    data = b"GET / HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n"
    for start in range(0, len(data), step):
        client.writer.write(data[start : start + step])
        await asyncio.sleep(0.001)
    answered = await client.read()
    assert (answered.status, answered.closes) == (431, True)
    assert b"8192 bytes" in answered.body or b"50 headers" in answered.body


async def test_a_target_that_is_too_large_is_answered_with_431(client):
    client.writer.write(b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.read()).status == 431


async def test_a_head_that_never_ends_is_not_read_on(client):
    client.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
    assert await send_all(client, b"y" * 65536, 64 * MIB) < 16 * MIB


async def test_a_large_body_before_a_head_does_not_count_as_head(client):
    body = b"z" * 100_000
    head = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    client.writer.write((head + body) * 2 + b"GET /b HT")
    await client.writer.drain()
    assert [len(one["body"]) for one in await replies(client, 2)] == [100_000] * 2
    client.writer.write(b"TP/1.1\r\nhost: x\r\n\r\n")
    assert [one["path"] for one in await replies(client, 1)] == ["/b"]


@pytest.mark.parametrize(
    "half", [b"G", b"GET / HTTP/1.1\r\nhost:", b"GET / HTTP/1.1\r\nhost: x\r\n"]
)
async def test_a_half_sent_head_is_answered_with_408(client, half):
    client.writer.write(half)
    answered = await client.read()
    assert (answered.status, answered.closes) == (408, True)
    assert answered.body == b"The head of the request took longer than 0.4 s."


async def test_a_head_sent_byte_by_byte_is_answered_with_408(client):
    async def drip():
        client.writer.write(b"GET / HTTP/1.1\r\nx: ")
        while True:
            client.writer.write(b"y")
            await asyncio.sleep(0.05)

    task = asyncio.create_task(drip())
    assert (await client.read()).status == 408
    task.cancel()


@pytest.mark.parametrize(
    ("first", "httptools", "h11"),
    [
        (b"", [], []),
        # h11 refuses the empty lines that httptools skips.
        (b"\r\n\r\n", [], [b"400"]),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\r\n", [b"200"], [b"200", b"400"]),
    ],
)
async def test_an_idle_connection_is_closed_whatever_came_before(
    client, first, httptools, h11, request
):
    client.writer.write(first)
    answered = re.findall(rb"HTTP/1\.1 (\d+)", await ended(client))
    assert answered == (h11 if "[h11-" in request.node.name else httptools)


async def test_a_half_sent_head_does_not_end_the_request_before_it(server, client):
    client.writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\nGET /b HT")
    await until(lambda: _is(server.app.waiting == 1))
    await asyncio.sleep(0.8)
    server.app.release.set()
    answered = await client.read()
    assert (answered.status, server.app.left) == (200, 0)


async def _is(value):
    return value


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
async def test_garbage_does_not_end_the_request_before_it(server, client, garbage):
    client.writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + garbage)
    await until(lambda: _is(server.app.waiting == 1))
    server.app.release.set()
    answered = await client.read()
    assert (answered.status, server.app.left) == (200, 0)
    rest = await ended(client)
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")


async def test_an_invalid_chunk_tells_the_app_and_is_answered_with_400(server, client):
    client.writer.write(b"POST /wait HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    await until(lambda: _is(server.app.waiting == 1))
    client.writer.write(b"zz\r\n")
    assert (await client.read()).status == 400
    await until(lambda: _is(server.app.left == 1))
    assert await ended(client) == b""


@pytest.mark.parametrize(
    "queued",
    [
        b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n" * 3,
        b"POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhe",
        b"GET /b HT",
    ],
    ids=["one", "three", "half a body", "half a head"],
)
async def test_a_client_that_leaves_with_requests_queued_is_noticed(server, client, queued):
    client.writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + queued)
    await until(lambda: _is(server.app.waiting == 1))
    await asyncio.sleep(0.05)
    client.writer.transport.abort()
    await until(lambda: _is(server.app.left == 1), 5)


async def test_a_client_that_leaves_while_its_body_is_not_read_is_noticed(server, client):
    head = b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n"
    unread = asyncio.Event()

    async def never_reads(scope, receive, send):
        unread.set()
        await server.app.release.wait()

    await until(lambda: _is(server.state.connections))
    for one in list(server.state.connections):
        one.app = never_reads
    client.writer.write(head + b"z" * 200_000)
    await unread.wait()
    client.writer.close()
    await until(lambda: _is(not server.state.connections), 5)


CHUNK = b"10000\r\n" + b"z" * 65536 + b"\r\n"


async def test_a_body_is_not_read_on_after_its_response(server, client):
    client.writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    assert (await client.read()).status == 413
    assert await send_all(client, CHUNK, 64 * MIB) < 16 * MIB
    await until(lambda: _is(not server.state.connections), 10)


async def test_a_body_of_known_size_is_not_read_on_after_its_response(server, client):
    client.writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
    assert (await client.read()).status == 413
    assert await send_all(client, b"z" * 65536, 64 * MIB) < 16 * MIB
    await until(lambda: _is(not server.state.connections), 10)


async def test_a_small_rest_of_a_body_keeps_the_connection(client):
    for _ in range(8):
        client.writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n")
        answered = await client.read()
        assert (answered.status, answered.closes) == (413, False)
        client.writer.write(b"z" * 60000)
    client.write("/b")
    assert [one["path"] for one in await replies(client, 1)] == ["/b"]


async def test_a_body_that_stops_after_its_response_ends_the_connection(client):
    client.writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
    assert (await client.read()).status == 413
    client.writer.write(b"z")
    assert await ended(client) == b""


async def test_a_request_behind_a_body_that_was_not_asked_for_is_not_its_body(client):
    client.writer.write(
        b"POST /early HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99\r\n\r\n"
    )
    assert (await client.read()).status == 413
    assert await ended(client) == b""


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        (b"", b"The request has no Host header; send exactly one."),
        (b"host: a\r\nhost: b\r\n", b"The request has 2 Host headers; send exactly one."),
        (b"host: a\r\nHost: a\r\n", b"The request has 2 Host headers; send exactly one."),
    ],
)
async def test_no_host_or_two_are_answered_with_400(client, headers, detail):
    client.writer.write(b"GET / HTTP/1.1\r\n" + headers + b"\r\n")
    answered = await client.read()
    assert (answered.status, answered.closes, answered.body) == (400, True, detail)


async def test_http_1_0_needs_no_host(client):
    client.writer.write(b"GET /a HTTP/1.0\r\n\r\n")
    assert await replies(client, 1) == [{"path": "/a", "body": ""}]
