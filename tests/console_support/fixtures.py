"""A console without a cluster: AIApis with a history of made-up decisions."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiapi_operator.api import AIApiSpec
from aiapi_operator.console.history import History
from aiapi_operator.console.pages import Pages, PageSources
from aiapi_operator.console.server import ConsoleServer
from aiapi_operator.engine.ports import ObservedFleet
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding, Condition, Decision, Load, Need, Verdict
from aiapi_operator.sizing.inputs import Fleet
from aiapi_operator.sizing.savings import Savings
from aiapi_operator.sizing.spec import sizing_spec
from aiapi_operator.sizing.state import Size, State

NOW = 1_790_000_000.0
SPEC = sizing_spec(AIApiSpec())
SERVICE = 0.02
TARGET = 0.7


def manifest(name: str, *, namespace: str = "shop", **status: Any) -> dict[str, Any]:
    """An AIApi as returned by the API server, with a status as written by the operator."""
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "2 of 2 ready."}
    return {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1},
        "spec": {
            "objective": {"latency": {"percentile": 95, "threshold": "800ms"}},
            "scaling": {"mode": "Auto"},
        },
        "status": {
            "replicas": 2,
            "readyReplicas": 2,
            "workers": 3,
            "load": {
                "latency": "357ms",
                "percentile": "p95",
                "requestsPerSecond": "118",
                "utilization": "43%",
            },
            "need": {"workers": 5, "binding": "EventLoop"},
            "decision": {
                "workers": 3,
                "replicas": 2,
                "reason": "Steady",
                "message": "5 workers needed",
            },
            "savings": {"percent": "38%"},
            "conditions": [ready],
            **status,
        },
    }


def decision(*, rps: float, workers: int, replicas: int, **changes: Any) -> Decision:
    """A decision with these numbers."""
    blank = decide(SPEC, Fleet(replicas=replicas, pods=()), State(), 0.0)
    need = Need(
        workers=max(2, math.ceil(rps * SERVICE / TARGET)),
        binding=Binding.LOOP,
        demand=1.1 * rps,
        service_demand=SERVICE,
        target_utilization=TARGET,
    )
    load = Load(
        arrivals_per_second=rps,
        completed_per_second=rps,
        in_flight=0.3 * rps,
        loop_utilization=min(1.0, rps * SERVICE / (workers * replicas)),
        latency=0.3 + 0.002 * rps,
        upstream_share=0.9,
        shed_per_second=0.0,
    )
    made = Decision(
        workers=workers,
        replicas=replicas,
        verdict=Verdict.STEADY,
        message=f"{need.workers} workers needed: {1.1 * rps:.0f} rps expected in 3 s",
        need=need,
        load=load,
        conditions=(),
        state=blank.state,
    )
    return replace(made, **changes)


def seen(*, workers: int, replicas: int, percent: float = 38.0) -> ObservedFleet:
    """The observed fleet."""
    return ObservedFleet(
        replicas=replicas,
        ready=replicas,
        workers=workers * replicas,
        silent=0,
        savings=savings(percent),
    )


def savings(percent: float) -> Savings:
    """Savings against 2 pods x 5."""
    return Savings(
        percent=percent,
        per_month=61.0,
        currency="USD",
        baseline=Size(workers=5, replicas=2),
        baseline_is_peak=True,
        cost_hour=0.12,
        baseline_hour=0.2,
        worker_seconds=1.0,
        baseline_worker_seconds=2.0,
    )


def sizes(rps: float) -> tuple[int, int]:
    """Workers per pod and pods for this load."""
    need = max(2, math.ceil(1.1 * rps * SERVICE / TARGET))
    replicas = max(2, math.ceil(need / 4))
    return math.ceil(need / replicas), replicas


@dataclass
class ConsoleWorld:
    """The sources of a console, filled by a test."""

    aiapis: list[dict[str, Any]] = field(default_factory=list)
    leads: bool = True
    leader: str = "aiapi-operator-1"
    now: float = NOW

    def __post_init__(self) -> None:
        self.history = History(wall=lambda: self.now)

    def live(self, name: str, *, minutes: float = 15, namespace: str = "shop") -> None:
        """Record a decision every 2 s until now."""
        end, self.now = self.now, self.now - 60 * minutes
        before = (0, 0)
        key = (namespace, name)
        while self.now <= end:
            phase = (self.now - end) / 300
            rps = 80 + 60 * math.sin(phase) + (120 if -2.1 < phase < -1.5 else 0)
            workers, replicas = sizes(rps)
            verdict = Verdict.STEADY
            if before not in ((0, 0), (workers, replicas)):
                more = workers * replicas > before[0] * before[1]
                verdict = Verdict.SCALED_UP if more else Verdict.SCALED_DOWN
            made = decision(rps=rps, workers=workers, replicas=replicas, verdict=verdict)
            self.history.record_decision(key, SPEC, seen(workers=workers, replicas=replicas), made)
            bound = Condition(
                type="DependencyBound",
                status=-1.4 < phase < -1.0,
                reason="UpstreamSlow",
                message="Requests spend 94 % of their time waiting for upstreams.",
            )
            self.history.record_conditions(key, [bound])
            before = (workers, replicas)
            self.now += 2
        self.now = end

    @property
    def pages(self) -> Pages:
        return Pages(
            PageSources(
                aiapis=lambda: self.aiapis,
                history=self.history,
                leads=lambda: self.leads,
                leader=lambda: self.leader,
                wall=lambda: self.now,
                version="0.1.0",
            )
        )

    @asynccontextmanager
    async def served(self, **options: Any) -> AsyncIterator[str]:
        """Serve the console on a free port, and yield its address."""
        server = ConsoleServer(self.pages, **options)
        port = await server.start("127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await server.stop()
