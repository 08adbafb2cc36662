"""The condition GraceTooShort: pods end before their longest responses do. Pure.

A rollout, a scale-down or a drain ends a pod. It then has its grace period for what it has
accepted. Longer responses are cut, and nothing but this condition tells beforehand.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil

from aiapi_operator.engine.fleet import Observation
from aiapi_operator.manifests import app_container
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import condition
from aiapi_operator.sizing.histogram import merge, percentile
from aiapi_operator.sizing.inputs import Histogram, ObjectiveKind
from aiapi_operator.sizing.state import Latencies, State

KIND = "GraceTooShort"
_ENOUGH = 100
"""Responses for a 99th percentile."""
_PODS = 200
"""Pods that are read of a large fleet, or up to twice as many."""


def check(observation: Observation, sizing: State) -> Condition:
    """Whether a hundredth of the responses since the pods started took longer than the grace.

    ``sizing`` is the right-sizer's state after this tick.
    """
    seconds = app_container.drain_seconds(observation.aiapi)
    longest = _longest([sample.latency for sample in observation.samples.values()], sizing)
    if longest is None:
        return condition(KIND, None, "NoData", f"Fewer than {_ENOUGH} responses have ended.")
    if longest <= seconds:
        return condition(
            KIND, False, "ResponsesFit", f"99 % of the responses end within {seconds} s."
        )
    enough = ceil(1.5 * longest) + app_container.AROUND_DRAIN
    return condition(
        KIND,
        True,
        "ResponsesTakeLonger",
        f"1 % of the responses take {longest:.0f} s or longer, but a pod that ends waits only"
        f" {seconds} s for them: rollouts and scale-downs cut them. Set"
        f" podTemplate.spec.terminationGracePeriodSeconds to {enough}.",
    )


def _longest(histograms: Sequence[Histogram], sizing: State) -> float | None:
    """The 99th percentile in seconds over all pods; None for too few responses."""
    known = sizing.merged.get(ObjectiveKind.LATENCY)
    if known is not None and 0 < len(known.parts) == len(histograms):
        times: Latencies = histograms[0].bounds, known.counts
    else:
        times = _largest(histograms[:: max(1, len(histograms) // _PODS)])
    found = percentile(*times, 99)
    return found.seconds if found is not None and sum(times[1]) >= _ENOUGH else None


def _largest(histograms: Iterable[Histogram]) -> Latencies:
    """The sum over all pods. During a rollout, pods may have different bounds: then of those that
    have the same and served most."""
    groups = defaultdict(list)
    for each in histograms:
        groups[each.bounds].append(each.counts)
    merged = [(bounds, merge(counts)) for bounds, counts in groups.items()]
    return max(merged, key=lambda one: sum(one[1]), default=((), ()))
