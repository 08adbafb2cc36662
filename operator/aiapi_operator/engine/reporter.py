"""Reports what a tick found: in the metrics, and in the conditions and numbers of the status."""

from collections.abc import Sequence

from aiapi_operator.engine import autoscalers, grace, readiness, rollout, switch
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.autoscalers import ForeignAutoscaler
from aiapi_operator.engine.fleet import Observation
from aiapi_operator.engine.ports import ObservedFleet, OperatorConfig, Ports
from aiapi_operator.engine.sizer import SizingResult
from aiapi_operator.engine.status_writer import StatusUpdate, StatusWriter
from aiapi_operator.engine.tenure import Tenure
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.savings import Savings


class Reporter:
    """Reports the ticks of all AIApis."""

    def __init__(self, ports: Ports, tenure: Tenure, config: OperatorConfig) -> None:
        self._ports = ports
        self._tenure = tenure
        self._config = config
        self._writer = StatusWriter(
            ports.cluster, clock=ports.clock, timestamp=ports.timestamp, shard=config.shard
        )

    async def decided(
        self,
        state: AIApiState,
        observation: Observation,
        others: Sequence[ForeignAutoscaler],
        result: SizingResult,
        errors: Sequence[str],
    ) -> None:
        """Report a decision. ``errors`` are those of carrying it out."""
        summary = _summary(observation, result)
        self._ports.metrics.record_decision(state.ref.key, result.spec, summary, result.decision)
        conditions = [
            *self._conditions(observation, errors),
            grace.check(observation, result.decision.state),
            self._autoscaler_condition(state, others),
            *result.decision.conditions,
        ]
        await self._write(state, observation, conditions, result)

    async def not_deployed(self, state: AIApiState, observation: Observation) -> None:
        """Report that there is no Deployment, and why."""
        await self._write(state, observation, self._conditions(observation))

    async def asleep(
        self,
        state: AIApiState,
        observation: Observation,
        others: Sequence[ForeignAutoscaler],
        saved: Savings | None,
    ) -> None:
        """Report that no pod runs."""
        conditions = [
            *(each for each in self._conditions(observation) if each.type != "Ready"),
            readiness.asleep(switch.message(state.switch.activation)),
            self._autoscaler_condition(state, others),
        ]
        await self._write(state, observation, conditions, saved=saved)

    async def rejected(
        self, state: AIApiState, observation: Observation, rejected: Condition
    ) -> None:
        """Report a spec that is not carried out. Its children stay as they are."""
        ready = (
            readiness.NOT_CREATED
            if observation.deployment is None
            else readiness.readiness(observation, default_image=self._config.default_image)
        )
        await self._write(state, observation, [rejected, ready])

    async def failed(self, state: AIApiState, observation: Observation, error: Exception) -> None:
        """Report a tick that failed because of a defect in the operator."""
        failed = Condition(
            type="Reconciled",
            status=False,
            reason="OperatorError",
            message=f"The operator failed on this AIApi ({type(error).__name__}: {error}) and"
            " retries. Its log has the details; please report them.",
        )
        others = [
            known.condition()
            for known in state.writer.conditions.values()
            if known.type != failed.type
        ]
        await self._write(state, observation, [failed, *others])

    def _conditions(
        self, observation: Observation, act_errors: Sequence[str] = ()
    ) -> list[Condition]:
        image, deployment = self._config.default_image, observation.deployment
        found = [
            readiness.accepted(),
            readiness.reconciled(observation.apply_errors, act_errors),
            readiness.readiness(observation, default_image=image),
        ]
        if deployment is not None:
            found.append(rollout.check(observation, deployment, default_image=image))
        return found

    def _autoscaler_condition(
        self, state: AIApiState, others: Sequence[ForeignAutoscaler]
    ) -> Condition:
        list_error = self._ports.autoscalers.list_error
        return autoscalers.condition(state.ref.key, others, list_error=list_error)

    async def _write(
        self,
        state: AIApiState,
        observation: Observation,
        conditions: Sequence[Condition],
        result: SizingResult | None = None,
        *,
        saved: Savings | None = None,
    ) -> None:
        if self._config.shard is not None:
            self._tenure.check(state)
        self._ports.metrics.record_conditions(state.ref.key, conditions)
        is_applied = result is not None and result.is_applied
        running = [sample.workers_wanted for sample in observation.samples.values()]
        update = StatusUpdate(
            aiapi=observation.aiapi,
            pods=observation.pods,
            workers=result.decision.workers
            if result is not None and is_applied
            else max(running, default=None),
            conditions=conditions,
            decision=result.decision if result is not None else None,
            is_applied=is_applied,
            savings=result.savings if result is not None else saved,
            runtimes=[sample.runtime for sample in observation.samples.values()],
            activation=switch.document(state.switch, observation, state.sizer.sizing),
            sizing=None if state.switch.activation.has_pods else state.sizer.sizing,
        )
        await self._writer.write(state.manifest, state.writer, update)


def _summary(observation: Observation, result: SizingResult) -> ObservedFleet:
    samples = tuple(observation.samples.values())
    return ObservedFleet(
        replicas=len(observation.pods),
        ready=sum(pod.ready for pod in observation.pods),
        workers=sum(sample.workers_ready for sample in samples),
        silent=observation.silent,
        savings=result.savings,
        samples=samples,
    )
