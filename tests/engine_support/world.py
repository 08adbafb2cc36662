"""An engine on a fake cluster with a clock that the test advances."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine_support.cluster import FakeCluster, FakePods
from engine_support.samples import sample

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.admin_tls import AdminTls
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.authority import rotated
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.ports import OperatorConfig, Ports
from aiapi_operator.engine.tick import Engine
from aiapi_operator.manifests.pod_policy import PodTemplatePolicy
from aiapi_operator.manifests.runtime import Delivery, Runtime
from aiapi_operator.observe.activators import ActivatorAnswer, ActivatorPod
from aiapi_operator.observe.tls import trusting

OBSERVED = {
    "savings": {
        "observedSeconds": 36_000,
        "workerSeconds": 72_000,
        "podSeconds": 72_000,
        "missedSeconds": 0,
    }
}
"""A status whose totals are hours old, so that they are written once an hour."""


@dataclass
class Leads:
    """Leadership that a test grants and revokes."""

    leads: bool = True
    term: int = 1

    def held(self) -> bool:
        return self.leads


class NoMetrics:
    def record_decision(self, *_: Any) -> None:
        """Ignore the decision."""

    def record_activation(self, *_: Any) -> None:
        """Ignore the phase."""

    def record_conditions(self, *_: Any) -> None:
        """Ignore the conditions."""


class MemoryCa:
    """A CA that is kept by this process alone, and replaced as in a Secret."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tls: AdminTls | None = None

    async def current(self, term: int) -> AdminTls:
        known = self._tls.authority if self._tls else None
        wanted = rotated(known, None, self._now())
        if self._tls is None or wanted is not known:
            self._tls = AdminTls(wanted, trusting(wanted.trusted))
        return self._tls


def aiapi(spec: dict[str, Any] | None = None, **status: Any) -> Manifest:
    return {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {
            "name": "a",
            "namespace": "shop",
            "uid": "AIApi-a",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": spec or {},
        "status": status,
    }


@dataclass
class FakeActivators:
    """The activators, and what a test says that they know."""

    pods: list[ActivatorPod] = field(default_factory=list)
    grace: float = 10.0
    idle: float | None = 1e6
    """Seconds without a request; None if no activator answers."""
    held: int = 0
    answering: bool = True
    """Whether a probe through the Service reaches an activator."""

    def ready(self) -> Sequence[ActivatorPod]:
        return self.pods

    async def ask(self, _key: Any, /) -> Mapping[ActivatorPod, ActivatorAnswer | None]:
        answer = None if self.idle is None else ActivatorAnswer(self.idle, self.held)
        return dict.fromkeys(self.pods, answer)

    async def answers(self, _host: str, _port: int, /) -> bool:
        return self.answering


@dataclass
class World:
    """An engine, its fakes, and the AIApi ``a``."""

    spec: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    resize_in_place: bool = True
    runtime_image: str = "runtime:1"
    delivery: Delivery = Delivery.IMAGE_VOLUME
    now: float = 1000.0
    wall_clock_error: float = 0.0
    admin_tls: bool = True
    shard: int | None = None
    policy: PodTemplatePolicy = field(default_factory=PodTemplatePolicy)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    authority: MemoryCa | None = None
    activators: FakeActivators = field(default_factory=FakeActivators)
    activator_ports: tuple[int, int] = (20_000, 20_009)

    def __post_init__(self) -> None:
        self.pods, self.leads = FakePods(), Leads()
        self.cache = ObjectCache()
        self.authority = self.authority or MemoryCa(lambda: self.now)
        manifest = aiapi(self.spec, **self.status)
        self.cluster.objects["AIApi", "a"] = manifest
        self.woken: list[float] = []
        """When the AIApi was to tick soon."""
        self.state = AIApiState(manifest, lambda: self.woken.append(self.now))
        self.engine = Engine(
            Ports(
                cluster=self.cluster,
                scraper=self.pods,
                workers=self.pods,
                leadership=self.leads,
                metrics=NoMetrics(),
                admin_tls=self.authority,
                clock=lambda: self.now,
                timestamp=lambda: f"T{self.now:.0f}",
                time_of_day=lambda: self.now + self.wall_clock_error,
                activators=self.activators,
            ),
            self.cache,
            OperatorConfig(
                operator_namespace="aiapi-system",
                default_image="service:1",
                resize_in_place=self.resize_in_place,
                runtime=Runtime(
                    image=self.runtime_image,
                    pull_policy="IfNotPresent",
                    delivery=self.delivery,
                ),
                admin_tls=self.admin_tls,
                shard=self.shard,
                pod_template_policy=self.policy,
                activator_ports=self.activator_ports,
            ),
        )

    def add_pods(self, *names: str, workers: int = 1, **changes: Any) -> None:
        """Running pods that answer with idle samples."""
        cpu, memory = f"{500 * workers}m", f"{256 * workers}Mi"
        for name in names:
            self.cache.put(self.cluster.add_pod(name, cpu=cpu, memory=memory))
            self.answer(name, workers=workers, **changes)

    def answer(self, pod: str, **changes: Any) -> None:
        """Set the answer of a pod."""
        self.pods.answers[pod] = sample(pod, **{"time": self.now, **changes})

    async def tick(self, *, after: float = 2.0) -> None:
        """Advance the clock, refresh the samples, and run one tick."""
        self.now += after
        for name, answer in list(self.pods.answers.items()):
            if hasattr(answer, "instance"):
                kept = {"workers": answer.workers_wanted, "idle_seconds": answer.idle_seconds}
                self.answer(name, **kept, longest_wait=answer.longest_wait)
        await self.tick_now()

    async def tick_now(self) -> None:
        """Run one tick on the samples as they are, and the resizes that it starts."""
        await self.engine.tick(self.state)
        await asyncio.gather(*self.state.resizer.resizing.values())

    async def settle(self, ticks: int = 6, **changes: Any) -> None:
        """Start two idle pods and tick until nothing changes."""
        await self.tick()
        self.add_pods("a-1", "a-2", **changes)
        for _ in range(ticks):
            await self.tick()
        self.cluster.done.clear()
        self.cluster.asked.clear()
        self.cluster.events.clear()

    @property
    def written(self) -> dict[str, Any]:
        """The status as last written."""
        status: dict[str, Any] = self.cluster.objects["AIApi", "a"]["status"]
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next(c for c in self.written["conditions"] if c["type"] == kind)
