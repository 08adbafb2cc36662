"""The API server sheds load: 429 with Retry-After."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="API server answers 429",
    user="nothing",
    operator="Waits as long as `Retry-After` says",
)
RULE = {"action": "status", "status": 429, "headers": {"Retry-After": "2"}}


def test_api_server_answers_429(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 15) > 0
