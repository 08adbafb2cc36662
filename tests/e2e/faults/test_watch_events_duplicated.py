"""Each watch event arrives twice."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="watch events arrive twice",
    user="nothing",
    operator="Nothing: an event only triggers the comparison with the target state",
)
RULE = {"path": r"watch=true", "action": "duplicate"}


def test_watch_events_duplicated(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 10) > 0
