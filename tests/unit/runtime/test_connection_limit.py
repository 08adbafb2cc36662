"""When a worker counts as full, and when it has space again."""

from aiapi_runtime.runtime.connection_limit import LimitedConnections, connection_limit


def test_each_callback_runs_once():
    said = []
    connections = LimitedConnections(100, lambda: said.append("full"), lambda: said.append("space"))
    for number in range(105):
        connections.add(number)
    assert said == ["full"]
    for number in range(6):
        connections.discard(number)
    assert said == ["full"], "a little space is not enough: it would flap"
    connections.discard(6)
    connections.discard(7)
    assert said == ["full", "space"]
    assert len(connections) == 97


def test_some_files_are_reserved_for_other_uses():
    assert connection_limit() > 0
