"""Connections that stay open: those with a request keep the pods, the others do not."""

import pytest
from e2e_support.kubectl import throughout
from e2e_support.zero import AFTER, GRACE, Zero, lost

LONG = AFTER + GRACE + 15
"""Seconds after which the fleet would be at zero."""


@pytest.mark.long_zero
def test_an_open_long_poll_and_a_websocket_are_not_idle(zero: Zero) -> None:
    zero.deploy()
    zero.wait_answering()
    poll = zero.send({"at": 0, "path": f"/?seconds={LONG}"})
    socket = zero.send({"at": 0, "path": "ws", "seconds": LONG})
    for each, event in ((poll, "start"), (socket, "connected")):
        each.wait_for(event)
    throughout(
        lambda: zero.replicas() == 1 or str(zero.activation()),
        seconds=LONG - 5,
        what="the pod stays",
    )
    assert lost([*poll.results(), *socket.results()]) == []
    zero.wait_asleep()


@pytest.mark.long_zero
def test_a_websocket_opened_at_zero_is_held_and_stays(zero: Zero) -> None:
    zero.deploy()
    zero.put_to_zero()
    socket = zero.send({"at": 0, "path": "ws", "seconds": LONG})
    socket.wait_for("connected")
    zero.wait_phase("Serving")
    throughout(
        lambda: zero.replicas() == 1 or str(zero.activation()),
        seconds=LONG - 5,
        what="the pod stays",
    )
    assert lost(socket.results()) == []


@pytest.mark.long_zero
def test_keep_alive_clients_lose_nothing(zero: Zero) -> None:
    """Requests on connections that were kept while the fleet went to zero, and came back."""
    zero.deploy()
    zero.wait_answering()
    busy = [{"at": number / 20} for number in range(100)]
    after = [{"at": AFTER + GRACE + 32 + number / 20} for number in range(300)]
    client = zero.send(*busy, *after, keep_alive=True)
    zero.wait_phase("Asleep", within=AFTER + GRACE + 30)
    assert lost(client.results()) == []
    zero.wait_phase("Serving")
