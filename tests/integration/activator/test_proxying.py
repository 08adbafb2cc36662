"""What passes through the activator, both ways, with real Uvicorn servers as pods."""

import asyncio
import socket
import time
from collections.abc import Callable
from hashlib import sha256

import pytest
from activator_support.pods import UvicornPod
from activator_support.rig import Rig, rig, until
from websockets.asyncio.client import connect

from aiapi_operator.activator.limits import REQUEST_BODY, Limits

StartPod = Callable[..., UvicornPod]
BODY = bytes(range(256)) * 20_000


@pytest.fixture
def pod(activator: Rig, start_pod: StartPod) -> UvicornPod:
    """A pod that the activator knows."""
    started = start_pod()
    activator.set(started.pod, phase="Leaving")
    return started


def expected(body: bytes) -> bytes:
    return b"%d %s" % (len(body), sha256(body).hexdigest().encode())


async def test_headers_arrive_and_the_address_of_the_client_is_added(
    activator: Rig, pod: UvicornPod
) -> None:
    status, headers, _ = await activator.ask("/a", "x-thing: 1\r\nconnection: keep-alive\r\n")
    assert status == 200
    assert headers["connection"] == "close"
    path, received = pod.requests[0]
    assert path == "/a"
    assert received["host"] == "test"
    assert received["x-thing"] == "1"
    assert received["x-forwarded-for"] == "127.0.0.1"


async def test_a_body_with_a_length_arrives(activator: Rig, pod: UvicornPod) -> None:
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    answer = await activator.raw(head + BODY)
    assert answer.endswith(expected(BODY))


async def test_a_chunked_body_arrives_without_its_trailers(activator: Rig, pod: UvicornPod) -> None:
    parts = [BODY[start : start + 70_000] for start in range(0, len(BODY), 70_000)]
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await activator.raw(head + chunks + b"0\r\nX-Trailer: 1\r\n\r\n")
    assert answer.endswith(expected(BODY))
    assert "x-trailer" not in pod.requests[0][1]


async def test_a_body_that_was_held_arrives(activator: Rig, start_pod: StartPod) -> None:
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    request = asyncio.create_task(activator.raw(head + BODY))
    await until(lambda: activator.gate.hold.body_bytes >= REQUEST_BODY)
    await asyncio.sleep(0.1)
    assert activator.gate.hold.body_bytes < 3 * REQUEST_BODY
    activator.set(start_pod().pod)
    assert (await request).endswith(expected(BODY))
    assert activator.gate.hold.body_bytes == 0


async def test_bodies_in_memory_are_bounded_and_all_arrive(start_pod: StartPod) -> None:
    body = BODY[:400_000]
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with rig(Limits(body_bytes=1_000_000)) as activator:
        requests = []
        for number in range(3):
            requests.append(asyncio.create_task(activator.raw(head + body)))
            await until(lambda number=number: len(activator.gate.hold) == number + 1)
        await until(lambda: activator.gate.hold.body_bytes >= 1_000_000)
        status, _, text = await activator.ask()
        assert status == 503
        assert b"bytes of body already" in text
        activator.set(start_pod().pod)
        for answer in await asyncio.gather(*requests):
            assert answer.endswith(expected(body))


