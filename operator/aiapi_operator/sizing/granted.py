"""The workers that pods can have. A resize that is not granted is no capacity.

All pods get the same share of the load, so the pod with the fewest workers is full first, and pods
are planned with what it can have. As many pods as there may be slow requests do not count: with a
p95 objective one of twenty, two of forty.

    2 of 2 pods on full nodes, 1 worker each, a need of 6:   6 pods x 1 instead of 2 x 3
    1 of 20 pods on a full node, 1 worker, a need of 80:     20 pods x 4 as before

Pods with room keep what they need until others have started, so orders are bounded by the pod that
can have the most.
"""

from aiapi_operator.sizing.inputs import Fleet, SizingSpec


def per_pod(spec: SizingSpec, fleet: Fleet) -> int:
    """Workers that nearly every pod can have: no pods are planned with more."""
    tolerated = int(len(fleet.pods) * (100 - spec.objective.percentile) / 100 + 1e-9)
    counts = sorted(refused.granted for refused in fleet.refused)
    return _bounded(spec, counts[tolerated]) if tolerated < len(counts) else spec.workers.max


def most(spec: SizingSpec, fleet: Fleet) -> int:
    """Workers that some pod that takes traffic can have: no more are ordered."""
    refused = {each.pod: each.granted for each in fleet.refused}
    if not refused or any(pod.ready and pod.pod not in refused for pod in fleet.pods):
        return spec.workers.max
    return _bounded(spec, max(refused.values()))


def _bounded(spec: SizingSpec, workers: int) -> int:
    return min(spec.workers.max, max(spec.workers.min, workers))
