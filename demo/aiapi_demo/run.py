"""One run: load, watches, and the changes of the LLM's latency, concurrently."""

import asyncio
import json
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from aiapi_demo import cpu_wait, records
from aiapi_demo.environment import NAME, WORKERS_AFTER, DemoEnvironment
from aiapi_demo.expectations import unmet_expectations
from aiapi_demo.live_view import LiveView
from aiapi_demo.load import LoadScript
from aiapi_demo.observed import ObservedPod, read_aiapi, read_pod
from aiapi_demo.probe import Probe
from aiapi_demo.processes import ProcessFailedError, spawn, stop
from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.schedule import Phase, starts
from aiapi_demo.summary import DemoReport, OperatorKill, summarize
from aiapi_operator.present.numbers import elapsed

DOWNTIME_SECONDS = 4.0
LEASE_SECONDS = 15.0
"""Duration of the Lease: a killed operator blocks its successor for this long at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """The phases of the load, and when to kill the operator, in seconds since the start."""

    phases: tuple[Phase, ...]
    kill_at: float | None
    out: Path

    @property
    def seconds(self) -> float:
        """The duration of the load."""
        return starts(self.phases)[-1]


def random_kill(seconds: float) -> float:
    """A random time that leaves enough of the run to observe the restarted operator."""
    latest = seconds - DOWNTIME_SECONDS - LEASE_SECONDS - WORKERS_AFTER
    return random.uniform(2, max(3, latest))  # noqa: S311 - a time, not a secret


class DemoRun:
    """One run of the load in a ready environment."""

    def __init__(
        self, environment: DemoEnvironment, plan: DemoPlan, console: Console, *, plain: bool
    ) -> None:
        self._environment = environment
        self._plan = plan
        self._console = console
        self._recording = Recording()
        self._pods: dict[str, ObservedPod] = {}
        self._start: float | None = None
        self._kill: OperatorKill | None = None
        self._view = LiveView(
            console, phases=plan.phases, plain=plain, objective=environment.objective
        )

    def _now(self) -> float:
        """Seconds since the start of the load; negative before it."""
        return -1.0 if self._start is None else monotonic() - self._start

    async def run(self) -> DemoReport:
        """Send the load, observe, and report."""
        await self._environment.llm.set_latency(self._plan.phases[0].upstream_seconds)
        probe = Probe(self._environment.admin)
        before = cpu_wait.read()
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
        return self._report(cpu_wait.between(before, cpu_wait.read()))

    async def _load(
        self, probe: Probe, background: list[asyncio.Task[None]], tasks: asyncio.TaskGroup
    ) -> None:
        script = LoadScript(
            url=f"{self._environment.url}/v1/answer",
            body={"question": "What does an event loop do while it waits?"},
            phases=self._plan.phases,
            records=str(self._plan.out / "requests.jsonl"),
            percent=self._environment.objective.percentile,
        )
        process = await spawn(
            [sys.executable, "-m", "aiapi_demo.load"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None  # noqa: S101 - requested above
        assert process.stdout is not None  # noqa: S101 - requested above
        try:
            process.stdin.write(script.dump().encode())
            process.stdin.close()
            ended = False
            while line := await asyncio.wait_for(process.stdout.readline(), 60):
                event = json.loads(line)
                ended = event["event"] == "end"
                if event["event"] == "start":
                    self._start = event["start"]
                    background.append(tasks.create_task(self._change_llm_latency()))
                    background.append(tasks.create_task(self._kill_operator()))
                elif event["event"] == "progress":
                    await self._sample(event, probe)
            if not ended:
                raise ProcessFailedError("the load generator exited early")
        finally:
            await stop(process, grace=2)

    async def _sample(self, event: dict[str, Any], probe: Probe) -> None:
        if self._kill is None or self._now() > self._kill.back_at:
            self._environment.check()
        workers = await probe.probe(self._pods.values())
        seen = self._recording.view
        begins = starts(self._plan.phases)[:-1]
        self._recording.samples.append(
            RunSample(
                at=event["at"],
                phase=max(i for i, begin in enumerate(begins) if begin <= event["at"]),
                offered_rps=event["offered_rps"],
                served_rps=event["served_rps"],
                latency=event["latency"],
                failed=event["failed"],
                wanted_workers=seen.workers,
                wanted_replicas=seen.replicas,
                serving=workers.serving,
                requested=workers.requested,
                alive=workers.alive,
                utilization=workers.utilization,
                binding=seen.binding,
                reason=seen.reason,
                message=seen.message,
            )
        )
        self._view.show(self._recording)

    async def _watch_aiapi(self) -> None:
        async for kind, obj in self._environment.kubectl.watch("aiapi", NAME):
            if kind != "DELETED":
                self._recording.update(read_aiapi(obj), self._now())
                self._note_first_status()

    def _note_first_status(self) -> None:
        now, kill = self._now(), self._kill
        if kill is not None and kill.acts_at is None and now > kill.back_at:
            self._kill = replace(kill, acts_at=now, guarded_until=now + 0.8 * WORKERS_AFTER)

    async def _watch_pods(self) -> None:
        labels = f"app.kubernetes.io/instance={NAME}"
        async for kind, obj in self._environment.kubectl.watch("pods", "-l", labels):
            name = obj["metadata"]["name"]
            pod = None if kind == "DELETED" else read_pod(obj)
            if pod is None:
                self._pods.pop(name, None)
            else:
                self._pods[name] = pod

    async def _change_llm_latency(self) -> None:
        for begin, phase in zip(starts(self._plan.phases), self._plan.phases, strict=False):
            await asyncio.sleep(begin - self._now())
            await self._environment.llm.set_latency(phase.upstream_seconds)

    async def _kill_operator(self) -> None:
        if self._plan.kill_at is None:
            return
        await asyncio.sleep(self._plan.kill_at - self._now())
        at = self._now()
        # Set before the kill, so that the check of the processes does not report it.
        self._kill = OperatorKill(
            at=at, back_at=at + DOWNTIME_SECONDS, guarded_until=self._plan.seconds
        )
        await self._environment.operator.kill()
        self._console.print(f"{elapsed(at)} operator killed with SIGKILL")
        await asyncio.sleep(DOWNTIME_SECONDS)
        await self._environment.start_operator()
        back = self._now()
        self._kill = OperatorKill(at=at, back_at=back, guarded_until=self._plan.seconds)
        self._console.print(f"{elapsed(back)} operator restarted")

    def _report(self, wait: cpu_wait.CpuWait) -> DemoReport:
        plan, recording = self._plan, self._recording
        summary = summarize(
            phases=plan.phases,
            records=records.read(plan.out / "requests.jsonl"),
            recording=recording,
            objective=self._environment.objective,
        )
        return DemoReport(
            phases=plan.phases,
            objective=self._environment.objective,
            recording=recording,
            summary=summary,
            kill=self._kill,
            unmet=unmet_expectations(summary, recording, plan.phases, self._kill),
            cpu_wait=wait,
        )
