"""One container from its image to its last exit: starts, restarts with back-off, probes, stop."""

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiapi_sandbox.node import container_status
from aiapi_sandbox.node.backoff import Backoff, BackoffPolicy
from aiapi_sandbox.node.container_status import ContainerStatus
from aiapi_sandbox.node.environment import ContainerConfigError
from aiapi_sandbox.node.images import Image, InvalidImageNameError
from aiapi_sandbox.node.logs import LogCapture, LogFile
from aiapi_sandbox.node.prober import Prober
from aiapi_sandbox.node.probes import ProbeTarget, run_handler
from aiapi_sandbox.node.process import ProcessSpec, StartError, SupervisedProcess, run_command

logger = logging.getLogger(__name__)
CONFIG_RETRY = 1.0
KILL_GRACE = 2.0
JsonObject = Mapping[str, Any]
RecordEvent = Callable[[str, str, str], None]  # event type, reason, message


@dataclass(frozen=True, kw_only=True)
class PodContext:
    """What a container needs of its pod."""

    pod_ip: str
    pod_title: str  # name_namespace(uid), as back-off messages have it
    restart_policy: str
    grace_seconds: float
    logs: Path
    backoff: BackoffPolicy
    find_image: Callable[[str], Image | None]
    command: Callable[[Image], ProcessSpec]
    record_event: RecordEvent
    changed: Callable[[], None]


