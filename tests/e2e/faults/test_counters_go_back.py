"""The counters of all pods are lower in each answer."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.fault_fleet import pod_sidecars

ROW = Row(
    fault="counters go back",
    user="nothing",
    operator="The pods count as unknown for up to a minute; keeps the fleet",
)
KEYS = ["success", "loop_seconds", "in_flight_seconds", "worker_seconds"]
RULE = {"path": "^/stats", "action": "rewind", "keys": KEYS}


def test_counters_go_back(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        hit = pod_sidecars(steady, is_local=is_local)
        for sidecar in hit:
            sidecar.rules(RULE)
        hold(20)
        for sidecar in hit:
            sidecar.rules()
