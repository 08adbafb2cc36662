"""Threads of all ready pods between two samples."""

from collections.abc import Iterable

from aiapi_operator.sizing.counters import MAX_COUNTER
from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.state import ThreadUse


def measure(
    pods: Iterable[tuple[PodSample, PodSample | None]], *, ready: int
) -> tuple[tuple[ThreadUse, ...], int]:
    """Threads of all ready pods since their last samples, and the concurrent requests per worker.

    A pod that does not report its threads counts as the mean of those that do.
    """
    sums: dict[str, list[float]] = {}
    said, most = 0, 0
    for pod, before in pods:
        pools = pod.threads
        if pools is None and pod.worker_limit == 0:
            continue
        if pod.worker_limit > 0 and not any(p.limit == pod.worker_limit for p in pools or ()):
            # A pool of the same size is that limit: then the use of its threads counts.
            most = min(most or pod.worker_limit, pod.worker_limit)
        uses = None if pools is None or before is None else _since(pod, before)
        if uses is None:
            continue
        said += 1
        for name, limit, busy, waiting in uses:
            found = sums.setdefault(name, [limit, 0.0, 0.0])
            found[0] = min(found[0], limit)
            found[1] += busy
            found[2] += waiting
    scale = ready / max(1, said)
    total = (
        ThreadUse(name=name, limit=int(limit), busy=busy * scale, waiting=waiting * scale)
        for name, (limit, busy, waiting) in sums.items()
    )
    return tuple(total), most


def _since(pod: PodSample, before: PodSample) -> list[tuple[str, int, float, float]] | None:
    """Each pool's name, limit, busy threads and waiting calls; None if they are unknown."""
    if before.threads is None:
        return None
    past = {each.name: each for each in before.threads}
    seconds = pod.time - before.time
    uses = []
    for pool in pod.threads or ():
        # Pods do not report a pool before its first use.
        old = past.get(pool.name)
        busy = pool.busy_seconds - (old.busy_seconds if old else 0.0)
        waiting = pool.waiting_seconds - (old.waiting_seconds if old else 0.0)
        if not (pool.limit > 0 and busy >= 0 and waiting >= 0 and busy + waiting <= MAX_COUNTER):
            return None
        uses.append((pool.name, pool.limit, busy / seconds, waiting / seconds))
    return uses
