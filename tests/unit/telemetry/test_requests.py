"""Outcomes, times and upstream waits of a request, as the wrapper counts them."""

import asyncio
from types import SimpleNamespace

import pytest

from aiapi_runtime.telemetry import counters, layout, requests
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.layout import BUCKETS, Cell
from aiapi_runtime.telemetry.requests import count_requests, shed, upstream

SCOPE = {"type": "http", "path": "/", "headers": []}


class Numbers(RequestCounters):
    """What the supervisor would read now."""

    def __init__(self):
        exemplars = memoryview(bytearray(layout.EXEMPLARS * layout.EXEMPLAR.size))
        super().__init__(memoryview(bytearray(layout.NUMBERS * 8)).cast("d"), exemplars)

    def __getitem__(self, cells):
        self.write()
        return self.numbers[cells]


@pytest.fixture
def numbers():
    return Numbers()


@pytest.fixture
def clock(monkeypatch):
    time = SimpleNamespace(now=100.0)
    for module in (requests, counters):
        monkeypatch.setattr(module, "monotonic", lambda: time.now)
    return time


async def receive():
    return {"type": "http.request"}


async def send(message):
    pass


def answering(status, *, took=0.0, clock=None):
    async def app(scope, receive, send):
        if clock:
            clock.now += took
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    return app


