"""The leader is stopped with SIGSTOP, and goes on after another has taken over."""

import pytest
from e2e_support.fault import Row, Steady, hold
from e2e_support.faulty_operator import FaultyOperator
from e2e_support.kubectl import eventually

ROW = Row(
    fault="operator paused for 60 s",
    user="nothing",
    operator="The standby takes over. The paused one sees that its term is over before it writes;"
    " its liveness probe may restart it before that",
)


@pytest.mark.timeout(300)
def test_the_operator_is_paused(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        leader = operator.leading()
        leader.signal("SIGSTOP")
        hold(20)
        eventually(
            lambda: operator.leader() != leader.pod,
            within=20,
            what="the standby leads, or the liveness probe has restarted the leader",
            state=operator.leader,
        )
        hold(40)
        eventually(
            lambda: leader.has_signalled("SIGCONT"),
            within=30,
            what="the paused leader, or the one that the probe has restarted, goes on",
        )