async def test_expect_100_continue_is_answered_by_the_pod(activator: Rig, pod: UvicornPod) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", activator.port)
    writer.write(
        b"POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.read()).endswith(expected(b"abc"))
    writer.close()


async def test_events_arrive_one_by_one(activator: Rig, pod: UvicornPod) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", activator.port)
    writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    times = []
    async with asyncio.timeout(5):
        assert b"transfer-encoding: chunked" in (await reader.readuntil(b"\r\n\r\n")).lower()
        for number in range(5):
            assert await reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
            times.append(time.monotonic())
        assert await reader.read() == b"0\r\n\r\n"
    assert times[-1] - times[0] > 0.05
    writer.close()


async def test_a_client_of_http_1_0_gets_no_chunks(activator: Rig, pod: UvicornPod) -> None:
    answer = await activator.raw(b"GET /events HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body == b"".join(b"data: %d\n\n" % number for number in range(5))


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"HEAD / HTTP/1.1", b"200 OK"),
        (b"GET /nothing HTTP/1.1", b"204 No Content"),
        (b"GET /unchanged HTTP/1.1", b"304 Not Modified"),
    ],
)
async def test_responses_without_a_body_end(
    activator: Rig, pod: UvicornPod, request_line: bytes, status: bytes
) -> None:
    async with asyncio.timeout(3):
        answer = await activator.raw(request_line + b"\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.endswith(b"\r\n\r\n")


async def test_a_websocket_passes_both_ways_also_when_its_handshake_was_held(
    activator: Rig, start_pod: StartPod
) -> None:
    pod = start_pod()
    activator.scales.on_raise = lambda _n: activator.set(pod.pod)
    async with connect(f"ws://127.0.0.1:{activator.port}/chat") as chat:
        for text in ("one", "x" * 300_000):
            await chat.send(text)
            assert await chat.recv() == f"echo {text}"
        assert activator.gate.in_flight == 1
        assert activator.gate.idle_seconds == 0
    await until(lambda: activator.gate.in_flight == 0)


async def test_a_slow_client_gets_all_and_the_pod_waits(activator: Rig, pod: UvicornPod) -> None:
    client = socket.create_connection(("127.0.0.1", activator.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
    await asyncio.sleep(0.5)
    waiting = next(iter(activator.gate._clients))
    assert waiting._transport.get_write_buffer_size() < 1_000_000  # type: ignore[attr-defined]
    client.settimeout(10)
    received = await asyncio.to_thread(_read_all, client)
    body = received.partition(b"\r\n\r\n")[2]
    assert body == b"".join(bytes([n % 251]) * 65536 for n in range(160))


def _read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    client.close()
    return b"".join(parts)


async def test_a_response_that_breaks_does_not_look_complete(
    activator: Rig, pod: UvicornPod
) -> None:
    try:
        answer = await activator.raw(b"GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n")
    except ConnectionError:
        return
    assert not answer.endswith(b"0\r\n\r\n")


async def test_an_early_response_reaches_a_client_that_still_sends(
    activator: Rig, pod: UvicornPod
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", activator.port)
    writer.write(b"POST /refuses-upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
    writer.write(b"a" * 3_000_000)
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_pod_that_does_not_speak_http_gives_502(activator: Rig, pod: UvicornPod) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    assert (await activator.ask())[0] == 200
    backend = next(iter(activator.gate._backends._backends.values()))
    backend.pod = backend.pod.__class__(
        name="odd",
        uid="odd",
        address="127.0.0.1",
        port=server.sockets[0].getsockname()[1],
        admin_port=pod.port,
    )
    status, _, body = await activator.ask()
    assert status == 502
    assert b"not valid HTTP/1.1" in body
    server.close()


async def test_a_client_that_leaves_ends_its_request_at_the_pod(
    activator: Rig, start_pod: StartPod
) -> None:
    activator.set(start_pod(delay=30).pod)
    connection = await activator.connect()
    connection.write()
    await until(lambda: activator.gate.in_flight == 1)
    await connection.close()
    await until(lambda: activator.gate.in_flight == 0)


async def test_a_request_that_can_be_read_in_two_ways_is_refused(
    activator: Rig, pod: UvicornPod
) -> None:
    answer = await activator.raw(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert pod.requests == []


async def test_a_bad_chunk_ends_a_request_that_is_at_the_pod(
    activator: Rig, pod: UvicornPod
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", activator.port)
    writer.write(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"3\r\nabc\r\n")
    await until(lambda: activator.gate.in_flight == 1)
    writer.write(b"zz\r\n")
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    await until(lambda: activator.gate.in_flight == 0)
    writer.close()


async def test_a_marked_probe_is_answered_and_is_no_arrival(activator: Rig) -> None:
    answer = await activator.raw(
        b"GET /.well-known/aiapi-activator HTTP/1.1\r\nHost: a\r\nx-aiapi-probe: n0nce\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"x-aiapi-activator: activator-1\r\n" in answer
    assert b"x-aiapi-probe: n0nce\r\n" in answer
    assert activator.gate.arrivals == 0
    assert activator.scales.raised == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/healthz", ""),
        ("/api", "user-agent: kube-probe/1.36\r\n"),
        ("/internal/jobs", ""),
    ],
)
async def test_ignored_requests_at_zero_get_503_and_wake_nothing(
    activator: Rig, path: str, headers: str
) -> None:
    activator.set(ignore_paths=("/internal",))
    status, answered, body = await activator.ask(path, headers)
    assert status == 503
    assert answered["retry-after"]
    assert body.decode() == f"The service is at zero pods, and {path} does not wake it.\n"
    await asyncio.sleep(0.1)
    assert activator.scales.raised == []
    assert activator.gate.arrivals == 0


async def test_ignored_requests_reach_the_pods_that_run(activator: Rig, pod: UvicornPod) -> None:
    assert (await activator.ask("/healthz"))[0] == 200
    assert activator.gate.arrivals == 0


async def test_an_open_request_is_not_idle(activator: Rig, start_pod: StartPod) -> None:
    activator.set(start_pod(delay=0.3).pod)
    request = asyncio.create_task(activator.ask())
    await until(lambda: activator.gate.in_flight == 1)
    assert activator.gate.idle_seconds == 0
    await request
    assert 0 < activator.gate.idle_seconds < 5
