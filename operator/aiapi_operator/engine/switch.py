"""Carries out the switch between pods and activators for one AIApi: see activation.py.

It asks the pods' samples and the activators how long nobody has sent a request, takes one step, and
says what the status shows of it. AIApis whose ``replicas.min`` is not 0 cost nothing here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from aiapi_operator.api import schedule
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.spec import Mode
from aiapi_operator.cluster.resources import SERVICES, Manifest
from aiapi_operator.engine.activation import (
    Activation,
    ActivationFacts,
    ActivatorView,
    Phase,
    Step,
    step,
)
from aiapi_operator.engine.activator_ports import ActivatorPorts
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import Observation
from aiapi_operator.engine.ports import Activators, Ports
from aiapi_operator.sizing import zero
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.spec import objectives
from aiapi_operator.sizing.state import State
from aiapi_operator.sizing.zero import WakeUps
from aiapi_operator.sizing.zero_savings import ZeroSavings, watch

LEARN_AFTER = 120.0
"""Seconds after a wake-up when the pods that it needed are learned: the load has settled."""


@dataclass(slots=True)
class SwitchState:
    """Who answers requests for one AIApi."""

    activation: Activation = field(default_factory=Activation)
    port: int | None = None
    since: str = ""
    """When the phase began, as Kubernetes writes it."""
    known: bool = False
    """Whether the status says that the AIApi may go to zero."""
    seen: float | None = None
    asleep_seconds: float = 0.0
    learned: float = 0.0
    """When the wake-up was learned that is the latest."""
    saving: ZeroSavings = field(default_factory=ZeroSavings)

    @classmethod
    def restore(cls, status: Manifest) -> "SwitchState":
        """Start from an existing status. Leaving begins again: its evidence is gone."""
        found = status.get("activation") or {}
        if not found:
            return cls()
        phase = Phase(found["phase"]) if found.get("phase") in set(Phase) else Phase.SERVING
        return cls(
            activation=Activation(
                phase=Phase.SERVING if phase is Phase.LEAVING else phase,
                reason=str(found.get("message", "")),
                wakes=WakeUps(hourly=_hourly(found.get("hourly", ""))),
            ),
            port=found.get("port"),
            since=found.get("since", ""),
            known=True,
            asleep_seconds=float(found.get("asleepSeconds") or 0),
        )


class Switch:
    """Takes the steps of all AIApis."""

    def __init__(
        self,
        activators: Activators,
        cache: ObjectCache,
        ports: ActivatorPorts,
        *,
        clock: Callable[[], float],
        timestamp: Callable[[], str],
    ) -> None:
        self._activators = activators
        self._cache = cache
        self._ports = ports
        self._clock = clock
        self._timestamp = timestamp

    def addresses(self, state: SwitchState) -> Sequence[str]:
        """Whom the Service leads to besides its pods."""
        if not state.activation.shares_service:
            return ()
        return sorted(each.address for each in self._activators.ready())

    async def step(
        self, ref: AIApiRef, state: SwitchState, observation: Observation, *, is_applied: bool
    ) -> Step | None:
        """Take one step; None for an AIApi that keeps its pods."""
        spec, now = observation.aiapi.spec, self._clock()
        if spec.replicas.min > 0 and not state.activation.shares_service:
            state.known = False
            self._ports.release(ref.key)
            return None
        state.port = self._ports.take(ref.key)
        facts = await self._facts(ref, state, observation, is_applied=is_applied)
        self._count(state, facts)
        before = state.activation.phase
        found = step(state.activation, facts)
        state.activation, state.known = found.activation, True
        if found.activation.phase is not before or not state.since:
            state.since = self._timestamp()
        state.seen = now
        return found

    async def _facts(
        self, ref: AIApiRef, state: SwitchState, observation: Observation, *, is_applied: bool
    ) -> ActivationFacts:
        spec = observation.aiapi.spec
        deployment = observation.deployment or {"spec": {}}
        return ActivationFacts(
            now=self._clock(),
            floor=_floor(observation, is_applied=is_applied),
            after=parse_duration(spec.scaling.to_zero_after),
            grace=self._activators.grace,
            idle=_idle(observation),
            replicas=deployment["spec"].get("replicas", 1),
            ready=sum(pod.ready for pod in observation.pods),
            activators=await self._views(ref, state),
            answered=await self._answered(ref, state),
            wake=zero.pods(state.activation.wakes, _hour(observation.now), spec.replicas.max),
        )

    async def _views(self, ref: AIApiRef, state: SwitchState) -> Sequence[ActivatorView]:
        """The activators. They are asked for requests only where these count."""
        pods = self._activators.ready()
        if state.activation.phase not in (Phase.LEAVING, Phase.WAKING):
            return [ActivatorView(address=pod.address, idle=None) for pod in pods]
        found = await self._activators.ask(ref.key)
        return [
            ActivatorView(
                address=pod.address,
                idle=None if answer is None else answer.idle_seconds,
                held=0 if answer is None else answer.held,
            )
            for pod, answer in found.items()
        ]

    async def _answered(self, ref: AIApiRef, state: SwitchState) -> bool:
        known = state.activation
        if known.phase is not Phase.LEAVING or known.answered_at is not None:
            return False
        service = self._cache.child(ref.key, SERVICES.kind) or {"spec": {}}
        address, ports = service["spec"].get("clusterIP"), service["spec"].get("ports")
        if not address or address == "None" or not ports:
            return False
        return await self._activators.answers(address, ports[0]["port"])

    def _count(self, state: SwitchState, facts: ActivationFacts) -> None:
        elapsed = 0.0 if state.seen is None else facts.now - state.seen
        if state.activation.phase is Phase.ASLEEP:
            state.asleep_seconds += elapsed


def note(state: SwitchState, decision: Decision, observation: Observation, ports: Ports) -> None:
    """Learn from a decision what wake-ups need and, in mode Recommend, what zero would save."""
    now = ports.clock()
    if state.known:
        _learn_wake_up(state, decision, observation, now)
    if observation.aiapi.spec.scaling.mode is Mode.RECOMMEND:
        _recommend(state, observation, ports.activators.grace, now)


def _recommend(state: SwitchState, observation: Observation, grace: float, now: float) -> None:
    """Count what ``replicas.min: 0`` would have saved where nothing is carried out."""
    after = parse_duration(observation.aiapi.spec.scaling.to_zero_after)
    state.saving = watch(state.saving, after=after, grace=grace, idle=_idle(observation), now=now)


def _learn_wake_up(
    state: SwitchState, decision: Decision, observation: Observation, now: float
) -> None:
    """Some time after a wake-up: how many pods it needed."""
    woken = max(state.activation.wakes.recent, default=None)
    if woken is None or woken <= state.learned or now - woken < LEARN_AFTER:
        return
    state.learned = woken
    needed = ceil(decision.need.workers / max(1, observation.aiapi.spec.workers.max))
    wakes = zero.learn(state.activation.wakes, _hour(observation.now), max(1, needed))
    state.activation = replace(state.activation, wakes=wakes)


def workers_for_held(
    held: int, observation: Observation, state: State, *, workers: int, replicas: int
) -> int:
    """Workers in each pod for the requests that wait, at least ``workers``."""
    one = _worker_concurrency(observation, state)
    wanted = ceil(held / one / max(1, replicas)) if one else 0
    return max(workers, min(observation.aiapi.spec.workers.max, wanted))


def document(state: SwitchState, observation: Observation, sizing: State) -> dict[str, Any] | None:
    """``status.activation``; None for an AIApi that may not go to zero."""
    saved = int(state.asleep_seconds + state.saving.seconds)
    if not state.known:
        return {"asleepSeconds": saved} if state.saving.seconds else None
    spec, known = observation.aiapi.spec, state.activation
    one = _worker_concurrency(observation, sizing)
    return {
        "phase": known.phase.value,
        "since": state.since,
        "message": message(known),
        "port": state.port,
        "wakeReplicas": zero.pods(known.wakes, _hour(observation.now), spec.replicas.max),
        "podConcurrency": max(1, int(spec.workers.max * one)) if one else None,
        "hourly": " ".join(f"{each:.2g}" if each else "-" for each in known.wakes.hourly) or None,
        "asleepSeconds": saved,
    }


def message(known: Activation) -> str:
    """Why the AIApi is in its phase, and what would end it."""
    texts = {
        Phase.SERVING: "Pods answer requests",
        Phase.LEAVING: "Pods and activators answer requests; the pods stop if none comes",
        Phase.ASLEEP: "No pod runs; the next request starts pods and waits for them",
        Phase.WAKING: "Pods start, and activators hold the requests until one is ready",
    }
    return f"{texts[known.phase]}: {known.reason}." if known.reason else f"{texts[known.phase]}."


def _floor(observation: Observation, *, is_applied: bool) -> int:
    """Pods that must run; at least one where decisions are not carried out."""
    scaling, now = observation.aiapi.spec.scaling, observation.now
    active = [each.replicas for each in schedule.active(scaling.schedules, now=now)]
    given = max([observation.aiapi.spec.replicas.min, *active])
    is_auto = is_applied and scaling.mode is Mode.AUTO
    return given if is_auto else max(1, given)


def _idle(observation: Observation) -> float | None:
    """Seconds without a request, the least of all pods; None if one is not known."""
    samples = observation.samples
    found = [samples[pod.name].idle_seconds for pod in observation.pods if pod.name in samples]
    known = [each for each in found if each is not None]
    return min(known) if known and len(known) == len(observation.pods) else None


def _worker_concurrency(observation: Observation, state: State) -> float | None:
    """Held requests that one worker answers within the threshold; None while c is not known."""
    known: ServiceDemand | None = state.memory.get(ServiceDemand)
    if known is None or not known.confident:
        return None
    threshold = objectives(observation.aiapi.spec.objective)[0].threshold
    return max(1.0, threshold / known.seconds)


def _hour(now: float) -> int:
    return int(now // zero.HOUR) % zero.HOURS


def _hourly(text: str) -> tuple[float, ...]:
    """The pods by hour; empty where the text is not valid."""
    try:
        found = tuple(0.0 if each == "-" else float(each) for each in text.split())
    except ValueError:
        return ()
    is_valid = len(found) == zero.HOURS and all(0 <= each <= 10_000 for each in found)
    return found if is_valid else ()
