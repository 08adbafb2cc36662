"""The API server accepts connections and never answers."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="API server hangs",
    user="nothing",
    operator="Keeps the fleet. Each request has a deadline and is retried;"
    " the leader stops acting before its term ends",
)
RULE = {"action": "hang"}


def test_api_server_hangs(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 25) > 0
