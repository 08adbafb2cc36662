"""Which responses end their connection, and which connections are idle."""

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


START = {"type": "http.response.start", "status": 200, "headers": [(b"x", b"1")]}


def closes(closer, connection, message=START):
    """Whether the head of a response on this connection ends it."""
    if closer.active:
        message = closer.before_headers(message, connection.cycle.receive)
    return (b"connection", b"close") in message.get("headers", ())


def test_nothing_is_closed_in_quiet_times():
    assert not closes(ConnectionCloser(), Connection())


def test_all_are_closed_while_draining():
    closer = ConnectionCloser()
    closer.close_all()
    assert [closes(closer, Connection()) for _ in range(3)] == [True] * 3


def test_only_as_many_are_closed_as_requested():
    closer = ConnectionCloser()
    closer.close_next(2)
    assert [closes(closer, Connection()) for _ in range(4)] == [True, True, False, False]


def test_the_apps_message_is_copied_and_its_own_connection_header_replaced():
    closer = ConnectionCloser()
    closer.close_all()
    message = {**START, "headers": ((b"connection", b"keep-alive"), (b"x", b"1"))}
    sent = closer.before_headers(message, Connection().cycle.receive)
    assert sent["headers"] == [(b"x", b"1"), (b"connection", b"close")]
    assert len(message["headers"]) == 2, "an app may send one constant message many times"
    assert closes(closer, Connection(), {"type": "http.response.start", "status": 204})


@pytest.mark.parametrize("state", [{"more_body": True}, {"pipeline": [1]}, {"keep_alive": False}])
def test_a_connection_that_cannot_be_closed_safely_is_not_counted(state):
    closer = ConnectionCloser()
    closer.close_all()
    closer.close_next(1)
    assert not closes(closer, Connection(**state))
    closer.draining = False
    assert [closes(closer, Connection()) for _ in range(2)] == [True, False]


def test_a_server_that_is_not_uvicorn_is_left_alone():
    async def receive():
        pass

    closer = ConnectionCloser()
    closer.close_all()
    closer.close_next(1)
    assert closer.before_headers(START, receive) is START
    closer.draining = False
    assert [closes(closer, Connection()) for _ in range(2)] == [True, False]


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
