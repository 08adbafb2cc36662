"""Switches a fleet between its pods and the activators. Pure.

    Serving --(idle)--> Leaving --(an activator answers through the Service, grace)--> Asleep
       ^                   |                                                             |
       |<--(any request)---+                                                        (replicas > 0)
       +<-----------------------(a pod is ready)----------------- Waking <---------------+

The Service keeps its selector. While a fleet leaves, sleeps and wakes, one more EndpointSlice of
the Service leads to the activators. In Leaving, both pods and activators answer; the pods stop only
after the nodes had time to learn of the activators and nobody has sent a request. A request is
therefore never without somebody who accepts it.

Unknown is never idle: a pod or an activator that does not answer keeps the fleet awake. So does a
pod whose answer is old or repeated: the time without a request must grow with the clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiapi_operator.api.status import NO_ACTIVATOR
from aiapi_operator.present.numbers import count
from aiapi_operator.sizing import zero
from aiapi_operator.sizing.zero import WakeUps

SAMPLE_AGE = 2.0
"""Seconds that the samples of two ticks may differ in age. Twice the deadline of a scrape."""
PROBE_SECONDS = 60.0
"""Seconds in which an activator must answer through the Service. Twice what kube-proxy takes."""


class Phase(StrEnum):
    """Who answers requests. Part of the status."""

    SERVING = "Serving"
    """The pods."""
    LEAVING = "Leaving"
    """The pods and the activators."""
    ASLEEP = "Asleep"
    """The activators, which hold requests and start pods."""
    WAKING = "Waking"
    """The activators, until a pod is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatorView:
    """One ready activator, and what it knows of this AIApi."""

    address: str
    idle: float | None
    """Seconds without a request of this AIApi; None if the activator did not answer."""
    held: int = 0
    """Requests that wait for a pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationFacts:
    """What one tick knows."""

    now: float
    """Monotonic seconds."""
    floor: int
    """Pods that must run: replicas.min, or more while a schedule is active. 0 if all may stop."""
    after: float
    """``toZeroAfter`` in seconds."""
    grace: float
    """Seconds that nodes need to learn of new endpoints."""
    idle: float | None
    """Seconds without a request, the least of all pods; None if one of them is not known."""
    replicas: int
    """Replicas of the Deployment."""
    ready: int
    """Ready pods."""
    activators: Sequence[ActivatorView]
    unavailable: str = NO_ACTIVATOR
    """Why there are no activators for this fleet, where there are none."""
    answered: bool = False
    """Whether an activator answered a probe that was sent through the Service in this tick."""
    wake: int = 1
    """Pods to start where the operator itself wakes the fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """The phase of one AIApi, since when, and why."""

    phase: Phase = Phase.SERVING
    since: float = 0.0
    """Monotonic seconds."""
    reason: str = ""
    answered_at: float | None = None
    """When an activator first answered through the Service, in Leaving."""
    postponed: float | None = None
    """When leaving last failed. Retried after ``toZeroAfter``."""
    idle: float = 0.0
    """Seconds without a request at the pods when Leaving began."""
    wakes: WakeUps = field(default_factory=WakeUps)

    @property
    def shares_service(self) -> bool:
        """Whether the Service leads to the activators, too."""
        return self.phase is not Phase.SERVING

    @property
    def has_pods(self) -> bool:
        """Whether the fleet is sized by its load."""
        return self.phase is not Phase.ASLEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next state, and the replicas to set; None leaves them to the right-sizer."""

    activation: Activation
    replicas: int | None = None
    held: int = 0
    """Requests that wait for a pod, at all activators."""


def step(known: Activation, facts: ActivationFacts) -> Step:
    """Move on by one tick."""
    held = sum(each.held for each in facts.activators)
    return replace(_next(known, facts), held=held)


def _next(known: Activation, facts: ActivationFacts) -> Step:
    if known.phase is Phase.SERVING:
        return _serving(known, facts)
    if known.phase is Phase.LEAVING:
        return _leaving(known, facts)
    if known.phase is Phase.ASLEEP:
        return _asleep(known, facts)
    return _waking(known, facts)


def _serving(known: Activation, facts: ActivationFacts) -> Step:
    if facts.floor > 0:
        return Step(activation=replace(known, reason=_floor(facts), postponed=None))
    if facts.replicas == 0 and facts.activators:
        return Step(activation=_enter(known, Phase.ASLEEP, facts, "it was scaled to zero"))
    if not facts.activators:
        return Step(activation=replace(known, reason=facts.unavailable))
    if known.postponed is not None and facts.now - known.postponed < facts.after:
        return Step(activation=known)
    sleep = zero.sleep(facts.after, facts.idle, known.wakes.recent, facts.now)
    if not sleep.now:
        return Step(activation=replace(known, reason=sleep.reason))
    leaving = _enter(known, Phase.LEAVING, facts, sleep.reason)
    return Step(activation=replace(leaving, idle=facts.idle or 0.0))


def _leaving(known: Activation, facts: ActivationFacts) -> Step:
    if obstacle := _obstacle(known, facts):
        back = _enter(known, Phase.SERVING, facts, obstacle)
        return Step(activation=back)
    answered = known.answered_at
    if answered is None and facts.answered:
        answered = facts.now
    if answered is None and facts.now - known.since >= PROBE_SECONDS:
        reason = "no activator answered through the Service; check its NetworkPolicies"
        late = _enter(known, Phase.SERVING, facts, reason)
        return Step(activation=replace(late, postponed=facts.now))
    known = replace(known, answered_at=answered)
    if answered is None or facts.now - answered < facts.grace or not _is_known(facts):
        return Step(activation=known)
    return Step(activation=_enter(known, Phase.ASLEEP, facts, known.reason), replicas=0)


def _obstacle(known: Activation, facts: ActivationFacts) -> str:
    """Why the fleet does not stop after all; empty if nothing speaks against it."""
    if facts.floor > 0:
        return _floor(facts)
    if not facts.activators:
        return facts.unavailable
    left = facts.now - known.since
    if any(each is not None and each < left for each in _idle(facts)):
        return "a request came"
    if facts.replicas and facts.idle is not None and facts.idle < known.idle + left - SAMPLE_AGE:
        return "a request came, or the answer of a pod is old"
    return ""


def _is_known(facts: ActivationFacts) -> bool:
    """Whether every pod and activator answered. ``_obstacle`` has seen what they said."""
    return None not in _idle(facts)


def _idle(facts: ActivationFacts) -> list[float | None]:
    """Seconds without a request, of the pods and of each activator."""
    pods = [facts.idle] if facts.replicas else []
    return [*pods, *(each.idle for each in facts.activators)]


def _asleep(known: Activation, facts: ActivationFacts) -> Step:
    if facts.replicas > 0:
        started = count(facts.replicas, "pod")
        reason = f"{started} {'was' if facts.replicas == 1 else 'were'} started"
        return Step(activation=_enter(known, Phase.WAKING, facts, reason))
    if facts.floor > 0:
        waking = _enter(known, Phase.WAKING, facts, _floor(facts))
        return Step(activation=waking, replicas=facts.floor)
    if not facts.activators:
        waking = _enter(known, Phase.WAKING, facts, facts.unavailable)
        return Step(activation=waking, replicas=facts.wake)
    return Step(activation=known, replicas=0)


def _waking(known: Activation, facts: ActivationFacts) -> Step:
    if facts.replicas == 0 and facts.floor == 0 and facts.activators and not facts.ready:
        return Step(activation=_enter(known, Phase.ASLEEP, facts, "it was scaled to zero"))
    least = max(facts.replicas, facts.floor, facts.wake if not facts.replicas else 0)
    if facts.ready == 0:
        return Step(activation=known, replicas=least)
    serving = _enter(known, Phase.SERVING, facts, "a pod is ready")
    return Step(
        activation=replace(serving, wakes=zero.woken(known.wakes, facts.now)), replicas=least
    )


def _enter(known: Activation, phase: Phase, facts: ActivationFacts, reason: str) -> Activation:
    return replace(known, phase=phase, since=facts.now, reason=reason, answered_at=None)


def _floor(facts: ActivationFacts) -> str:
    return f"at least {count(facts.floor, 'pod')} must run"
