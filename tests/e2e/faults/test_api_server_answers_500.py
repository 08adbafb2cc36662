"""The API server fails every request."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="API server answers 500",
    user="nothing",
    operator="Keeps the fleet and repeats with backoff",
)
RULE = {"action": "status", "status": 500}


def test_api_server_answers_500(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 15) > 0
