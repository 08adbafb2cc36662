"""The sandbox: store, API server, controllers, node and Service proxy, assembled.

    async with Sandbox(images={"example/app": folder}) as sandbox:
        kubectl = ["kubectl", "--kubeconfig", str(sandbox.kubeconfig_path)]

For development and tests only, never for production: containers are plain local processes.
"""

import asyncio
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiapi_sandbox.apiserver.audit import AuditLog
from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.apiserver.tls import make_certificates
from aiapi_sandbox.controllers.deployment import DeploymentController
from aiapi_sandbox.controllers.disruption import DisruptionController
from aiapi_sandbox.controllers.endpointslice import EndpointSliceController
from aiapi_sandbox.controllers.garbage_collector import GarbageCollector
from aiapi_sandbox.controllers.horizontal_autoscaler import HorizontalAutoscalerController
from aiapi_sandbox.controllers.manager import ControllerManager
from aiapi_sandbox.controllers.namespace_defaults import NamespaceDefaultsController
from aiapi_sandbox.controllers.node_taints import NodeTaintController
from aiapi_sandbox.controllers.quota_status import ResourceQuotaController
from aiapi_sandbox.controllers.replicaset import ReplicaSetController
from aiapi_sandbox.controllers.scheduler import Scheduler
from aiapi_sandbox.controllers.service_address_annotation import ServiceAddressAnnotator
from aiapi_sandbox.controllers.service_table import ServiceTableSync
from aiapi_sandbox.events import ComponentEventRecorder, expire_events
from aiapi_sandbox.kinds.resources import SERVICES
from aiapi_sandbox.kubeconfig import kubeconfig
from aiapi_sandbox.node.allocations import Allocations
from aiapi_sandbox.node.backoff import BackoffPolicy
from aiapi_sandbox.node.images import ImageStore
from aiapi_sandbox.node.kubelet import Kubelet
from aiapi_sandbox.node.node_registration import NodeCapacity, NodeRegistration
from aiapi_sandbox.node.pod import NodeServices
from aiapi_sandbox.node.pod_addresses import AddressPool
from aiapi_sandbox.node.runtime_image import RUNTIME_IMAGE, RuntimeImage
from aiapi_sandbox.proxy.connections import Address
from aiapi_sandbox.proxy.listeners import expected_address
from aiapi_sandbox.proxy.process import ProxyProcess
from aiapi_sandbox.service_account_tokens import ServiceAccountTokens
from aiapi_sandbox.storage.store import Store

logger = logging.getLogger(__name__)
HOST = "127.0.0.1"
NODE_NAME = "sandbox"
STOP_GRACE = 8.0
EVENT_SWEEP_SECONDS = 60.0


class SandboxError(Exception):
    """The sandbox cannot start. The message says what to do."""


