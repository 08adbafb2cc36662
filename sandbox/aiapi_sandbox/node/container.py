"""The container lifecycle: start, probes, restart with back-off, termination."""

import asyncio
import logging
import os
import re
import secrets
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiapi_sandbox.apimachinery.quantities import parse_quantity
from aiapi_sandbox.node import container_status
from aiapi_sandbox.node.backoff import Backoff, BackoffPolicy
from aiapi_sandbox.node.container_status import ContainerStatus
from aiapi_sandbox.node.environment import ContainerConfigError
from aiapi_sandbox.node.image_puller import ImageFinder, ImagePuller, RecordEvent
from aiapi_sandbox.node.images import Image
from aiapi_sandbox.node.logs import LogCapture, LogFile, LogOptions, select_lines
from aiapi_sandbox.node.prober import Prober
from aiapi_sandbox.node.probes import ProbeTarget, run_handler
from aiapi_sandbox.node.process import ProcessSpec, StartError, SupervisedProcess, run_to_completion

logger = logging.getLogger(__name__)
CONFIG_RETRY = 1.0
KILL_GRACE = 2.0
MESSAGE_LINES, MESSAGE_LENGTH = 80, 2048
"""How much of a log a termination message has, as with a kubelet."""
JsonObject = Mapping[str, Any]
_LOOPBACK = re.compile(r"\b(?:localhost|127\.0\.0\.1):(\d+)\b")


@dataclass(frozen=True, kw_only=True)
class PodContext:
    """The properties and callbacks that a container gets from its pod."""

    pod_ip: str
    title: str  # name_namespace(uid), for back-off messages
    restart_policy: str
    is_sidecar: bool = False
    grace_seconds: float
    logs: Path
    backoff: BackoffPolicy
    find_image: ImageFinder
    process_spec: Callable[[Image], ProcessSpec]
    record_event: RecordEvent
    changed: Callable[[], None]


