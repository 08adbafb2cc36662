"""How many pods to wake. Pure."""

from math import ceil

from aiapi_operator.activator.fleet import Fleet


def pods_to_wake(fleet: Fleet, open_requests: int) -> int:
    """Enough for the forecast and for the requests that are held or in flight; at least one.

    While the fleet serves, the operator sizes it, and one pod must only exist.
    """
    if fleet.phase in ("Serving", "Leaving"):
        return 1
    for_requests = ceil(open_requests / fleet.pod_concurrency)
    wanted = max(1, fleet.wake_replicas, for_requests)
    return wanted if fleet.max_replicas is None else max(1, min(wanted, fleet.max_replicas))