class Sandbox:
    """A single-node cluster in this process. Use it as an async context manager."""

    def __init__(  # noqa: PLR0913 - all are keyword-only with defaults
        self,
        *,
        data_dir: Path | None = None,
        images: Mapping[str, Path] | None = None,
        kubeconfig_path: Path | None = None,
        port: int = 0,
        capacity: NodeCapacity | None = None,
        audit_log: Path | None = None,
        backoff: BackoffPolicy | None = None,
        stop_grace: float = STOP_GRACE,
        service_delay: float = 0.0,
    ) -> None:
        self._given_data_dir = data_dir
        self._images = ImageStore(images)
        self._given_kubeconfig = kubeconfig_path
        self._port = port
        self._audit_log = audit_log
        self.capacity = capacity or NodeCapacity()
        self._backoff = backoff or BackoffPolicy()
        self._stop_grace = stop_grace
        self._service_delay = service_delay
        self._controllers: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.started_in = 0.0
        self.store = Store()
        self.proxy = ProxyProcess()

    # --- lifecycle

    async def __aenter__(self) -> Self:
        begin = time.monotonic()
        try:
            self._create_directories()
        except OSError as error:
            raise SandboxError(
                f"{error.filename}: {error.strerror}; specify another --data"
            ) from error
        certificates = await asyncio.to_thread(make_certificates, HOST, "localhost")
        self._ca = certificates.ca
        self.server = ApiServer(
            self.store,
            host=HOST,
            port=self._port,
            certificates=certificates,
            audit=AuditLog(self._audit_log) if self._audit_log else None,
        )
        self._assemble()
        try:
            await self.server.start()
            self._write_kubeconfig()
        except OSError as error:
            await self._stop()
            raise SandboxError(f"the API server cannot start: {error.strerror}") from error
        except BaseException:
            await self._stop()
            raise
        self.started_in = time.monotonic() - begin
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        await self._cancel(self._controllers)  # first, or they would replace the pods
        await self._kubelet.stop(self._stop_grace)
        await self._cancel(self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await self.server.stop()
        await asyncio.to_thread(self._remove_files)

    @staticmethod
    async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _create_directories(self) -> None:
        given = self._given_data_dir
        if given is not None:
            given = given.expanduser().resolve()
            _check_kubeconfig_path(given / "kubeconfig")
        if self._given_kubeconfig is not None:
            _check_kubeconfig_path(self._given_kubeconfig)
        self.data_dir = given or Path(tempfile.mkdtemp(prefix="aiapi-sandbox-"))
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.data_dir / "pods").mkdir(mode=0o700, exist_ok=True)
        self.kubeconfig_path = self._given_kubeconfig or self.data_dir / "kubeconfig"

    def _remove_files(self) -> None:
        shutil.rmtree(self.data_dir / "pods", ignore_errors=True)
        with suppress(FileNotFoundError):
            if self.server.token in self.kubeconfig_path.read_text():
                self.kubeconfig_path.unlink()
        if self._given_data_dir is None:
            shutil.rmtree(self.data_dir, ignore_errors=True)
        else:
            with suppress(OSError):
                self.data_dir.rmdir()

    # --- components

    def _assemble(self) -> None:
        store = self.store
        registration = NodeRegistration(store, NODE_NAME, self.capacity, address=HOST)
        self._kubelet = Kubelet(NODE_NAME, self._node_services())
        self.server.logs = self._kubelet.logs
        controllers = ControllerManager(
            store,
            [
                NamespaceDefaultsController(store, self._ca.decode()),
                DeploymentController(store),
                ReplicaSetController(store),
                Scheduler(store, NODE_NAME),
                EndpointSliceController(store),
                DisruptionController(store),
                NodeTaintController(store),
                ResourceQuotaController(store),
                HorizontalAutoscalerController(store),
            ],
        )
        registration.register()
        self._controllers.append(_task(controllers.run(), "controllers"))
        self._start(GarbageCollector(store).run(), "garbage collector")
        self._start(self._kubelet.run(), "kubelet")
        self._start(registration.run(), "heartbeat")
        table = ServiceTableSync(store, self.proxy.set_table, delay=self._service_delay)
        self._start(table.run(), "service table")
        self.proxy.on_change(ServiceAddressAnnotator(store, self._actual_address).sync)
        self._start(self.proxy.run(), "proxy")
        self._start(self._expire_events(), "event expiry")

    def _node_services(self) -> NodeServices:
        runtime = RuntimeImage(self.data_dir / "pods" / "images" / "runtime")
        self._images.add_built(RUNTIME_IMAGE, runtime.get)
        return NodeServices(
            store=self.store,
            events=ComponentEventRecorder(self.store, "kubelet", host=NODE_NAME),
            images=self._images,
            addresses=AddressPool(),
            folder=self.data_dir / "pods",
            host_ip=HOST,
            allocatable=self.capacity.to_resource_list(),
            allocations=Allocations(self.capacity.to_resource_list()),
            backoff=self._backoff,
            issuer=ServiceAccountTokens(self.server, self._ca),
        )

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(_task(work, name))

    async def _expire_events(self) -> None:
        while True:
            await asyncio.sleep(EVENT_SWEEP_SECONDS)
            expire_events(self.store, now=datetime.now(UTC))

    def _actual_address(self, service: Address) -> Address:
        return self.proxy.address(service) or expected_address(service)

    # --- access

    def _write_kubeconfig(self) -> None:
        config = kubeconfig(url=self.server.url, token=self.server.token, ca=self._ca)
        path = self.kubeconfig_path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=2))

    def service_address(
        self, namespace: str, name: str, port: int | None = None
    ) -> tuple[str, int] | None:
        """The actual address of a Service; None while it has no ready pod."""
        spec = self.store.peek(SERVICES, namespace, name)["spec"]
        return self.proxy.address((spec["clusterIP"], port or spec["ports"][0]["port"]))

    def service_url(self, namespace: str, name: str, port: int | None = None) -> str:
        """The URL of a Service. Its port may be 10000 higher when it requires root."""
        address = self.service_address(namespace, name, port)
        if address is None:
            raise LookupError(f"Service {namespace}/{name} has no ready pod")
        return f"http://{address[0]}:{address[1]}"


def _check_kubeconfig_path(path: Path) -> None:
    """Never overwrite the kubeconfig of a real cluster: the sandbox deletes its file at the end."""
    if path.exists() and '"name": "sandbox"' not in path.read_text(errors="replace"):
        raise SandboxError(
            f"{path} exists and does not belong to a sandbox; specify another --kubeconfig"
        )


def _task(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("sandbox component failed: %s", task.get_name(), exc_info=error)
