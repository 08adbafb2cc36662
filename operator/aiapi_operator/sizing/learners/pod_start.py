"""Pod start: the time from ordering a pod until it is ready, as measured in this fleet.

Example: ordered at 0 s, all ready at 24 s: 24 s. The next order took 16 s: (24 + 16) / 2 = 20 s. An
order that is not complete within ten minutes is not a measurement of a pod's start.
"""

from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStartTuning:
    """Numbers of this learner."""

    first: float = 10.0
    """Seconds assumed before the first measurement. A small image that the node has starts in 5 to
    15 s."""
    longest: float = 600.0
    """Seconds after which an order is no longer measured. The default of
    progressDeadlineSeconds."""


TUNING = PodStartTuning()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStart:
    """The measured ``seconds``, and the order whose pods are not all ready yet."""

    seconds: float | None = None
    ordered_at: float | None = None
    replicas: int = 0


def seconds(facts: Facts) -> float:
    """Seconds from ordering a pod until it is ready."""
    known = facts.get(PodStart)
    return TUNING.first if known is None or known.seconds is None else known.seconds


def learn(known: PodStart | None, facts: Facts) -> PodStart:
    """Measure from an order until all its pods are ready."""
    known = _ordered(known or PodStart(), facts)
    if known.ordered_at is None:
        return known
    took = facts.now - known.ordered_at
    if took > TUNING.longest:
        return PodStart(seconds=known.seconds)
    if facts.seen.ready < known.replicas:
        return known
    mean = took if known.seconds is None else (known.seconds + took) / 2
    return PodStart(seconds=mean)


def _ordered(known: PodStart, facts: Facts) -> PodStart:
    """Start with an order of the previous tick; an order that was reduced is not measured."""
    last = facts.last
    if last is None:
        return known
    if known.ordered_at is not None and last.size.replicas < known.replicas:
        return PodStart(seconds=known.seconds)
    if known.ordered_at is None and last.size.replicas > last.replicas_before:
        return PodStart(seconds=known.seconds, ordered_at=last.time, replicas=last.size.replicas)
    return known


def checkpoint(known: PodStart, _: Saved) -> dict[str, Any]:
    """``podStart``."""
    return {"podStart": format_duration(round(known.seconds))} if known.seconds else {}


def restore(saved: Saved) -> PodStart | None:
    """Read ``podStart`` back."""
    text = saved.get("podStart")
    if not isinstance(text, str) or not is_duration(text):
        return None
    took = parse_duration(text)
    return PodStart(seconds=took) if 0 < took <= TUNING.longest else None


LEARNER = Learner(kind=PodStart, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING)
