"""The interfaces through which the engine reaches the outside: cluster, pods, clock, metrics.

Tests replace them, so the engine runs the same on a cluster and in a test.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiapi_operator.cluster.resources import Manifest, Resource
from aiapi_operator.engine.admin_tls import AdminTlsSource
from aiapi_operator.engine.autoscalers import AutoscalerSource, NoAutoscalers
from aiapi_operator.engine.cache import Key
from aiapi_operator.manifests.mesh import Mesh
from aiapi_operator.manifests.pod_policy import PodTemplatePolicy
from aiapi_operator.manifests.runtime import Runtime
from aiapi_operator.observe.activators import ActivatorAnswer, ActivatorPod
from aiapi_operator.observe.request_watch import Watch
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.inputs import PodSample, PodUnknown, SizingSpec
from aiapi_operator.sizing.savings import Savings


class Cluster(Protocol):
    """The Kubernetes API. Every call ends by a deadline and raises ``ClusterError``."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """Return the object, or None when it does not exist."""

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """List the pods that match a label selector."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Apply the manifest and return the object."""

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object, if it exists."""

    async def replace_part(self, manifest: Manifest, part: Manifest) -> None:
        """Replace the fields in ``part``, lists as a whole, of the object in ``manifest``."""

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Apply the manifest's status and return the object."""

    async def scale(self, namespace: str, name: str, replicas: int) -> str:
        """Scale the Deployment and return its new resourceVersion."""

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        """Set the pod's deletion cost. Pods with the lowest cost are deleted first."""

    async def resize(
        self, namespace: str, pod: str, container: str, resources: dict[str, Any]
    ) -> Manifest:
        """Change requests and limits of a running container, and return the pod."""

    async def relabel(self, manifest: Manifest, labels: Mapping[str, str | None]) -> None:
        """Set labels, or remove those that are None, if this is still the object's version."""

    async def emit(self, regarding: Manifest, *, kind: str, reason: str, message: str) -> None:
        """Post an Event about an object."""


class Scraper(Protocol):
    """Reads the pods' counters."""

    async def scrape(
        self, targets: Sequence[ScrapeTarget], tokens: Sequence[str]
    ) -> tuple[PodSample | PodUnknown, ...]:
        """One answer per target, in their order. A pod accepts any one of the tokens."""

    def watch(
        self,
        targets: Sequence[ScrapeTarget],
        samples: Sequence[PodSample],
        tokens: Sequence[str],
        *,
        seconds: int,
        on_answer: Callable[[], None],
    ) -> Watch | None:
        """Call ``on_answer`` at the first request to these pods, or after ``seconds``.

        ``samples`` are the last ones of the targets. None where they cannot be watched now.
        """


class WorkersClient(Protocol):
    """Sets the pods' worker counts."""

    async def set(
        self, targets: Sequence[ScrapeTarget], count: int, tokens: Sequence[str]
    ) -> dict[str, str]:
        """Request ``count`` workers from each pod. Returns an error for each pod that failed."""


class Activators(Protocol):
    """The activators, which answer for AIApis without pods."""

    @property
    def grace(self) -> float:
        """Seconds that nodes need to learn that a Service leads to them."""

    def ready(self) -> Sequence[ActivatorPod]:
        """The ready ones."""

    async def ask(self, key: Key, /) -> Mapping[ActivatorPod, ActivatorAnswer | None]:
        """What each ready one knows of an AIApi; None where it does not answer."""

    async def answers(self, host: str, port: int, /) -> bool:
        """Whether an activator answers a marked probe that is sent to a Service."""


class NoActivators:
    """No activators are installed: no AIApi goes to zero."""

    grace = 0.0

    def ready(self) -> Sequence[ActivatorPod]:
        """None."""
        return ()

    async def ask(self, _key: Key, /) -> Mapping[ActivatorPod, ActivatorAnswer | None]:
        """Nothing is known."""
        return {}

    async def answers(self, _host: str, _port: int, /) -> bool:
        """Nobody answers."""
        return False


class Leadership(Protocol):
    """Whether this operator is the leader."""

    def held(self) -> bool:
        """Whether this operator may act now."""

    @property
    def term(self) -> int:
        """Increases each time leadership is gained: state of an earlier term is stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedFleet:
    """The fleet in numbers, as one tick observed it."""

    replicas: int
    ready: int
    workers: int
    """Workers that serve, in all pods that answered."""
    silent: int
    """Ready pods that did not answer."""
    savings: Savings | None
    samples: tuple[PodSample, ...] = ()


class DecisionMetrics(Protocol):
    """Records the results of ticks."""

    def record_decision(
        self, key: Key, spec: SizingSpec, fleet: ObservedFleet, decision: Decision
    ) -> None:
        """Record a decision and the fleet it was made for."""

    def record_activation(self, key: Key, phase: str | None) -> None:
        """Record the phase of an AIApi; None if it may not go to zero."""

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """Record the conditions of an AIApi."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """The configuration that holds for all AIApis."""

    operator_namespace: str
    default_image: str
    resize_in_place: bool
    runtime: Runtime
    keep_delivery: bool = True
    image_pull_secrets: tuple[str, ...] = ()
    assigns_users: bool = False
    mesh: Mesh = Mesh.NONE
    activator_ports: tuple[int, int] = (20_000, 29_999)
    """The first and the last port of the activators."""
    metrics_from: Mapping[str, str] = field(default_factory=dict)
    shard: int | None = None
    """The shard of this operator; None where one operator handles all AIApis."""
    admin_tls: bool = True
    """Whether new pods serve TLS on their admin port."""
    pod_template_policy: PodTemplatePolicy = field(default_factory=PodTemplatePolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All interfaces of the engine."""

    cluster: Cluster
    scraper: Scraper
    workers: WorkersClient
    leadership: Leadership
    metrics: DecisionMetrics
    admin_tls: AdminTlsSource
    clock: Callable[[], float]
    """Monotonic seconds."""
    timestamp: Callable[[], str]
    """The current time as Kubernetes writes it."""
    time_of_day: Callable[[], float]
    """Seconds since 1970, for schedules."""
    autoscalers: AutoscalerSource = field(default_factory=NoAutoscalers)
    activators: Activators = field(default_factory=NoActivators)
