"""Every watch ends after a second."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="watches end every second",
    user="nothing",
    operator="Opens them again; ticks go on",
)
RULE = {"path": r"watch=true", "action": "cut", "seconds": 1.0}


def test_watches_dropped(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 15) > 0
