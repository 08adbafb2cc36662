"""Runs the right-sizer on one observation and keeps its state."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiapi_operator.engine import refused_pods
from aiapi_operator.engine.autoscalers import ForeignAutoscaler, effective_spec
from aiapi_operator.engine.fleet import Observation
from aiapi_operator.sizing.asleep import asleep
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.inputs import (
    Fleet,
    MissingPods,
    Mode,
    RefusedResize,
    Shortage,
    SizingSpec,
)
from aiapi_operator.sizing.savings import Savings, savings
from aiapi_operator.sizing.spec import sizing_spec
from aiapi_operator.sizing.state import State


@dataclass(slots=True)
class SizerState:
    """The right-sizer's state after the last decision."""

    sizing: State


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingResult:
    """A decision, the spec it follows, and the savings so far."""

    spec: SizingSpec
    decision: Decision
    savings: Savings | None

    @property
    def is_applied(self) -> bool:
        """Whether the operator carries out the decision, or only recommends it."""
        return self.spec.mode is Mode.AUTO


class Sizer:
    """Calls ``decide``."""

    def __init__(self, *, clock: Callable[[], float], time_of_day: Callable[[], float]) -> None:
        self._clock = clock
        self._time_of_day = time_of_day

    def size(  # noqa: PLR0913 - the parts of one decision
        self,
        state: SizerState,
        observation: Observation,
        autoscalers: Iterable[ForeignAutoscaler],
        *,
        workers: int,
        refused: tuple[RefusedResize, ...],
        interval: float = 0.0,
    ) -> SizingResult:
        """Decide. ``workers`` is the number in each pod as last written to the status.

        ``interval`` is that since the last tick, where it was longer than the spec's.
        """
        wanted = sizing_spec(observation.aiapi.spec, time_of_day=self._time_of_day())
        spec = effective_spec(wanted, autoscalers)
        deployment = observation.deployment or {"spec": {}}
        fleet = Fleet(
            replicas=deployment["spec"].get("replicas", 1),
            pods=observation.answers,
            refused=refused,
            missing=_missing(observation),
            workers=workers,
            rested=interval,
        )
        decision = decide(spec, fleet, state.sizing, self._clock())
        state.sizing = decision.state
        return SizingResult(spec=spec, decision=decision, savings=savings(spec, decision.state))

    def saved(self, state: SizerState, observation: Observation) -> Savings | None:
        """The savings so far, where there is no decision."""
        return savings(sizing_spec(observation.aiapi.spec), state.sizing)

    def pass_over(self, state: SizerState) -> None:
        """Note time without a pod, in which there is nothing to decide."""
        state.sizing = asleep(state.sizing, self._clock())


def _missing(observation: Observation) -> MissingPods | None:
    """Why the cluster does not run all pods of the Deployment."""
    if refused := refused_pods.not_created(observation.deployment or {}):
        return MissingPods(shortage=Shortage.QUOTA, message=refused[1])
    for pod in observation.pods:
        if pod.problem and pod.problem[0] == refused_pods.UNSCHEDULABLE:
            _, message = refused_pods.not_scheduled(pod.problem[1])
            return MissingPods(shortage=Shortage.NODES, message=message)
    return None