class ContainerRunner:
    """Runs one container; `run` belongs in a task of the pod."""

    def __init__(self, spec: JsonObject, host: PodContext) -> None:
        self.spec = spec
        self.status = ContainerStatus(
            name=spec["name"], image=spec["image"], resources=spec.get("resources") or {}
        )
        self.log: LogFile | None = None
        self.previous_log: LogFile | None = None
        self._host = host
        self._backoff = Backoff(policy=host.backoff)
        self._stop = asyncio.Event()
        self._process: SupervisedProcess | None = None
        self._command: ProcessSpec | None = None

    # --- the life of a container

    async def run(self) -> int:
        """Run until it has ended for good; return the last exit code."""
        while True:
            image = await self._pulled()
            if image is None:
                return 137
            begin = asyncio.get_running_loop().time()
            code = await self._run_once(image)
            if code is None or self._stop.is_set() or not self._restarts(code):
                return 137 if code is None else code
            await self._back_off(ran_for=asyncio.get_running_loop().time() - begin)
            self.status.restart_count += 1

    def _restarts(self, code: int) -> bool:
        policy = self._host.restart_policy
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    async def _back_off(self, *, ran_for: float) -> None:
        delay = self._backoff.next_delay(ran_for=ran_for)
        if not delay:
            return
        name, pod = self.status.name, self._host.pod_title
        message = f"back-off {delay:g}s restarting failed container={name} pod={pod}"
        self._wait("CrashLoopBackOff", message)
        text = f"Back-off restarting failed container {name} in pod {pod}"
        self._host.record_event("Warning", "BackOff", text)
        await self._pause(delay)

    async def _pause(self, seconds: float) -> bool:
        """Sleep, unless the container is stopped; return whether it was."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    def _wait(self, reason: str, message: str = "") -> None:
        self.status.begin_wait(reason, message)
        self._host.changed()

    # --- the image

    async def _pulled(self) -> Image | None:
        """Wait until the image is known; None when stopped meanwhile."""
        reference = self.status.image
        pulls = Backoff(policy=self._host.backoff, current=self._host.backoff.initial)
        while not self._stop.is_set():
            try:
                image = self._host.find_image(reference)
            except InvalidImageNameError as error:
                self._host.record_event("Warning", "InspectFailed", str(error))
                self._wait("InvalidImageName", str(error))
                await self._stop.wait()
                return None
            if image is not None:
                self.status.image_id = f"sandbox://{image.name}"
                text = f'Container image "{reference}" already present on machine'
                self._host.record_event("Normal", "Pulled", text)
                return image
            await self._pull_failed(reference, pulls.next_delay(ran_for=0))
        return None

    async def _pull_failed(self, reference: str, delay: float) -> None:
        why = (
            "the sandbox has no such image and pulls none; name its folder with "
            "`aiapi sandbox up --image NAME=DIR`"
        )
        self._host.record_event("Normal", "Pulling", f'Pulling image "{reference}"')
        self._host.record_event("Warning", "Failed", f'Failed to pull image "{reference}": {why}')
        self._host.record_event("Warning", "Failed", "Error: ErrImagePull")
        self._wait("ErrImagePull", why)
        if await self._pause(delay):
            return
        backing_off = f'Back-off pulling image "{reference}"'
        self._host.record_event("Normal", "BackOff", backing_off)
        self._host.record_event("Warning", "Failed", "Error: ImagePullBackOff")
        self._wait("ImagePullBackOff", f"{backing_off}: ErrImagePull: {why}")
        await self._pause(delay)

    # --- one run

    async def _run_once(self, image: Image) -> int | None:
        self._command = command = await self._configured(image)
        if command is None:
            return None
        self.status.container_id = f"sandbox://{secrets.token_hex(32)}"
        self._rotate_logs()
        assert self.log is not None  # noqa: S101 - set by the line above
        capture, output = await LogCapture.open(self.log)
        try:
            process = await SupervisedProcess.start(command, output=output)
        except StartError as error:
            return self._start_failed(str(error))
        finally:
            os.close(output)
        self._process = process
        try:
            return await self._attend(process)
        finally:
            self._process = None
            await process.kill()
            await capture.close()

    async def _configured(self, image: Image) -> ProcessSpec | None:
        while not self._stop.is_set():
            try:
                return self._host.command(image)
            except ContainerConfigError as error:
                self._host.record_event("Warning", "Failed", f"Error: {error}")
                self._wait("CreateContainerConfigError", str(error))
            await self._pause(CONFIG_RETRY)
        return None

    def _start_failed(self, why: str) -> int:
        message = f"failed to create containerd task: failed to start container: {why}: unknown"
        self._host.record_event("Warning", "Failed", f"Error: {message}")
        status = self.status
        ended = container_status.start_failed(message, container_id=status.container_id)
        status.state = ended
        status.begin_wait("RunContainerError", message)
        self._host.changed()
        if not self._restarts(128):
            status.state, status.last_state = ended, {}
        return 128

    async def _attend(self, process: SupervisedProcess) -> int:
        """See a started process through to its exit."""
        since = datetime.now(UTC)
        status = self.status
        self._host.record_event("Normal", "Created", f"Container created: {status.name}")
        self._host.record_event("Normal", "Started", f"Container started: {status.name}")
        if "terminated" in status.state:
            status.last_state = status.state
        status.state = container_status.running(since)
        status.started = "startupProbe" not in self.spec
        status.ready = status.started and "readinessProbe" not in self.spec
        self._host.changed()
        if self._stop.is_set():
            await process.kill()
        probing = asyncio.create_task(self._post_start_then_probe())
        try:
            code = await process.wait()
        finally:
            probing.cancel()
            (outcome,) = await asyncio.gather(probing, return_exceptions=True)
            if isinstance(outcome, Exception):
                logger.error("the probes of %s failed", status.name, exc_info=outcome)
        status.state = container_status.terminated(
            code, since=since, container_id=status.container_id
        )
        status.ready = status.started = False
        self._host.changed()
        return code

    async def _post_start_then_probe(self) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            failure = await run_handler(hook, self.target(), self._host.grace_seconds)
            if failure:
                self._host.record_event(
                    "Warning", "FailedPostStartHook", f"PostStartHook failed: {failure}"
                )
                await self.terminate("FailedPostStartHook")
                return
        await Prober(self, self._host.record_event, self._host.changed).run()

    def target(self) -> ProbeTarget:
        """What probes and hooks are directed at."""
        ports = self.spec.get("ports") or ()
        return ProbeTarget(
            pod_ip=self._host.pod_ip,
            ports={port["name"]: port["containerPort"] for port in ports if port.get("name")},
            execute=self._execute,
        )

    async def _execute(self, argv: list[str], limit: float) -> tuple[int, str]:
        if self._command is None:
            raise StartError("the container does not run")
        command = ProcessSpec(argv=argv, cwd=self._command.cwd, env=self._command.env)
        return await run_command(command, timeout_seconds=limit)

    # --- stopping

    @property
    def is_stopping(self) -> bool:
        """Whether the pod wants this container to end."""
        return self._stop.is_set()

    async def stop(self, grace: float) -> None:
        """End the container for good, gracefully."""
        self._stop.set()
        if self._process is not None:
            await self.terminate(f"Stopping container {self.status.name}", grace=grace)

    async def terminate(self, why: str, *, grace: float | None = None) -> None:
        """End the present run: preStop, SIGTERM, and SIGKILL when the grace period is over."""
        grace = self._host.grace_seconds if grace is None else grace
        process = self._process
        if process is None:
            return
        self._host.record_event("Normal", "Killing", why)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            failure = await run_handler(hook, self.target(), grace)
            if failure:
                self._host.record_event(
                    "Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}"
                )
            deadline = max(deadline, loop.time() + KILL_GRACE)
        process.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await process.wait()
                return
        await process.kill()

    async def kill(self) -> None:
        """End the container at once."""
        self._stop.set()
        if self._process is not None:
            await self._process.kill()

    # --- logs

    def _rotate_logs(self) -> None:
        if self.previous_log is not None:
            self.previous_log.remove()
        self.previous_log = self.log
        folder = self._host.logs / self.status.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = LogFile(folder / f"{self.status.restart_count}.log")
