"""Every watch answers 410 Gone."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="watches answer 410",
    user="nothing",
    operator="Lists again",
)
RULE = {"path": r"watch=true", "action": "gone"}


def test_watches_expired(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        for sidecar in operator.sidecars():
            sidecar.rules(RULE)
        hold(10)
        operator.heal()
