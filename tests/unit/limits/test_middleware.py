"""The limit from the caller's side."""

import asyncio

import pytest

from aiapi_runtime.limits import Priority, classify, priority
from aiapi_runtime.limits.middleware import ConcurrencyLimiter


class Clock:
    """A loop that has been busy for a share of the time."""

    def __init__(self, busy=0.0):
        self.busy = busy
        self.wall = 0.0

    def read(self):
        self.wall += 1.0
        return self.busy * self.wall, self.wall


class App:
    def __init__(self):
        self.gate = asyncio.Event()
        self.started = 0

    async def __call__(self, scope, receive, send):
        self.started += 1
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})


async def ask(limiter, path="/", headers=()):
    said = []

    async def send(message):
        said.append(message)

    await limiter({"type": "http", "path": path, "headers": list(headers)}, None, send)
    return said[0]["status"], dict(said[0]["headers"])


@pytest.fixture
async def app():
    return App()


async def asking(limiter, count, **kwargs):
    tasks = [asyncio.create_task(ask(limiter, **kwargs)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_requests_beyond_the_limit_wait_briefly_and_get_retry_after(app):
    limiter = ConcurrencyLimiter(app, "2", Clock())
    inside = await asking(limiter, 2)
    queued, refused = await asking(limiter, 2)
    status, headers = await refused
    assert (status, headers[b"retry-after"] in (b"1", b"2", b"3")) == (503, True)
    assert not queued.done()
    assert (await queued)[0] == 503, "the queue has a deadline"
    app.gate.set()
    assert [(await one)[0] for one in inside] == [200, 200]
    assert app.started == 2
    await asyncio.sleep(0)
    assert limiter.gate.open == 0


async def test_probes_are_never_refused(app):
    limiter = ConcurrencyLimiter(app, "1", Clock())
    inside = await asking(limiter, 1)
    probes = await asking(limiter, 5, path="/readyz")
    app.gate.set()
    assert [(await one)[0] for one in (*inside, *probes)] == [200] * 6


async def test_an_app_may_classify_requests(app, monkeypatch):
    monkeypatch.setattr(priority._Current, "classifier", staticmethod(priority.by_header))

    @classify
    def by_path(scope):
        return Priority.EXEMPT if scope["path"] == "/pay" else Priority.NORMAL

    limiter = ConcurrencyLimiter(app, "1", Clock())
    inside = await asking(limiter, 1)
    paying = await asking(limiter, 3, path="/pay")
    app.gate.set()
    assert [(await one)[0] for one in (*inside, *paying)] == [200] * 4


async def test_an_app_that_never_awaits_does_not_hide_waiting_requests():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    limiter = ConcurrencyLimiter(app, "3", Clock())
    answers = await asyncio.gather(*(ask(limiter) for _ in range(10)))
    statuses = [status for status, _ in answers]
    assert statuses.count(200) <= 4
    assert statuses.count(503) >= 6


async def test_a_caller_that_disconnects_in_the_queue_frees_its_place(app):
    limiter = ConcurrencyLimiter(app, "1", Clock())
    inside = await asking(limiter, 1)
    (waiting,) = await asking(limiter, 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    app.gate.set()
    await inside[0]
    await asyncio.sleep(0)
    assert limiter.gate.open == 0
    assert (await ask(limiter))[0] == 200


async def test_the_limit_grows_while_the_loop_has_time_left(app):
    limiter = ConcurrencyLimiter(app, "auto", Clock(busy=0.1))
    inside = await asking(limiter, 20)

    async def everybody():
        while limiter.gate.limit <= 32:  # noqa: ASYNC110 - it is measured, not announced
            await asyncio.sleep(0.01)

    await asyncio.wait_for(everybody(), 5)
    app.gate.set()
    assert [(await one)[0] for one in inside] == [200] * 20
