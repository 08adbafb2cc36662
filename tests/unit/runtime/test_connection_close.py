"""When a response tells its client that the connection ends with it."""

from collections import deque
from types import SimpleNamespace

import pytest

from aiapi_runtime.runtime.connection_close import ConnectionCloser, is_idle


class Connection:
    def __init__(self, *, keep_alive=True, more_body=False, pipeline=()):
        self.pipeline = deque(pipeline)
        self.cycle = Cycle(self, keep_alive=keep_alive, more_body=more_body)

    def on_response_complete(self):
        pass


class Cycle:
    def __init__(self, connection, *, keep_alive, more_body):
        self.keep_alive = keep_alive
        self.more_body = more_body
        self.on_response = connection.on_response_complete

    async def receive(self):
        pass


def ask(closer, connection):
    if closer.active:
        closer.at_start(connection.cycle.receive)
    return connection.cycle.keep_alive


def test_nothing_is_closed_in_quiet_times():
    assert ask(ConnectionCloser(), Connection()) is True


def test_all_are_closed_while_leaving():
    closer = ConnectionCloser()
    closer.leave()
    assert [ask(closer, Connection()) for _ in range(3)] == [False] * 3


def test_only_as_many_are_shed_as_asked():
    closer = ConnectionCloser()
    closer.shed(2)
    assert [ask(closer, Connection()) for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("state", [{"more_body": True}, {"pipeline": [1]}])
def test_a_connection_with_more_to_read_stays_and_costs_no_share(state):
    closer = ConnectionCloser()
    closer.leave()
    closer.shed(1)
    assert ask(closer, Connection(**state)) is True
    closer.leaving = False
    assert [ask(closer, Connection()) for _ in range(2)] == [False, True]


def test_a_server_that_is_not_uvicorn_is_left_alone():
    async def receive():
        pass

    closer = ConnectionCloser()
    closer.leave()
    closer.shed(1)
    closer.at_start(receive)
    closer.leaving = False
    assert [ask(closer, Connection()) for _ in range(2)] == [False, True]


def idle_connection(**changes):
    scope = {}
    cycle = SimpleNamespace(scope=scope, response_complete=True, more_body=False)
    transport = SimpleNamespace(is_closing=lambda: False, get_write_buffer_size=lambda: 0)
    parts = {"scope": scope, "cycle": cycle, "transport": transport, "pipeline": deque()}
    return SimpleNamespace(**(parts | changes))


def test_a_connection_between_two_requests_is_idle():
    assert is_idle(idle_connection())
    assert is_idle(idle_connection(scope=None, cycle=None)), "nothing was asked yet"


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": {"type": "http", "half": "read"}},
        {"cycle": SimpleNamespace(scope={}, response_complete=False, more_body=False)},
        {"pipeline": deque([1])},
        {"transport": SimpleNamespace(is_closing=lambda: True)},
        {"transport": SimpleNamespace(is_closing=lambda: False, get_write_buffer_size=lambda: 1)},
    ],
)
def test_a_connection_with_anything_in_hand_is_not_idle(changes):
    assert not is_idle(idle_connection(**changes))
