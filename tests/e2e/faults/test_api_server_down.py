"""The API server refuses all connections."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="API server down",
    user="nothing; `kubectl` does not work either",
    operator="Keeps the fleet. Ticks fail and are repeated with backoff; the watches resume",
    is_short=True,
)


def test_the_api_server_is_down(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        for sidecar in operator.sidecars():
            sidecar.rules({"action": "close"})
        hold(12)
        operator.heal()
