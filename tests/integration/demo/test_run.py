"""A performance on a small stage: real load on a real server, and a cluster that is told."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

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

    async def answer_after(self, seconds: float) -> None:
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


class Stage:
    def __init__(self, url: str) -> None:
        self.url = url
        self.token = "s3cret"
        self.objective = DemoObjective(percentile=95, seconds=0.8)
        self.llm = Llm()
        self.operator = Operator()
        self.kubectl = Kubectl()

    def check(self) -> None:
        if not self.operator.running:
            raise ProcessFailedError("the operator ended")

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


Play = Callable[..., Awaitable[tuple[DemoReport, Stage, str]]]


@pytest.fixture
def play(service: str, tmp_path: Path) -> Play:
    async def run(kill_at: float | None = None) -> tuple[DemoReport, Stage, str]:
        stage, out = Stage(service), Console(file=io.StringIO(), width=120)
        plan = DemoPlan(phases=PHASES, kill_at=kill_at, out=tmp_path)
        performance = DemoRun(stage, plan, out, plain=True)  # type: ignore[arg-type]
        report = await asyncio.wait_for(performance.play(), 30)
        return report, stage, out.file.getvalue()  # type: ignore[attr-defined]

    return run


async def test_everything_is_seen_and_added_up(play: Play) -> None:
    report, stage, printed = await play()
    assert report.summary.failed == 0
    assert report.summary.requests == sum(phase.requests for phase in report.summary.phases) > 30
    assert stage.llm.latencies == [0.25, 0.25, 0.75]
    sample = report.recording.samples[-1]
    assert (sample.serving, sample.asked, sample.alive, sample.wanted) == (2, 2, 4, 2)
    assert sample.utilization == pytest.approx(0.5, abs=0.01)
    assert [each.condition.type for each in report.recording.diagnoses] == ["DependencyBound"]
    assert "calm: offered" in printed


async def test_the_operator_is_killed_and_comes_back(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiapi_demo.run.AWAY_SECONDS", 0.5)
    report, stage, _ = await play(kill_at=0.8)
    assert (stage.operator.kills, stage.operator.running) == (1, True)
    assert report.kill is not None
    assert 0.8 <= report.kill.at < report.kill.back_at < report.kill.guarded_until


async def test_an_operator_that_dies_by_itself_ends_the_demo(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(_stage: Stage) -> None:
        raise ProcessFailedError("the operator ended with -11")

    monkeypatch.setattr(Stage, "check", died)
    with pytest.raises(ExceptionGroup) as failure:
        await play()
    assert [str(each) for each in failure.value.exceptions] == ["the operator ended with -11"]
