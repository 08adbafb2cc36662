"""Two operators run; only the leader writes."""

import json

from e2e_support.fault import Row, Steady, hold
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="two operators at once",
    user="nothing",
    operator="One holds the Lease and acts; the other only watches",
)
WRITES = {
    "methods": ["POST", "PATCH", "PUT", "DELETE"],
    "path": "^(?!.*/leases)",
    "action": "pass",
}


def test_two_operators_run(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault(grows=2):
        leader = operator.leading()
        others = [each for each in operator.sidecars() if each.pod != leader.pod]
        assert others
        for sidecar in (leader, *others):
            sidecar.rules(WRITES)
        for interval in ("1s", "2s", "1s"):
            edit = json.dumps({"spec": {"scaling": {"interval": interval}}})
            steady.cluster.kubectl("patch", "aiapi", steady.name, "--type=merge", "-p", edit)
            hold(3)
        assert operator.leader() == leader.pod
        assert leader.seen()[0] > 0
        assert [each.seen() for each in others] == [[0] for _ in others]