def outcomes(numbers):
    return {name: int(numbers[i]) for i, name in enumerate(layout.OUTCOMES) if numbers[i]}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "success"),
        (304, "success"),
        (400, "client_error"),
        (499, "client_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
async def test_the_status_decides_the_outcome(numbers, status, outcome):
    await count_requests(answering(status), numbers)(SCOPE, receive, send)
    assert outcomes(numbers) == {outcome: 1}
    assert numbers[Cell.IN_FLIGHT] == 0


async def test_an_exception_is_a_server_error_and_propagates(numbers):
    async def app(scope, receive, send):
        raise RuntimeError("wanted")

    with pytest.raises(RuntimeError, match="wanted"):
        await count_requests(app, numbers)(SCOPE, receive, send)
    assert outcomes(numbers) == {"server_error": 1}


async def test_an_app_without_a_response_is_a_server_error(numbers):
    async def app(scope, receive, send):
        pass

    await count_requests(app, numbers)(SCOPE, receive, send)
    assert outcomes(numbers) == {"server_error": 1}


async def test_a_cancelled_task_is_cancelled(numbers):
    async def app(scope, receive, send):
        await asyncio.sleep(60)

    task = asyncio.create_task(count_requests(app, numbers)(SCOPE, receive, send))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes(numbers) == {"cancelled": 1}
    assert numbers[Cell.IN_FLIGHT] == 0


@pytest.mark.parametrize(
    ("chunked", "missing", "outcome"),
    [(False, 0, "success"), (False, 7, "cancelled"), (True, 0, "cancelled")],
)
async def test_a_client_that_has_the_whole_body_may_disconnect(numbers, chunked, missing, outcome):
    class Cycle:
        disconnected = True
        response_started = True
        chunked_encoding = chunked
        expected_content_length = missing

        async def receive(self):
            return {"type": "http.disconnect"}

    await count_requests(answering(200), numbers)(SCOPE, Cycle().receive, send)
    assert outcomes(numbers) == {outcome: 1}


async def test_a_disconnected_client_is_cancelled_whatever_the_status(numbers):
    class Cycle:
        disconnected = True

        async def receive(self):
            return {"type": "http.disconnect"}

    await count_requests(answering(200), numbers)(SCOPE, Cycle().receive, send)
    assert outcomes(numbers) == {"cancelled": 1}
    assert sum(numbers[Cell.LATENCY : Cell.TTFB_SUM]) == 0


async def test_a_deliberate_refusal_is_shed(numbers):
    async def app(scope, receive, send):
        shed()
        await answering(503)(scope, receive, send)

    await count_requests(app, numbers)(SCOPE, receive, send)
    assert outcomes(numbers) == {"shed": 1}


async def test_other_scopes_pass_uncounted(numbers):
    seen = []

    async def other(scope, receive, send):
        seen.append(scope["type"])

    wrapper = count_requests(answering(200), numbers, other=other)
    for kind in ("websocket", "lifespan"):
        await wrapper({**SCOPE, "type": kind}, receive, send)
    assert seen == ["websocket", "lifespan"]
    assert outcomes(numbers) == {}


async def test_times_of_a_stream(numbers, clock):
    async def app(scope, receive, send):
        clock.now += 0.25
        await send({"type": "http.response.start", "status": 200, "headers": []})
        clock.now += 0.25
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        clock.now += 0.5
        await send({"type": "http.response.body", "body": b"last"})

    await count_requests(app, numbers)(SCOPE, receive, send)
    assert numbers[Cell.LATENCY_SUM] == pytest.approx(1.0)
    assert numbers[Cell.TTFB_SUM] == pytest.approx(0.5), "the head is not the first byte"
    assert numbers[Cell.IN_FLIGHT_SECONDS] == pytest.approx(1.0)


async def test_the_first_byte_of_a_stream_counts_before_its_end(numbers, clock):
    first_bytes, seen = slice(Cell.TTFB, Cell.TTFB + BUCKETS), []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        clock.now += 0.5
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        seen.append((sum(numbers[first_bytes]), numbers[Cell.TTFB_SUM]))
        clock.now += 20
        await send({"type": "http.response.body", "body": b"second", "more_body": True})
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await count_requests(app, numbers)(SCOPE, receive, send)
    assert seen == [(1, pytest.approx(0.5))]
    assert sum(numbers[first_bytes]) == 1, "once"
    assert sum(numbers[Cell.LATENCY : Cell.LATENCY + BUCKETS]) == 0, "the client left"


async def test_the_first_byte_of_a_failed_stream_does_not_count(numbers, clock):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    await count_requests(app, numbers)(SCOPE, receive, send)
    assert sum(numbers[Cell.TTFB : Cell.TTFB + BUCKETS]) == 0
    assert outcomes(numbers) == {"server_error": 1}


async def test_concurrent_requests_add_up(numbers, clock):
    gate = asyncio.Event()

    async def app(scope, receive, send):
        await gate.wait()

    wrapper = count_requests(app, numbers)
    tasks = []
    for _ in range(3):
        tasks.append(asyncio.create_task(wrapper(SCOPE, receive, send)))
        await asyncio.sleep(0)
        clock.now += 1.0
    assert numbers[Cell.IN_FLIGHT] == 3
    gate.set()
    await asyncio.gather(*tasks)
    assert numbers[Cell.IN_FLIGHT_SECONDS] == pytest.approx(3.0 + 2.0 + 1.0)


async def test_concurrent_upstream_calls_of_a_request_count_once(numbers, clock):
    async def call(started, gate):
        with upstream():
            started.set()
            await gate.wait()

    async def app(scope, receive, send):
        first, second = asyncio.Event(), asyncio.Event()
        tasks = []
        for gate in (first, second):
            started = asyncio.Event()
            tasks.append(asyncio.create_task(call(started, gate)))
            await started.wait()
            clock.now += 1.0
        assert numbers[Cell.UPSTREAM_OPEN] == 1
        first.set()
        await tasks[0]
        clock.now += 1.0
        second.set()
        await tasks[1]
        clock.now += 1.0

    await count_requests(app, numbers)(SCOPE, receive, send)
    assert numbers[Cell.UPSTREAM_SECONDS] == pytest.approx(3.0)
    assert numbers[Cell.IN_FLIGHT_SECONDS] == pytest.approx(4.0)


async def test_an_upstream_call_left_open_ends_with_its_request(numbers, clock):
    left = []

    async def app(scope, receive, send):
        left.append(requests.UpstreamCall())
        clock.now += 1.0

    await count_requests(app, numbers)(SCOPE, receive, send)
    clock.now += 5.0
    left[0].end()
    assert numbers[Cell.UPSTREAM_OPEN] == 0
    assert numbers[Cell.UPSTREAM_SECONDS] == pytest.approx(1.0)


async def test_an_upstream_call_outside_any_request_is_not_counted(numbers):
    with upstream():
        pass
    assert numbers[Cell.UPSTREAM_SECONDS] == 0


async def test_an_active_hook_may_change_the_head_of_a_response(numbers):
    sent = []

    async def noted(message):
        sent.append(message)

    hook = SimpleNamespace(active=True, before_headers=lambda message, _: {**message, "seen": True})
    wrapper = count_requests(answering(200), numbers, hook=hook)
    await wrapper(SCOPE, receive, noted)
    assert [(one["type"], one.get("seen")) for one in sent] == [
        ("http.response.start", True),
        ("http.response.body", None),
    ]


async def test_only_requests_with_proxy_headers_take_the_forwarded_path(numbers):
    way = []

    async def proxied(scope, receive, send):
        way.append(scope["path"])

    wrapper = count_requests(answering(200), numbers, forwarded=proxied)
    for path, name in (("/a", b"host"), ("/b", b"x-forwarded-for"), ("/c", b"x-forwarded-proto")):
        await wrapper(SCOPE | {"path": path, "headers": [(name, b"x")]}, receive, send)
    assert way == ["/b", "/c"]


async def test_counts_are_written_in_batches(numbers):
    seen = []

    async def app(scope, receive, send):
        seen.append(numbers.numbers[Cell.IN_FLIGHT])
        await answering(200)(scope, receive, send)

    await count_requests(app, numbers)(SCOPE, receive, send)
    assert seen == [1], "a request that blocks the loop is counted while it does"
    assert numbers.numbers[Cell.SUCCESS] == 0
    async with asyncio.timeout(5):
        while numbers.numbers[Cell.SUCCESS] == 0:  # noqa: ASYNC110 - it is written, not announced
            await asyncio.sleep(0.001)
    assert numbers.numbers[Cell.IN_FLIGHT] == 0


async def test_open_websockets_are_counted_apart_from_requests(numbers):
    during = []

    async def app(scope, receive, send):
        during.append((numbers.websockets, int(numbers[Cell.IN_FLIGHT])))
        if scope.get("fails"):
            raise RuntimeError("gone")

    counted = count_requests(app, numbers)
    await counted({**SCOPE, "type": "websocket"}, receive, send)
    with pytest.raises(RuntimeError):
        await counted({**SCOPE, "type": "websocket", "fails": True}, receive, send)
    await counted({"type": "lifespan"}, receive, send)
    assert during == [(1, 0), (1, 0), (0, 0)]
    assert numbers.websockets == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_response_counts_as_a_stream_from_its_first_part_to_its_end(numbers, fails):
    during = []

    async def app(scope, receive, send):
        for message in (
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": b"a", "more_body": True},
            {"type": "http.response.body", "body": b"b", "more_body": True},
        ):
            await send(message)
            during.append(numbers.streams)
        if fails:
            raise RuntimeError("the upstream is gone")

    try:
        await count_requests(app, numbers)(SCOPE, receive, send)
    except RuntimeError:
        assert fails
    assert during == [0, 1, 1]
    assert numbers.streams == 0


async def test_a_response_in_one_piece_is_no_stream(numbers):
    await count_requests(answering(200), numbers)(SCOPE, receive, send)
    assert numbers.streams == 0
