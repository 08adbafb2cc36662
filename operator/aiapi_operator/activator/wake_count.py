"""How many pods to wake. Pure."""

from math import ceil

from aiapi_operator.activator.fleet import Fleet


def pods_to_wake(fleet: Fleet, open_requests: int) -> int:
    """Enough for the forecast and for the requests that are held or in flight; at least one.

    While the fleet serves, the operator sizes it, and one pod must only exist. While it is not
    known what a pod can take, requests do not count: a page that sends 20 of them needs no 20 pods.
    """
    if fleet.phase in ("Serving", "Leaving"):
        return 1
    one = fleet.pod_concurrency
    for_requests = ceil(open_requests / one) if one else 0
    wanted = max(1, fleet.wake_replicas, for_requests)
    return wanted if fleet.max_replicas is None else max(1, min(wanted, fleet.max_replicas))