class ContainerRunner:
    """Runs one container. The pod worker runs `run` in a task."""

    def __init__(self, spec: JsonObject, pod: PodContext) -> None:
        self.spec = spec
        self.status = ContainerStatus(
            name=spec["name"],
            image=spec["image"],
            resources=spec.get("resources") or {},
            is_sidecar=pod.is_sidecar,
        )
        self.log: LogFile | None = None
        self.previous_log: LogFile | None = None
        self._pod = pod
        self._backoff = Backoff(policy=pod.backoff)
        self._stop = asyncio.Event()
        self._started = asyncio.Event()
        self._process: SupervisedProcess | None = None
        self._process_spec: ProcessSpec | None = None
        self._oom_killed = False

    # --- container lifecycle

    async def run(self) -> int:
        """Run until the container will not restart; return its last exit code."""
        while True:
            image = await self.pull(self.status.image)
            if image is None:
                return 137
            self.status.image_id = f"sandbox://{image.name}"
            begin = asyncio.get_running_loop().time()
            code = await self._run_once(image)
            if code is None or self._stop.is_set() or not self._should_restart(code):
                return 137 if code is None else code
            await self._back_off(ran_for=asyncio.get_running_loop().time() - begin)
            self.status.restart_count += 1

    def _should_restart(self, code: int) -> bool:
        policy = self._pod.restart_policy
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    async def _back_off(self, *, ran_for: float) -> None:
        delay = self._backoff.next_delay(ran_for=ran_for)
        if not delay:
            return
        name, pod = self.status.name, self._pod.title
        message = f"back-off {delay:g}s restarting failed container={name} pod={pod}"
        self._set_waiting("CrashLoopBackOff", message)
        text = f"Back-off restarting failed container {name} in pod {pod}"
        self._pod.record_event("Warning", "BackOff", text)
        await self._pause(delay)

    async def _pause(self, seconds: float) -> bool:
        """Sleep until the container is stopped; return whether it was."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    def _set_waiting(self, reason: str, message: str = "") -> None:
        self.status.set_waiting(reason, message)
        self._pod.changed()

    async def pull(self, reference: str) -> Image | None:
        """Find an image that this container needs; None when it is stopped first."""
        puller = ImagePuller(
            find_image=self._pod.find_image,
            policy=self._pod.backoff,
            stop=self._stop,
            pause=self._pause,
            set_waiting=self._set_waiting,
            record_event=self._pod.record_event,
        )
        return await puller.pull(reference)

    # --- one run

    async def _run_once(self, image: Image) -> int | None:
        self._process_spec = spec = await self._configure(image)
        if spec is None:
            return None
        self.status.container_id = f"sandbox://{secrets.token_hex(32)}"
        self._rotate_logs()
        assert self.log is not None  # noqa: S101 - set by the line above
        capture, output = await LogCapture.open(self.log)
        try:
            process = await SupervisedProcess.start(spec, output=output)
        except StartError as error:
            return self._start_failed(str(error))
        finally:
            os.close(output)
        self._process = process
        try:
            return await self._supervise(process, capture)
        finally:
            self._process = None
            await process.kill()
            await capture.close()

    async def _configure(self, image: Image) -> ProcessSpec | None:
        while not self._stop.is_set():
            try:
                return self._pod.process_spec(image)
            except ContainerConfigError as error:
                self._pod.record_event("Warning", "Failed", f"Error: {error}")
                self._set_waiting("CreateContainerConfigError", str(error))
            await self._pause(CONFIG_RETRY)
        return None

    def _start_failed(self, why: str) -> int:
        message = f"failed to create containerd task: failed to start container: {why}: unknown"
        self._pod.record_event("Warning", "Failed", f"Error: {message}")
        status = self.status
        ended = container_status.start_failed(message, container_id=status.container_id)
        status.state = ended
        status.set_waiting("RunContainerError", message)
        self._pod.changed()
        if not self._should_restart(128):
            status.state, status.last_state = ended, {}
        return 128

    async def _supervise(self, process: SupervisedProcess, capture: LogCapture) -> int:
        """Probe a started process until it exits."""
        since = datetime.now(UTC)
        status = self.status
        self._pod.record_event("Normal", "Created", f"Container created: {status.name}")
        self._pod.record_event("Normal", "Started", f"Container started: {status.name}")
        if "terminated" in status.state:
            status.last_state = status.state
        status.state = container_status.running(since)
        self._oom_killed = False
        status.started = "startupProbe" not in self.spec
        status.ready = status.started and "readinessProbe" not in self.spec
        self._changed()
        if self._stop.is_set():
            await process.kill()
        probing = asyncio.create_task(self._post_start_then_probe())
        try:
            code = await process.wait()
        finally:
            probing.cancel()
            (outcome,) = await asyncio.gather(probing, return_exceptions=True)
            if isinstance(outcome, Exception):
                logger.error("the prober of container %s failed", status.name, exc_info=outcome)
        await capture.close()
        status.state = container_status.terminated(
            code,
            since=since,
            container_id=status.container_id,
            message=self._termination_message(code),
            oom_killed=self._oom_killed,
        )
        status.ready = status.started = False
        self._pod.changed()
        return code

    def _termination_message(self, code: int) -> str:
        """The end of the log of a failed run, where the container asks for it."""
        policy = self.spec.get("terminationMessagePolicy")
        if code == 0 or policy != "FallbackToLogsOnError" or self.log is None:
            return ""
        lines = select_lines(self.log.content(), LogOptions(tail_lines=MESSAGE_LINES))
        return b"".join(lines).decode(errors="replace")[-MESSAGE_LENGTH:]

    async def _post_start_then_probe(self) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            failure = await run_handler(hook, self.target(), self._pod.grace_seconds)
            if failure:
                self._pod.record_event(
                    "Warning", "FailedPostStartHook", f"PostStartHook failed: {failure}"
                )
                await self.terminate("FailedPostStartHook")
                return
        await Prober(self, self._pod.record_event, self._changed).run()

    def _changed(self) -> None:
        if self.status.started:
            self._started.set()
        self._pod.changed()

    def target(self) -> ProbeTarget:
        """The target of probes and hooks."""
        ports = self.spec.get("ports") or ()
        return ProbeTarget(
            pod_ip=self._pod.pod_ip,
            ports={port["name"]: port["containerPort"] for port in ports if port.get("name")},
            execute=self._execute,
        )

    async def _execute(self, argv: list[str], limit: float) -> tuple[int, str]:
        if self._process_spec is None:
            raise StartError("the container is not running")
        spec = self._process_spec
        words = [spec.place(self._with_pod_address(word)) for word in argv]
        return await run_to_completion(replace(spec, argv=words), timeout_seconds=limit)

    def _with_pod_address(self, text: str) -> str:
        """`localhost:PORT` with the pod's address, if the container has the port."""
        ports = {str(port["containerPort"]) for port in self.spec.get("ports") or ()}

        def address(found: re.Match[str]) -> str:
            return f"{self._pod.pod_ip}:{found[1]}" if found[1] in ports else found[0]

        return _LOOPBACK.sub(address, text)

    async def wait_started(self) -> bool:
        """Wait until the container has started; False when it is stopped first."""
        await self._started.wait()
        return not self.is_stopping

    # --- stopping

    @property
    def is_stopping(self) -> bool:
        """Whether the container is being stopped."""
        return self._stop.is_set()

    async def stop(self, grace: float) -> None:
        """Stop the container gracefully, without a restart."""
        self._stop.set()
        self._started.set()
        if self._process is not None:
            await self.terminate(f"Stopping container {self.status.name}", grace=grace)

    async def terminate(self, why: str, *, grace: float | None = None) -> None:
        """End the current run: preStop, SIGTERM, and SIGKILL after the grace period."""
        grace = self._pod.grace_seconds if grace is None else grace
        process = self._process
        if process is None:
            return
        self._pod.record_event("Normal", "Killing", why)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            failure = await run_handler(hook, self.target(), grace)
            if failure:
                self._pod.record_event(
                    "Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}"
                )
            deadline = max(deadline, loop.time() + KILL_GRACE)
        process.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await process.wait()
                return
        await process.kill()

    @property
    def memory_limit(self) -> int | None:
        """The granted limit in bytes, if there is one."""
        limit = (self.status.resources.get("limits") or {}).get("memory")
        return None if limit is None else int(parse_quantity(limit))

    @property
    def root_pid(self) -> int | None:
        """The parent of the container's processes; None while it does not run."""
        return None if self._process is None else self._process.shim_pid

    async def oom_kill(self) -> None:
        """Kill all processes because they exceed the memory limit; the container restarts."""
        if self._process is not None:
            self._oom_killed = True
            await self._process.kill()

    async def kill(self) -> None:
        """Kill the container, without a restart."""
        self._stop.set()
        self._started.set()
        if self._process is not None:
            await self._process.kill()

    # --- logs

    def _rotate_logs(self) -> None:
        if self.previous_log is not None:
            self.previous_log.remove()
        self.previous_log = self.log
        folder = self._pod.logs / self.status.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = LogFile(folder / f"{self.status.restart_count}.log")
