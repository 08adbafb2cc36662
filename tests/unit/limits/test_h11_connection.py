"""A connection on h11, as the parts that close and move connections see it."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from aiapi_runtime.limits.h11_connection import H11Connection
from aiapi_runtime.runtime.connection_close import is_idle

HEAD = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\n"


class Transport(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.written = b""

    def get_extra_info(self, name, default=None):
        return default

    def write(self, data):
        self.written += data

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def answer(scope, receive, send):
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def connection():
    config = uvicorn.Config(answer, http=H11Connection, ws="none", lifespan="off", log_config=None)
    made = H11Connection(config, ServerState(), {})
    made.connection_made(Transport())
    yield made
    if made.timeout_keep_alive_task:
        made.timeout_keep_alive_task.cancel()


async def feed(connection, *parts):
    for part in parts:
        connection.data_received(part)
        await asyncio.gather(*connection.tasks)


async def test_it_is_idle_before_and_after_a_request(connection):
    assert is_idle(connection)
    await feed(connection, HEAD)
    assert connection.transport.written.startswith(b"HTTP/1.1 200")
    assert is_idle(connection)


@pytest.mark.parametrize("before", [b"", HEAD])
async def test_with_a_part_of_a_head_it_is_not_idle(connection, before):
    await feed(connection, before + HEAD[:10])
    assert not is_idle(connection)
    await feed(connection, HEAD[10:])
    assert is_idle(connection)


async def test_after_an_early_response_it_is_idle_once_the_body_has_arrived(connection):
    await feed(connection, POST + b"ab")
    assert connection.cycle.response_complete
    assert not is_idle(connection)
    await feed(connection, b"cd")
    assert is_idle(connection)
