"""One tick of one AIApi: adopt, reconcile, observe, size, act, report.

A sample goes through these steps once: the observer scrapes it, the sizer decides on it, the
actuator and the status writer send the result to the API server. A tick that fails is retried in
full, because every step sets a target state.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from aiapi_operator.api import AIApi, AIApiSpec, AIApiStatus, Metadata
from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.cluster.resources import DEPLOYMENTS, Manifest
from aiapi_operator.engine import (
    grants,
    pace,
    pod_requests,
    readiness,
    rest,
    switch,
    template_workers,
    wanted,
)
from aiapi_operator.engine.activation import Phase, Step
from aiapi_operator.engine.activator_ports import ActivatorPorts
from aiapi_operator.engine.actuator import Actuator, Desired
from aiapi_operator.engine.admin_secret import AdminSecrets
from aiapi_operator.engine.admin_tls import AdminTls
from aiapi_operator.engine.adoption import Adoption
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.autoscalers import ForeignAutoscaler, effective_spec
from aiapi_operator.engine.cache import Key, ObjectCache
from aiapi_operator.engine.children import Children
from aiapi_operator.engine.fleet import AdminAccess, Observation, active_pods
from aiapi_operator.engine.manifest_context import manifest_context
from aiapi_operator.engine.observer import Observer
from aiapi_operator.engine.ports import OperatorConfig, Ports
from aiapi_operator.engine.reporter import Reporter
from aiapi_operator.engine.sizer import Sizer, SizingResult
from aiapi_operator.engine.switch import Switch
from aiapi_operator.engine.tenure import Tenure
from aiapi_operator.manifests import Context, desired, endpoint_slice, secret
from aiapi_operator.sizing.inputs import Mode
from aiapi_operator.sizing.spec import sizing_spec


class Engine:
    """Runs ticks. Everything it remembers of an AIApi is in the ``AIApiState``."""

    def __init__(self, ports: Ports, cache: ObjectCache, config: OperatorConfig) -> None:
        self._ports = ports
        self._cache = cache
        self._config = config
        cluster, clock = ports.cluster, ports.clock
        self._tenure = Tenure(cluster, ports.leadership, config.shard)
        self._observer = Observer(cluster, ports.scraper, cache, clock=clock)
        self._adoption = Adoption(cluster, cache, self._observer, clock=clock)
        self._secrets = AdminSecrets(cluster, cache, time_of_day=ports.time_of_day)
        self._children = Children(cluster, cache, clock=clock)
        self._sizer = Sizer(clock=clock, time_of_day=ports.time_of_day)
        self._actuator = Actuator(cluster, ports.workers, cache, clock=clock)
        self._reporter = Reporter(ports, self._tenure, config)
        self._activator_ports = ActivatorPorts(*config.activator_ports)
        self._switch = Switch(
            ports.activators, cache, self._activator_ports, clock=clock, timestamp=ports.timestamp
        )

    def register(self, manifest: Manifest) -> None:
        """Note what no other AIApi may be given: before the first tick of any."""
        port = ((manifest.get("status") or {}).get("activation") or {}).get("port")
        if isinstance(port, int):
            self._activator_ports.register(AIApiRef.of(manifest).key, port)

    def release(self, key: Key) -> None:
        """An AIApi was deleted."""
        self._activator_ports.release(key)

    async def tick(self, state: AIApiState) -> None:
        """Run one tick. Raises ``ClusterError`` when the API server is not available."""
        await self._tenure.begin(state)
        state.rest.end()
        interval = pace.begin(state.pace)
        try:
            aiapi = wanted.parse(state.wanted, state.manifest)
        except ValidationError as error:
            rejected = readiness.rejected("; ".join(field_errors(error)[:5]))
            observation = self._cached(state, _with_default_spec(state.manifest))
            await self._reporter.rejected(state, observation, rejected)
            return
        policy = self._config.pod_template_policy
        if forbidden := wanted.violations(state.wanted, aiapi, policy):
            observation = self._cached(state, aiapi)
            await self._reporter.rejected(state, observation, readiness.forbidden(forbidden))
            return
        await self._adoption.adopt(state.ref, state.adoption, state.template, aiapi)
        tls = await self._tls(state)
        reconciled = await self._reconcile(state, aiapi, tls)
        if reconciled.deployment is None:
            await self._reporter.not_deployed(state, reconciled)
            return
        access = AdminAccess(
            tokens=state.admin.tokens, tls=tls.of(*state.ref.key) if tls is not None else None
        )
        observation = await self._observe(state, reconciled, access)
        others = self._ports.autoscalers.targeting(state.ref.key)
        step = await self._take_step(state, observation, others, tls)
        if step is not None and not step.activation.has_pods:
            await self._stay_asleep(state, observation, others)
            return
        result = self._size(state, observation, others, interval)
        self._tenure.check(state)
        errors = await self._act(state, observation, result, access, step)
        switch.note(state.switch, result.decision, observation, self._ports)
        await self._reporter.decided(state, observation, others, result, errors)
        is_switching = state.switch.activation.shares_service
        if (
            not errors
            and not is_switching
            and not state.writer.is_pending
            and pace.is_idle(observation, result, state.grants, state.resizer)
        ):
            may_sleep = step is not None
            self._rest(state, observation, result, access, may_sleep=may_sleep)

    def _rest(
        self,
        state: AIApiState,
        observation: Observation,
        result: SizingResult,
        access: AdminAccess,
        *,
        may_sleep: bool,
    ) -> None:
        """Tick seldom, and at the first request. A fleet that may go to zero is not watched: how
        long it is idle is measured, and it would go a minute late."""
        now = self._ports.clock()
        may_watch = not may_sleep and pace.may_watch(state.pace, result, now)
        is_watched = may_watch and rest.begin(
            state.rest,
            self._ports.scraper,
            observation,
            access,
            pace.watch_seconds(state.ref.uid),
        )
        pace.rest(state.pace, now, is_watched=is_watched)

    async def _take_step(
        self,
        state: AIApiState,
        observation: Observation,
        others: Sequence[ForeignAutoscaler],
        tls: AdminTls | None,
    ) -> Step | None:
        """Move on the switch between pods and activators, and the Service with it."""
        before = state.switch.activation
        if observation.aiapi.spec.replicas.min > 0 and not state.switch.known:
            return None
        spec = effective_spec(sizing_spec(observation.aiapi.spec), others)
        is_applied = spec.mode is Mode.AUTO
        step = await self._switch.step(state.ref, state.switch, observation, is_applied=is_applied)
        phase = None if step is None else step.activation.phase.value
        self._ports.metrics.record_activation(state.ref.key, phase)
        if not before.has_pods:
            self._sizer.pass_over(state.sizer)
        if state.switch.activation.shares_service is not before.shares_service:
            await self._reconcile(state, observation.aiapi, tls)
        return step

    async def _stay_asleep(
        self, state: AIApiState, observation: Observation, others: Sequence[ForeignAutoscaler]
    ) -> None:
        """No pod runs: there is nothing to measure and nothing to size."""
        saved = self._sizer.saved(state.sizer, observation)
        await self._reporter.asleep(state, observation, others, saved)
        deployment = observation.deployment or {"spec": {}}
        if deployment["spec"].get("replicas", 1):
            # After the status: a successor that finds no pods must know that this is meant.
            if state.writer.phase != Phase.ASLEEP:
                return
            self._tenure.check(state)
            await self._actuator.scale(state.ref, deployment, observation.sampled_pods, 0)
        upcoming = sizing_spec(observation.aiapi.spec, time_of_day=observation.now).upcoming
        pace.sleep(state.pace, state.ref.uid, upcoming)

    async def fail(self, state: AIApiState, error: Exception) -> None:
        """Report a tick that failed because of a defect in the operator."""
        observation = self._cached(state, _with_default_spec(state.manifest))
        await self._reporter.failed(state, observation, error)

    async def _tls(self, state: AIApiState) -> AdminTls | None:
        """The CA, where the pods serve TLS, or some still do after it was turned off."""
        pods = self._cache.pods(state.ref.key)
        if not self._config.admin_tls and not any(pod.serves_tls for pod in pods):
            return None
        return await self._ports.admin_tls.current(state.term)

    async def _reconcile(
        self, state: AIApiState, aiapi: AIApi, tls: AdminTls | None
    ) -> Observation:
        is_new = self._deployment(state) is None
        name = secret.name(aiapi)
        content = await self._secrets.content(state.ref, state.admin, name, tls)

        addresses, port = self._switch.endpoints(state.ref, state.switch)

        def build() -> tuple[Manifest, ...]:
            rest = desired(aiapi, self._context(state, aiapi))
            slices = [endpoint_slice.build(aiapi, addresses, port)] if addresses and port else []
            return (secret.build(aiapi, content), *rest, *slices)

        basis = content, (*addresses, port), *self._basis(state)
        errors = await self._children.reconcile(state.ref, state.children, basis, build)
        observation = self._cached(state, aiapi, errors)
        if observation.deployment is None or not is_new:
            return observation
        await self._scale_new(state, aiapi, observation.deployment)
        return replace(observation, deployment=self._deployment(state) or observation.deployment)

    async def _scale_new(self, state: AIApiState, aiapi: AIApi, deployment: Manifest) -> None:
        """Scale a new Deployment: it has one pod, because the manifest sets no replicas."""
        last = state.writer.decision.replicas if state.writer.decision is not None else 0
        is_auto = aiapi.spec.scaling.mode.value == Mode.AUTO.value
        replicas = max(1, aiapi.spec.replicas.min, last if is_auto else 0)
        if not state.switch.activation.has_pods:
            replicas = 0
        await self._actuator.scale(state.ref, deployment, (), replicas)

    def _basis(self, state: AIApiState) -> tuple[object, ...]:
        """All that the manifests are made from and that changes while the operator runs."""
        found = self._cache.objects(state.ref.key).children.get(DEPLOYMENTS.kind)
        status = found.status["status"] if found is not None and found.status is not None else {}
        content = found.content if found is not None else b""
        serves = bool(status.get("readyReplicas"))
        return state.manifest.get("spec"), state.template.workers, content, serves

    def _context(self, state: AIApiState, aiapi: AIApi) -> Context:
        minimum, config = aiapi.spec.workers.min, self._config
        workers = minimum if config.resize_in_place else state.template.workers
        deployment = self._cache.child(state.ref.key, DEPLOYMENTS.kind)
        return manifest_context(config, template_workers=workers, deployment=deployment)

    async def _observe(
        self, state: AIApiState, observation: Observation, access: AdminAccess
    ) -> Observation:
        decision = state.writer.decision
        return await self._observer.observe(
            state.ref,
            state.observer,
            observation,
            access=access,
            workers=decision.workers if decision else None,
        )

    def _size(
        self,
        state: AIApiState,
        observation: Observation,
        others: Sequence[ForeignAutoscaler],
        interval: float,
    ) -> SizingResult:
        now = self._ports.clock()
        grants.observe(state.grants, observation.pods, observation.sampled_pods, now=now)
        return self._sizer.size(
            state.sizer,
            observation,
            others,
            workers=state.writer.workers,
            refused=grants.refused(state.grants, observation.pods, now=now),
            interval=interval,
        )

    async def _act(
        self,
        state: AIApiState,
        observation: Observation,
        result: SizingResult,
        access: AdminAccess,
        step: Step | None,
    ) -> Sequence[str]:
        if not result.is_applied:
            pods = observation.sampled_pods
            await self._actuator.confirm_workers(state.actuator, pods, access=access)
            return ()
        return await self._actuator.act(
            state.ref,
            state.actuator,
            state.grants,
            observation,
            self._desired(state, observation, result, step),
            resizer=state.resizer,
            access=access,
        )

    def _desired(
        self,
        state: AIApiState,
        observation: Observation,
        result: SizingResult,
        step: Step | None,
    ) -> Desired:
        aiapi, decision, now = observation.aiapi, result.decision, self._ports.clock()
        request = None
        if self._config.resize_in_place:
            is_refused = bool(state.grants.refusals)
            learned = state.writer.requests_for(decision)
            request = pod_requests.worker_request(
                state.request_cap, aiapi.spec.workers, learned, is_refused=is_refused, now=now
            )
        else:
            template_workers.follow(state.template, aiapi, decision.workers, now=now)
        workers, replicas = decision.workers, max(decision.replicas, (step and step.replicas) or 0)
        if step is not None and step.held:
            workers = switch.workers_for_held(
                step.held, observation, decision.state, workers=workers, replicas=replicas
            )
        return Desired(workers=workers, replicas=replicas, request=request)

    def _deployment(self, state: AIApiState) -> Manifest | None:
        return self._cache.deployment_status(state.ref.key)

    def _cached(
        self, state: AIApiState, aiapi: AIApi, apply_errors: Sequence[str] = ()
    ) -> Observation:
        """What the watches delivered, without samples."""
        return Observation(
            aiapi=aiapi,
            deployment=self._deployment(state),
            pods=active_pods(self._cache.pods(state.ref.key)),
            apply_errors=apply_errors,
            now=self._ports.time_of_day(),
        )


def _with_default_spec(manifest: Manifest) -> AIApi:
    """The AIApi with a default spec, for one whose own spec is not valid."""
    metadata = Metadata.model_validate(manifest["metadata"])
    return AIApi.model_construct(metadata=metadata, spec=AIApiSpec(), status=AIApiStatus())
