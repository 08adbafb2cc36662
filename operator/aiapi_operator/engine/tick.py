"""One tick of one AIApi: observe, decide, act, tell.

The right-sizer decides and is pure; what is around it only brings it what was seen and carries
out its answer. A tick that fails half-way is repeated in full: every step says what should be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from aiapi_operator.api import AIApi, AIApiSpec, AIApiStatus, Metadata
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.cluster.errors import ClusterError, Unavailable
from aiapi_operator.cluster.resources import DEPLOYMENTS, Manifest
from aiapi_operator.engine import autoscalers, pod_requests, readiness, template_workers
from aiapi_operator.engine.actuator import Actuator, Desired, SampledPod, deferred_resizes
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.children import Children
from aiapi_operator.engine.fleet import active_pods, samples_by_pod, scrape_target, unreachable_pods
from aiapi_operator.engine.ownership import ownership_conflict
from aiapi_operator.engine.pod_view import PodView, Resources, pod_view
from aiapi_operator.engine.ports import ObservedFleet, Ports
from aiapi_operator.engine.status_writer import StatusUpdate, StatusWriter
from aiapi_operator.manifests import Context, desired
from aiapi_operator.manifests.labels import selector_text
from aiapi_operator.sizing import worker_use
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.inputs import Fleet, Mode, PodSample, PodUnknown
from aiapi_operator.sizing.savings import Savings, savings
from aiapi_operator.sizing.spec import sizing_spec

RELIST_AFTER = 30.0
"""Seconds of a pod's silence after which the pods are listed anew: a watch may miss a deletion."""


