"""The performance: load, watchers and the clock that slows the LLM, side by side."""

import asyncio
import json
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from aiapi_demo import records
from aiapi_demo.environment import NAME, WORKERS_AFTER, DemoEnvironment
from aiapi_demo.expectations import unmet_expectations
from aiapi_demo.live_view import LiveView, clock
from aiapi_demo.load import LoadScript
from aiapi_demo.observed import ObservedPod, read_aiapi, read_pod
from aiapi_demo.probe import Probe
from aiapi_demo.processes import ProcessFailedError, spawn, stop
from aiapi_demo.recording import Recording, Sample
from aiapi_demo.schedule import Phase, starts
from aiapi_demo.summary import DemoReport, OperatorKill, summarize

AWAY_SECONDS = 4.0
LEASE_SECONDS = 15.0
"""How long a dead operator's Lease may hold its successor up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What to do: the phases, and when to kill the operator (seconds from the start), if at all."""

    phases: tuple[Phase, ...]
    kill_at: float | None
    out: Path

    @property
    def seconds(self) -> float:
        """How long the load lasts."""
        return starts(self.phases)[-1]


def random_kill(seconds: float) -> float:
    """A moment at which the operator may die and its successor still be watched."""
    latest = seconds - AWAY_SECONDS - LEASE_SECONDS - WORKERS_AFTER
    return random.uniform(2, max(3, latest))  # noqa: S311 - a moment, not a secret


class DemoRun:
    """One run of the load on a stage that is set."""

    def __init__(
        self, stage: DemoEnvironment, plan: DemoPlan, console: Console, *, plain: bool
    ) -> None:
        self._stage = stage
        self._plan = plan
        self._console = console
        self._recording = Recording()
        self._pods: dict[str, ObservedPod] = {}
        self._start: float | None = None
        self._kill: OperatorKill | None = None
        self._view = LiveView(console, phases=plan.phases, plain=plain, objective=stage.objective)

    def _now(self) -> float:
        """Seconds from the start of the load; negative before it."""
        return -1.0 if self._start is None else monotonic() - self._start

    async def play(self) -> DemoReport:
        """Send the load, watch, and report."""
        await self._stage.llm.answer_after(self._plan.phases[0].upstream_seconds)
        probe = Probe(self._stage.token)
        self._view.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._watch_aiapi()),
                    tasks.create_task(self._watch_pods()),
                ]
                await self._load(probe, background, tasks)
                for task in background:
                    task.cancel()
        finally:
            self._view.stop()
            await probe.close()
        return self._report()

    async def _load(
        self, probe: Probe, background: list[asyncio.Task[None]], tasks: asyncio.TaskGroup
    ) -> None:
        script = LoadScript(
            url=f"{self._stage.url}/v1/answer",
            body={"question": "What does an event loop do while it waits?"},
            phases=self._plan.phases,
            records=str(self._plan.out / "requests.jsonl"),
            percent=self._stage.objective.percentile,
        )
        process = await spawn(
            [sys.executable, "-m", "aiapi_demo.load"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            process.stdin.write(script.dump().encode())
            process.stdin.close()
            ended = False
            while line := await asyncio.wait_for(process.stdout.readline(), 60):
                event = json.loads(line)
                ended = event["event"] == "end"
                if event["event"] == "start":
                    self._start = event["start"]
                    background.append(tasks.create_task(self._slow_the_llm()))
                    background.append(tasks.create_task(self._kill_the_operator()))
                elif event["event"] == "progress":
                    await self._sample(event, probe)
            if not ended:
                raise ProcessFailedError("the load generator ended early")
        finally:
            await stop(process, grace=2)

    async def _sample(self, event: dict[str, Any], probe: Probe) -> None:
        if self._kill is None or self._now() > self._kill.back_at:
            self._stage.check()
        workers = await probe.look(self._pods.values())
        seen = self._recording.view
        begins = starts(self._plan.phases)[:-1]
        self._recording.samples.append(
            Sample(
                at=event["at"],
                phase=max(i for i, begin in enumerate(begins) if begin <= event["at"]),
                offered_rps=event["offered_rps"],
                served_rps=event["served_rps"],
                latency=event["latency"],
                failed=event["failed"],
                wanted_workers=seen.workers,
                wanted_replicas=seen.replicas,
                serving=workers.serving,
                asked=workers.asked,
                alive=workers.alive,
                utilization=workers.utilization,
                binding=seen.binding,
                reason=seen.reason,
                message=seen.message,
            )
        )
        self._view.show(self._recording)

    async def _watch_aiapi(self) -> None:
        async for kind, obj in self._stage.kubectl.watch("aiapi", NAME):
            if kind != "DELETED":
                self._recording.see(read_aiapi(obj), self._now())
                self._note_successor()

    def _note_successor(self) -> None:
        now, kill = self._now(), self._kill
        if kill is not None and kill.acts_at is None and now > kill.back_at:
            self._kill = replace(kill, acts_at=now, guarded_until=now + 0.8 * WORKERS_AFTER)

    async def _watch_pods(self) -> None:
        labels = f"app.kubernetes.io/instance={NAME}"
        async for kind, obj in self._stage.kubectl.watch("pods", "-l", labels):
            name = obj["metadata"]["name"]
            pod = None if kind == "DELETED" else read_pod(obj)
            if pod is None:
                self._pods.pop(name, None)
            else:
                self._pods[name] = pod

    async def _slow_the_llm(self) -> None:
        for begin, phase in zip(starts(self._plan.phases), self._plan.phases, strict=False):
            await asyncio.sleep(begin - self._now())
            await self._stage.llm.answer_after(phase.upstream_seconds)

    async def _kill_the_operator(self) -> None:
        if self._plan.kill_at is None:
            return
        await asyncio.sleep(self._plan.kill_at - self._now())
        at = self._now()
        # Nothing may look at the process between its death and the note of it.
        self._kill = OperatorKill(
            at=at, back_at=at + AWAY_SECONDS, guarded_until=self._plan.seconds
        )
        await self._stage.operator.kill()
        self._console.print(f"{clock(at)} the operator was killed with -9")
        await asyncio.sleep(AWAY_SECONDS)
        await self._stage.start_operator()
        back = self._now()
        self._kill = OperatorKill(at=at, back_at=back, guarded_until=self._plan.seconds)
        self._console.print(f"{clock(back)} the operator is back")

    def _report(self) -> DemoReport:
        plan, recording = self._plan, self._recording
        summary = summarize(
            phases=plan.phases,
            records=records.read(plan.out / "requests.jsonl"),
            recording=recording,
            objective=self._stage.objective,
        )
        return DemoReport(
            phases=plan.phases,
            objective=self._stage.objective,
            recording=recording,
            summary=summary,
            kill=self._kill,
            unmet=unmet_expectations(summary, recording, plan.phases, self._kill),
        )
