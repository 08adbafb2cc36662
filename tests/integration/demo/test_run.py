"""A run with real load on a real server, and a fake cluster."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from aiapi_demo.admin_port import AdminPort
from aiapi_demo.processes import ProcessFailedError
from aiapi_demo.run import DemoPlan, DemoRun
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import DemoObjective, DemoReport

POD = f"127.77.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"
PHASES = (
    Phase(name="calm", seconds=1.5, rate=20, upstream_seconds=0.25),
    Phase(name="slow LLM", seconds=1.5, rate=20, upstream_seconds=0.75),
)


class Llm:
    def __init__(self) -> None:
        self.latencies: list[float] = []

    async def set_latency(self, seconds: float) -> None:
        self.latencies.append(seconds)


class Operator:
    def __init__(self) -> None:
        self.running = True
        self.kills = 0

    async def kill(self) -> None:
        self.kills += 1
        self.running = False


class Kubectl:
    """Two watches: an AIApi that is DependencyBound from the start, and one pod."""

    async def watch(self, kind: str, *_: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        if kind == "aiapi":
            yield (
                "ADDED",
                {
                    "status": {
                        "decision": {
                            "workers": 2,
                            "replicas": 1,
                            "reason": "Steady",
                            "message": "ok",
                        },
                        "conditions": [
                            {"type": "DependencyBound", "status": "True", "message": "the LLM"}
                        ],
                    }
                },
            )
        else:
            ready = [{"type": "Ready", "status": "True"}]
            yield (
                "ADDED",
                {
                    "metadata": {"name": "pod"},
                    "status": {"phase": "Running", "podIP": POD, "conditions": ready},
                },
            )
        await asyncio.Event().wait()


class FakeEnvironment:
    def __init__(self, url: str) -> None:
        self.url = url
        self.admin = AdminPort(token="s3cret")
        self.objective = DemoObjective(percentile=95, seconds=0.8)
        self.llm = Llm()
        self.operator = Operator()
        self.kubectl = Kubectl()

    def check(self) -> None:
        if not self.operator.running:
            raise ProcessFailedError("the operator exited")

    async def start_operator(self) -> None:
        self.operator.running = True


async def stats(request: web.Request) -> web.Response:
    if request.headers["Authorization"] != "Bearer s3cret":
        return web.Response(status=401)
    now = asyncio.get_running_loop().time()
    return web.json_response(
        {
            "instance": "one",
            "workers": {"wanted": 2, "starting": 1, "ready": 2, "draining": 1},
            "loop_seconds": now * 0.5,
            "worker_seconds": now,
        }
    )


async def answer(_request: web.Request) -> web.Response:
    return web.json_response({"answer": "because"})


@pytest.fixture
async def service() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/answer", answer)
    app.router.add_get("/stats", stats)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, POD, 9000).start()
    yield f"http://{POD}:9000"
    await runner.cleanup()


Run = Callable[..., Awaitable[tuple[DemoReport, FakeEnvironment, str]]]


@pytest.fixture
def run_demo(service: str, tmp_path: Path) -> Run:
    async def run(kill_at: float | None = None) -> tuple[DemoReport, FakeEnvironment, str]:
        environment, out = FakeEnvironment(service), Console(file=io.StringIO(), width=120)
        plan = DemoPlan(phases=PHASES, kill_at=kill_at, out=tmp_path)
        demo = DemoRun(environment, plan, out, plain=True)  # type: ignore[arg-type]
        report = await asyncio.wait_for(demo.run(), 30)
        return report, environment, out.file.getvalue()  # type: ignore[attr-defined]

    return run


async def test_a_run_is_recorded_and_summarized(run_demo: Run) -> None:
    report, environment, printed = await run_demo()
    assert report.summary.failed == 0
    assert report.summary.requests == sum(phase.requests for phase in report.summary.phases) > 30
    assert environment.llm.latencies == [0.25, 0.25, 0.75]
    sample = report.recording.samples[-1]
    assert (sample.serving, sample.requested, sample.alive, sample.wanted) == (2, 2, 4, 2)
    assert sample.utilization == pytest.approx(0.5, abs=0.01)
    assert [each.condition.type for each in report.recording.condition_changes] == [
        "DependencyBound"
    ]
    assert "calm: offered" in printed


async def test_the_operator_is_killed_and_restarted(
    run_demo: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiapi_demo.run.DOWNTIME_SECONDS", 0.5)
    report, environment, _ = await run_demo(kill_at=0.8)
    assert (environment.operator.kills, environment.operator.running) == (1, True)
    assert report.kill is not None
    assert 0.8 <= report.kill.at < report.kill.back_at < report.kill.guarded_until


async def test_an_operator_that_crashes_ends_the_demo(
    run_demo: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(_environment: FakeEnvironment) -> None:
        raise ProcessFailedError("the operator exited with code -11")

    monkeypatch.setattr(FakeEnvironment, "check", died)
    with pytest.raises(ExceptionGroup) as failure:
        await run_demo()
    assert [str(each) for each in failure.value.exceptions] == ["the operator exited with code -11"]
