"""What the engine needs of the world, so that it runs the same on a cluster and in a test."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiapi_operator.cluster.resources import Manifest, Resource
from aiapi_operator.engine.autoscalers import AutoscalerSource, NoAutoscalers
from aiapi_operator.engine.cache import Key
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.inputs import PodSample, PodUnknown, SizingSpec
from aiapi_operator.sizing.savings import Savings


class Cluster(Protocol):
    """Kubernetes. Every call ends by a deadline and raises ``ClusterError``."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object, or None when it is not there."""

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """The pods that carry these labels."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Make the object as the manifest says, and return it."""

    async def replace_part(self, manifest: Manifest, part: Manifest) -> None:
        """Set the fields in ``part``, lists as a whole, of the object the manifest names."""

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Write the manifest's status, and return the object."""

    async def scale(self, namespace: str, name: str, replicas: int) -> str:
        """Ask the Deployment for this many pods; returns its new resourceVersion."""

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        """Say which pods go first: those with the lowest cost."""

    async def resize(
        self, namespace: str, pod: str, container: str, resources: dict[str, Any]
    ) -> Manifest:
        """Give a running container other requests and limits, and return the pod."""

    async def emit(self, regarding: Manifest, *, kind: str, reason: str, message: str) -> None:
        """Say something about an object as an Event."""


class Scraper(Protocol):
    """The pods' numbers."""

    async def scrape(
        self, targets: Sequence[ScrapeTarget], tokens: Sequence[str]
    ) -> tuple[PodSample | PodUnknown, ...]:
        """One answer a target, in their order. A pod may know any of the tokens."""


class WorkersClient(Protocol):
    """The pods' worker counts."""

    async def set(
        self, targets: Sequence[ScrapeTarget], count: int, tokens: Sequence[str]
    ) -> dict[str, str]:
        """Ask each pod for ``count`` workers; maps pods that did not agree to why."""


class Leadership(Protocol):
    """Whether this operator is the one that acts."""

    def held(self) -> bool:
        """Whether it may act right now."""

    @property
    def term(self) -> int:
        """Counts how often leadership was gained: what was remembered before is stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedFleet:
    """The fleet in numbers, as one tick found it."""

    replicas: int
    ready: int
    workers: int
    """Workers that run, in all pods that answered."""
    silent: int
    """Pods that should have answered and did not."""
    savings: Savings | None
    samples: tuple[PodSample, ...] = ()


class DecisionMetrics(Protocol):
    """Takes the numbers of a tick."""

    def record_decision(
        self, key: Key, spec: SizingSpec, seen: ObservedFleet, decision: Decision
    ) -> None:
        """A decision was taken."""

    def record_conditions(self, key: Key, conditions: Iterable[Condition]) -> None:
        """What is told of an AIApi."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world as the engine reaches it."""

    cluster: Cluster
    scraper: Scraper
    workers: WorkersClient
    leadership: Leadership
    meter: DecisionMetrics
    clock: Callable[[], float]
    """Monotonic seconds."""
    wall: Callable[[], str]
    """The time of day, as Kubernetes writes it."""
    time_of_day: Callable[[], float]
    """The time of day in seconds since 1970, for schedules."""
    autoscalers: AutoscalerSource = field(default_factory=NoAutoscalers)
