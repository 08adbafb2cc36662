"""An engine on a fake world whose clock the test moves."""

from dataclasses import dataclass, field
from typing import Any

from engine_support.cluster import FakeCluster, FakePods
from engine_support.samples import sample

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.ports import Ports
from aiapi_operator.engine.tick import Engine, OperatorConfig


@dataclass
class Leads:
    """Leadership that a test gives and takes."""

    leads: bool = True
    term: int = 1

    def held(self) -> bool:
        return self.leads


class Meter:
    def record_decision(self, *_: Any) -> None:
        """Numbers are not looked at here."""

    def record_conditions(self, *_: Any) -> None:
        """Nor is what is told."""


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
class World:
    """Everything an engine needs, and ``a``, the AIApi it looks after."""

    spec: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    resize_in_place: bool = True
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.cluster, self.pods, self.leads = FakeCluster(), FakePods(), Leads()
        self.cache = ObjectCache()
        manifest = aiapi(self.spec, **self.status)
        self.cluster.objects["AIApi", "a"] = manifest
        self.subject = AIApiState(manifest)
        self.engine = Engine(
            Ports(
                cluster=self.cluster,
                scraper=self.pods,
                workers=self.pods,
                leadership=self.leads,
                meter=Meter(),
                clock=lambda: self.now,
                wall=lambda: f"T{self.now:.0f}",
                time_of_day=lambda: self.now,
            ),
            self.cache,
            OperatorConfig(
                operator_namespace="aiapi-system",
                default_image="service:1",
                resize_in_place=self.resize_in_place,
            ),
        )

    def add_pods(self, *names: str, workers: int = 1, **changes: Any) -> None:
        """Running pods that answer with idle samples."""
        cpu, memory = f"{500 * workers}m", f"{256 * workers}Mi"
        for name in names:
            self.cache.put(self.cluster.add_pod(name, cpu=cpu, memory=memory))
            self.answer(name, workers=workers, **changes)

    def answer(self, pod: str, **changes: Any) -> None:
        """What the pod says from now on."""
        self.pods.answers[pod] = sample(pod, **{"time": self.now, **changes})

    async def tick(self, *, after: float = 2.0) -> None:
        """Time goes by, pods that answer say so again, and the engine ticks."""
        self.now += after
        for name, said in list(self.pods.answers.items()):
            if hasattr(said, "instance"):
                self.answer(name, workers=said.workers_wanted)
        await self.engine.tick(self.subject)

    async def settle(self, ticks: int = 6) -> None:
        """Two idle pods, looked at until nothing is left to do."""
        await self.tick()
        self.add_pods("a-1", "a-2")
        for _ in range(ticks):
            await self.tick()
        self.cluster.done.clear()
        self.cluster.asked.clear()
        self.cluster.events.clear()

    @property
    def told(self) -> dict[str, Any]:
        """The status as it was written last."""
        status: dict[str, Any] = self.cluster.objects["AIApi", "a"]["status"]
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next(c for c in self.told["conditions"] if c["type"] == kind)