class LeadershipLostError(Exception):
    """Another operator may act now, so this one must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """What holds for all AIApis."""

    operator_namespace: str
    default_image: str
    resize_in_place: bool
    metrics_from: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Round:
    """What is known in the course of one tick."""

    aiapi: AIApi
    deployment: Manifest | None
    pods: list[PodView]
    answers: tuple[PodSample | PodUnknown, ...] = ()
    refused: Sequence[str] = ()
    troubles: Sequence[str] = ()
    acted: bool = False

    @property
    def samples(self) -> dict[str, PodSample]:
        return samples_by_pod(self.answers)

    @property
    def asked(self) -> list[SampledPod]:
        """The pods that answered."""
        samples = self.samples
        return [SampledPod(pod, samples[pod.name]) for pod in self.pods if pod.name in samples]


class Engine:
    """Runs ticks. All that it remembers of an AIApi is in the ``Subject``."""

    def __init__(self, ports: Ports, cache: ObjectCache, surroundings: OperatorConfig) -> None:
        self._ports = ports
        self._cache = cache
        self._surroundings = surroundings
        self._children = Children(ports.cluster, cache, clock=ports.clock)
        self._actor = Actuator(ports.cluster, ports.workers, cache, clock=ports.clock)
        self._teller = StatusWriter(ports.cluster, clock=ports.clock, wall=ports.wall)

    async def tick(self, subject: AIApiState) -> None:
        """One round. ``ClusterError`` when the cluster could not be asked or told."""
        self._lead()
        if subject.term != self._ports.leadership.term:
            subject.begin(self._ports.leadership.term)
        try:
            aiapi = AIApi.model_validate({**subject.manifest, "status": {}})
        except ValidationError as error:
            await self._refuse(subject, error)
            return
        if not subject.adopted:
            await self._adopt(subject, aiapi)
        await self._reconcile_and_size(subject, aiapi)

    async def fail(self, subject: AIApiState, error: Exception) -> None:
        """Tell people that a tick failed for a reason that is the operator's own."""
        told = Condition(
            type="Reconciled",
            status=False,
            reason="OperatorError",
            message=f"The operator failed on this AIApi ({type(error).__name__}: {error}) and"
            " tries again. Its log has the details; please report them.",
        )
        others = [
            Condition(
                type=known.type,
                status={"True": True, "False": False}.get(known.status),
                reason=known.reason,
                message=known.message,
            )
            for known in subject.conditions.values()
            if known.type != told.type
        ]
        now = self._round(subject, _stand_in(subject.manifest))
        await self._tell(subject, now, [told, *others])

    def _lead(self) -> None:
        if not self._ports.leadership.held():
            raise LeadershipLostError

    async def _refuse(self, subject: AIApiState, error: ValidationError) -> None:
        now = self._round(subject, _stand_in(subject.manifest))
        told = readiness.rejected("; ".join(field_errors(error)[:5]))
        ready = self._readiness(now) if now.deployment is not None else readiness.NEVER_ACCEPTED
        await self._tell(subject, now, [told, ready])

    async def _adopt(self, subject: AIApiState, aiapi: AIApi) -> None:
        """See what is there already: after a start what runs is taken as it is."""
        namespace, name = subject.key
        deployment = await self._ports.cluster.get(DEPLOYMENTS, namespace, name)
        if deployment is not None and ownership_conflict(deployment, uid=subject.uid):
            deployment = None
        if deployment is not None:
            self._cache.put(deployment)
        await self._relist(subject)
        subject.template = template_workers.adopt(aiapi, deployment)
        subject.adopted = True

    async def _relist(self, subject: AIApiState) -> None:
        namespace, name = subject.key
        pods = await self._ports.cluster.pods(namespace, selector_text(name))
        self._cache.replace_pods(subject.key, pods)

    async def _reconcile_and_size(self, subject: AIApiState, aiapi: AIApi) -> None:
        created = self._deployment(subject) is None
        wanted = desired(aiapi, self._context(subject, aiapi))
        refused = await self._children.reconcile(subject, aiapi, wanted)
        now = self._round(subject, aiapi)
        now.refused = refused
        if now.deployment is None:
            await self._tell(subject, now, self._basics(now))
            return
        if created:
            await self._first_replicas(subject, aiapi, now.deployment)
            now.deployment = self._deployment(subject) or now.deployment
        now.answers = await self._observe(subject, aiapi, now.pods)
        await self._size(subject, now, now.deployment)

    async def _first_replicas(
        self, subject: AIApiState, aiapi: AIApi, deployment: Manifest
    ) -> None:
        """The API server made one pod, since the apply names no number."""
        last = subject.decision.replicas if subject.decision is not None else 0
        acting = aiapi.spec.scaling.mode.value == Mode.AUTO.value
        replicas = max(aiapi.spec.replicas.min, last if acting else 0)
        wish = Desired(workers=0, replicas=replicas, resources=None)
        await self._actor.set_replicas(subject, deployment, (), wish)

    def _context(self, subject: AIApiState, aiapi: AIApi) -> Context:
        around, kept = self._surroundings, subject.template
        floor = aiapi.spec.workers.min
        return Context(
            operator_namespace=around.operator_namespace,
            default_image=around.default_image,
            template_workers=floor if around.resize_in_place or kept is None else kept.workers,
            resize_in_place=around.resize_in_place,
            metrics_from=around.metrics_from,
        )

    async def _observe(
        self, subject: AIApiState, aiapi: AIApi, pods: list[PodView]
    ) -> tuple[PodSample | PodUnknown, ...]:
        targets = [where for pod in pods if (where := scrape_target(pod))]
        interval = parse_duration(aiapi.spec.scaling.interval)
        workers = subject.decision.workers if subject.decision else None
        due = subject.panel.due(targets, interval=interval, workers=workers)
        asked = await self._ports.scraper.scrape(due, subject.tokens)
        answers = subject.panel.take(targets, asked)
        if all(isinstance(answer, PodSample) for answer in answers):
            subject.silent_since = None
        elif subject.silent_since is None:
            subject.silent_since = self._ports.clock()
        elif self._ports.clock() - subject.silent_since > RELIST_AFTER:
            await self._relist(subject)
            subject.silent_since = self._ports.clock()
        return (*answers, *unreachable_pods(pods))

    async def _size(self, subject: AIApiState, now: _Round, deployment: Manifest) -> None:
        others = self._ports.autoscalers.targeting(subject.key)
        wishes = sizing_spec(now.aiapi.spec, time_of_day=self._ports.time_of_day())
        spec = autoscalers.effective_spec(wishes, others)
        fleet = Fleet(
            replicas=deployment["spec"].get("replicas", 1),
            pods=now.answers,
            resize_deferred=deferred_resizes(subject, now.pods),
            workers=subject.ordered_workers,
        )
        decision = decide(spec, fleet, subject.state, self._ports.clock())
        subject.state = decision.state
        self._lead()
        if spec.mode is Mode.AUTO:
            now.troubles = await self._act(subject, now, deployment, decision)
        else:
            await self._actor.greet(subject, now.asked)
        saved = savings(
            worker_use.with_learned_resources(spec, decision.state.use), decision.state.usage
        )
        seen = ObservedFleet(
            replicas=len(now.pods),
            ready=sum(pod.ready for pod in now.pods),
            workers=sum(sample.workers_ready for sample in now.samples.values()),
            silent=sum(isinstance(a, PodUnknown) and a.ready for a in now.answers),
            savings=saved,
            samples=tuple(now.samples.values()),
        )
        self._ports.meter.record_decision(subject.key, spec, seen, decision)
        foreign = autoscalers.condition(
            subject.key, others, list_error=self._ports.autoscalers.list_error
        )
        conditions = [*self._basics(now), foreign, *decision.conditions]
        now.acted = spec.mode is Mode.AUTO
        await self._tell(subject, now, conditions, decision=decision, saved=saved)

    async def _act(
        self, subject: AIApiState, now: _Round, deployment: Manifest, decision: Decision
    ) -> list[str]:
        in_place = self._surroundings.resize_in_place
        wish = Desired(
            workers=decision.workers,
            replicas=decision.replicas,
            resources=self._share(subject, now, decision) if in_place else None,
        )
        if not in_place and subject.template is not None:
            template_workers.follow(
                subject.template, now.aiapi, decision.workers, now=self._ports.clock()
            )
        asked = now.asked
        troubles = await self._actor.size_pods(subject, asked, wish)
        try:
            await self._actor.set_replicas(subject, deployment, asked, wish)
        except Unavailable:
            raise
        except ClusterError as error:
            troubles.append(f"replicas of the Deployment: {error.message}")
        return troubles

    def _share(self, subject: AIApiState, now: _Round, decision: Decision) -> Resources:
        return pod_requests.pod_resources(
            subject,
            now.aiapi.spec.workers,
            decision,
            waiting=deferred_resizes(subject, now.pods),
            now=self._ports.clock(),
        )

    def _basics(self, now: _Round) -> list[Condition]:
        return [
            readiness.accepted(),
            readiness.reconciled(now.refused, now.troubles),
            self._readiness(now),
        ]

    def _readiness(self, now: _Round) -> Condition:
        scene = readiness.ReadinessInputs(
            aiapi=now.aiapi,
            default_image=self._surroundings.default_image,
            refused=now.refused,
            deployment=now.deployment,
            pods=now.pods,
            samples=now.samples,
        )
        return readiness.readiness(scene)

    async def _tell(
        self,
        subject: AIApiState,
        now: _Round,
        conditions: Sequence[Condition],
        *,
        decision: Decision | None = None,
        saved: Savings | None = None,
    ) -> None:
        self._ports.meter.record_conditions(subject.key, conditions)
        running = [sample.workers_wanted for sample in now.samples.values()]
        news = StatusUpdate(
            aiapi=now.aiapi,
            pods=now.pods,
            workers=decision.workers if decision and now.acted else max(running, default=None),
            decision=decision,
            acted=now.acted,
            savings=saved,
            conditions=conditions,
        )
        await self._teller.tell(subject, news)

    def _deployment(self, subject: AIApiState) -> Manifest | None:
        return self._cache.objects(subject.key).children.get(DEPLOYMENTS.kind)

    def _round(self, subject: AIApiState, aiapi: AIApi) -> _Round:
        pods = self._cache.objects(subject.key).pods.values()
        return _Round(
            aiapi=aiapi,
            deployment=self._deployment(subject),
            pods=active_pods(pod_view(pod) for pod in pods),
        )


def _stand_in(manifest: Manifest) -> AIApi:
    """The AIApi with a default spec, where its own cannot be read."""
    metadata = Metadata.model_validate(manifest["metadata"])
    return AIApi.model_construct(metadata=metadata, spec=AIApiSpec(), status=AIApiStatus())
