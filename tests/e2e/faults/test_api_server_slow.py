"""Each answer of the API server takes 5 s longer."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="API server 5 s slower",
    user="nothing",
    operator="Ticks take longer. The lease is given up: its requests have 4 s",
)
RULE = {"action": "delay", "seconds": 5}


def test_api_server_slow(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 25) > 0
