"""Each watch event arrives 5 s late."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="watch events arrive 5 s late",
    user="nothing",
    operator="Ticks go on with the last known objects; an answer to a write counts at once",
)
RULE = {"path": r"watch=true", "action": "late", "seconds": 5.0}


def test_watch_events_late(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 20) > 0
