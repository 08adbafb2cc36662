"""The API server refuses all connections."""

import pytest
from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="API server down for 60 s",
    user="nothing; `kubectl` does not work either",
    operator="Keeps the fleet. Ticks fail and are retried with backoff; the watches resume",
    is_short=True,
)


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.long_fault)])
def test_the_api_server_is_down(steady: Steady, operator: FaultyOperator, seconds: int) -> None:
    with steady.fault():
        assert operator.suffer({"action": "close"}, seconds) > 0
