"""A worker says when it has no room for more connections, and when it has some again."""

from aiapi_runtime.runtime.connection_limit import LimitedConnections, connection_limit


def test_it_is_told_once_that_it_is_full_and_once_that_there_is_room():
    said = []
    connections = LimitedConnections(100, lambda: said.append("full"), lambda: said.append("room"))
    for number in range(105):
        connections.add(number)
    assert said == ["full"]
    for number in range(6):
        connections.discard(number)
    assert said == ["full"], "a little room is not enough: it would flap"
    connections.discard(6)
    connections.discard(7)
    assert said == ["full", "room"]
    assert len(connections) == 97


def test_some_files_are_kept_for_other_uses():
    assert connection_limit() > 0
