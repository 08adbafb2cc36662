"""Paused connections: whether the client is still there, and who waits to write."""

import asyncio
import socket

import pytest

from aiapi_runtime.limits.flow import WatchedFlow, has_left


@pytest.fixture
def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
    with client, served:
        yield client, served


def test_a_client_that_is_connected_has_not_left(pair):
    _, served = pair
    assert not has_left(served)


def test_a_client_that_closed_behind_unread_data_has_left(pair):
    client, served = pair
    client.sendall(b"unread")
    client.shutdown(socket.SHUT_WR)
    assert has_left(served)


def test_a_socket_whose_state_is_unknown_counts_as_connected():
    left, right = socket.socketpair()
    with left, right:
        right.close()
        assert not has_left(left)
    assert not has_left(None)


class Transport:
    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def test_writers_wait_until_writing_resumes():
    flow = WatchedFlow(Transport())
    await flow.drain()
    flow.pause_writing()
    waiting = [asyncio.create_task(flow.drain()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    flow.resume_writing()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
