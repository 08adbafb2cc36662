"""A worker that ends while a connection is being accepted, in each round of its loop.

The listener has a copy elsewhere, as in a pod: what the worker does not accept waits for another.
"""

import asyncio
import contextlib
import socket
from types import SimpleNamespace

import pytest
import uvloop
from runtime_support.pod import until

from aiapi_runtime.limits.connection import WholeRequestProtocol
from aiapi_runtime.limits.h11_connection import H11Connection
from aiapi_runtime.runtime import listener, worker_server
from aiapi_runtime.runtime.channel import Channel
from aiapi_runtime.runtime.connection_close import ConnectionCloser
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_server import WorkerServer, make_config

ROUNDS = range(10)
REQUEST = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
ANSWERED, LEFT = "HTTP/1.1 200", "left to another worker"


class Worker:
    """A worker's server in this process, and the supervisor's ends."""

    def __init__(self, connection, kind=WorkerServer, app=None):
        self.supervisor, self._channel = Channel.pair()
        self.listener = listener.bind("127.0.0.1", 0, 16)
        self._copy = self.listener.dup()
        self._client = None
        settings = RuntimeSettings(app="app:app", idle_wait=0.1)
        self.server = kind(
            make_config(app or answer, connection, settings),
            settings,
            self._channel,
            ConnectionCloser(),
            SimpleNamespace(begin_serving=int, end_serving=int),
        )
        for end in (self.supervisor, self._channel):
            end.sock.setblocking(False)

    async def serve(self):
        await self.server.serve(sockets=[self.listener])

    async def started(self):
        return self.server.started

    def connect(self):
        self._client = socket.create_connection(self._copy.getsockname())
        self._client.sendall(REQUEST)

    def drain(self, *, pod_ends=False):
        self.supervisor.send({"command": "drain", "pod_ends": pod_ends, "seconds": 5})

    def close(self):
        for one in (self.supervisor, self._channel, self.listener, self._copy, self._client):
            one.close()

    def outcome(self):
        with contextlib.closing(self):
            return self._outcome()

    def _outcome(self):
        with contextlib.suppress(BlockingIOError):
            self._copy.accept()[0].close()
            return LEFT
        self._client.settimeout(5)
        try:
            return self._client.recv(12).decode()
        except OSError as error:
            return repr(error)


async def answer(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def rounds_of_the_loop(count):
    for _ in range(count):
        await asyncio.sleep(0)


KINDS = {
    "asyncio": (asyncio.new_event_loop, H11Connection),
    "uvloop": (uvloop.new_event_loop, WholeRequestProtocol),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def outcomes(request):
    """What became of the request, for each number of rounds between two events."""
    new_loop, connection = request.param

    def each(scenario):
        for rounds in ROUNDS:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                worker = runner.run(scenario(connection, rounds))
            # As after the process: its loop is closed.
            yield worker.outcome()

    return lambda scenario: list(each(scenario))


def test_a_connection_accepted_before_a_drain(outcomes):
    async def scenario(connection, rounds):
        worker = Worker(connection)
        serving = asyncio.create_task(worker.serve())
        await until(worker.started)
        worker.connect()
        await rounds_of_the_loop(rounds)
        worker.drain()
        await serving
        return worker

    found = outcomes(scenario)
    assert set(found) <= {ANSWERED, LEFT}
    assert found[-1] == ANSWERED


def test_a_connection_accepted_while_a_drain_begins(outcomes):
    async def scenario(connection, rounds):
        worker = Worker(connection)
        serving = asyncio.create_task(worker.serve())
        await until(worker.started)
        worker.drain()
        await rounds_of_the_loop(rounds)
        worker.connect()
        await serving
        return worker

    found = outcomes(scenario)
    assert set(found) <= {ANSWERED, LEFT}
    assert found[-1] == LEFT


def test_a_connection_accepted_in_the_last_rounds_of_a_pod(outcomes):
    async def scenario(connection, rounds):
        class Ending(WorkerServer):
            ticks = 0

            async def on_tick(self, counter):
                await super().on_tick(counter)
                self.ticks += self._drain_requested.is_set()
                if self.ticks == 2:
                    # The second quiet one, after which the worker ends.
                    worker.connect()
                    await rounds_of_the_loop(rounds)

        worker = Worker(connection, Ending)
        serving = asyncio.create_task(worker.serve())
        await until(worker.started)
        worker.drain(pod_ends=True)
        await serving
        return worker

    found = outcomes(scenario)
    assert set(found) <= {ANSWERED, LEFT}
    assert found[-1] == ANSWERED


def test_a_connection_accepted_while_a_worker_has_as_many_as_it_may(outcomes, monkeypatch):
    monkeypatch.setattr(worker_server, "connection_limit", lambda: 1)

    async def scenario(connection, rounds):
        worker = Worker(connection)
        serving = asyncio.create_task(worker.serve())
        await until(worker.started)
        with socket.create_connection(worker.listener.getsockname()):
            await rounds_of_the_loop(rounds)
            worker.connect()
            await rounds_of_the_loop(10)
            worker.drain()
            await serving
        return worker

    found = outcomes(scenario)
    assert set(found) <= {ANSWERED, LEFT}
    assert found[-1] == LEFT


def test_a_connection_that_waits_for_a_worker_drained_at_its_start(outcomes):
    async def scenario(connection, rounds):
        async def app(scope, receive, send):
            if scope["type"] != "lifespan":
                await answer(scope, receive, send)
                return
            await receive()
            worker.connect()
            await send({"type": "lifespan.startup.complete"})
            await rounds_of_the_loop(rounds)
            worker.drain()
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        worker = Worker(connection, app=app)
        await asyncio.create_task(worker.serve())
        return worker

    assert set(outcomes(scenario)) <= {ANSWERED, LEFT}
