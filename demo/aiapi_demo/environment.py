"""The environment of the demo: sandbox, CRD, AIApi, stand-in LLM and operator, as processes."""

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from aiapi_demo.admin_port import AdminPort
from aiapi_demo.kubectl import Kubectl, KubectlError, Object
from aiapi_demo.observed import ObservedAIApi, parse_quantity, read_aiapi, service_url
from aiapi_demo.processes import ChildProcess, ProcessFailedError
from aiapi_demo.summary import DemoObjective

NAME = "assistant"
IMAGE = "ghcr.io/acme/assistant:1.4"
LOOP_MS = 25
MAX_WORKERS = 3
"""Low, so that the step needs more pods as well as more workers."""
NODE_CPU, NODE_MEMORY = "16", "32Gi"
"""Room for the fleet at its peak. The app sleeps where a real one computes: two cores do."""
WORKERS_AFTER = 10.0
REPLICAS_AFTER = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPaths:
    """The files that the demo reads and writes."""

    root: Path
    """The repository, with crds/ and examples/."""
    out: Path

    def check(self) -> None:
        """Raise if a file is missing."""
        for path in (self.crd, self.manifest):
            if not path.is_file():
                raise ProcessFailedError(
                    f"{path} is missing. Run the demo in the repository, or set --root."
                )

    @property
    def crd(self) -> Path:
        """The CRD of the AIApi."""
        return self.root / "crds" / "aiapis.aiapi.dev.yaml"

    @property
    def manifest(self) -> Path:
        """The AIApi that the demo applies."""
        return self.root / "examples" / "assistant.yaml"

    @property
    def logs(self) -> Path:
        """The logs of the processes."""
        return self.out / "logs"


def installed_program(name: str) -> str:
    """The path of a program next to this Python."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    """A free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def demo_patch(llm_url: str) -> Object:
    """Changes to the example, so that three minutes on a laptop are enough."""
    return {
        "spec": {
            "env": [
                {"name": "LLM_URL", "value": llm_url},
                {"name": "ASSISTANT_LOOP_MS", "value": str(LOOP_MS)},
            ],
            "workers": {"max": MAX_WORKERS},
            "scaling": {
                "scaleDown": {
                    "workersAfter": f"{WORKERS_AFTER:g}s",
                    "replicasAfter": f"{REPLICAS_AFTER:g}s",
                }
            },
        }
    }


class StandInLLM:
    """The stand-in LLM, with a configurable latency."""

    def __init__(self, paths: DemoPaths) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        self.process = ChildProcess(
            "the stand-in LLM",
            [
                sys.executable,
                *("-m", "uvicorn", "assistant.llm:app", "--port", port),
                *("--log-level", "warning", "--timeout-keep-alive", "120"),
                *("--app-dir", str(paths.root / "examples")),
            ],
            log=paths.logs / "llm.log",
        )

    async def set_latency(self, seconds: float) -> None:
        """Set the latency of its responses."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.put(f"{self.url}/latency", json={"seconds": seconds}) as response,
        ):
            response.raise_for_status()


class DemoEnvironment:
    """All processes of the demo."""

    def __init__(self, paths: DemoPaths, say: Say) -> None:
        paths.check()
        paths.logs.mkdir(parents=True, exist_ok=True)
        for old in paths.logs.glob("*.log"):
            old.unlink()
        self._say = say
        self._paths = paths
        self._kubeconfig = paths.out / "kubeconfig"
        self._kubeconfig.unlink(missing_ok=True)
        self._stack = AsyncExitStack()
        self.kubectl = Kubectl(self._kubeconfig)
        self.llm = StandInLLM(paths)
        self._sandbox = ChildProcess(
            "the sandbox",
            [
                *(installed_program("aiapi"), "sandbox", "up"),
                *("--kubeconfig", str(self._kubeconfig)),
                *("--data", str(paths.out / "sandbox")),
                *("--image", f"{IMAGE}={paths.root / 'examples'}"),
                *("--cpu", NODE_CPU, "--memory", NODE_MEMORY),
            ],
            log=paths.logs / "sandbox.log",
            grace=40,
        )
        self.operator = ChildProcess(
            "the operator",
            [
                *(installed_program("aiapi-operator"), "--kubeconfig", str(self._kubeconfig)),
                *("--host", "127.0.0.1", "--port", "0"),
            ],
            log=paths.logs / "operator.log",
        )
        self.objective = DemoObjective(percentile=95, seconds=0.8)
        self.url = ""
        self.admin = AdminPort(token="")
        self._last_progress = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def check(self) -> None:
        """Raise if a process has exited."""
        for child in (self._sandbox, self.llm.process, self.operator):
            child.check()

    async def set_up(self) -> None:
        """Start everything, and wait until the AIApi is ready."""
        self._say(
            f"Starting the sandbox (a Kubernetes API and a node with {NODE_CPU} simulated CPUs, as"
            " local processes)"
        )
        await self._start(self._sandbox)
        await self._until(60, self._api_responds)
        self._say(f"To look inside from another terminal: kubectl --kubeconfig {self._kubeconfig}")
        await self._start(self.llm.process)
        await self._until(20, self._llm_responds)
        await self._apply()
        self._say("Starting the operator")
        await self.start_operator()
        await self._until(90, self._ready)
        self.url = service_url(await self.kubectl.get("service", NAME))
        self.admin = await self._admin_port()

    async def start_operator(self) -> None:
        """Start the operator, or restart it after a kill."""
        await self.operator.start()
        self._stack.push_async_callback(self.operator.stop)

    async def _start(self, child: ChildProcess) -> None:
        await child.start()
        self._stack.push_async_callback(child.stop)

    async def _apply(self) -> None:
        for path in (self._paths.crd, self._paths.manifest):
            shown = path.relative_to(self._paths.root)
            self._say(f"kubectl apply -f {shown}")
            self._say("  " + (await self.kubectl.run("apply", "-f", str(path))).strip())
            if path == self._paths.crd:
                await self.kubectl.run(
                    "wait", "--for=condition=Established", "crd/aiapis.aiapi.dev", "--timeout=20s"
                )
        patch = json.dumps(demo_patch(self.llm.url))
        self._say(f"kubectl patch aiapi {NAME} --type merge -p '{patch}'")
        await self.kubectl.run("patch", "aiapi", NAME, "--type", "merge", "-p", patch)

    async def _api_responds(self) -> bool:
        if not self._kubeconfig.exists():
            return False
        try:
            await self.kubectl.run("get", "nodes", seconds=5)
        except KubectlError:
            return False
        return True

    async def _llm_responds(self) -> bool:
        try:
            await self.llm.set_latency(0.25)
        except aiohttp.ClientError:
            return False
        return True

    async def _ready(self) -> bool:
        obj = await self.kubectl.get("aiapi", NAME)
        view = read_aiapi(obj)
        self.objective = objective_of(obj)
        ready = view.condition("Ready")
        self._report_progress(view)
        return bool(ready and ready.status == "True" and view.ready_replicas)

    def _report_progress(self, view: ObservedAIApi) -> None:
        ready = view.condition("Ready")
        progress = ready.message if ready and ready.message else "not reconciled yet"
        if progress != self._last_progress:
            self._last_progress = progress
            self._say(f"  {NAME}: {progress}")

    async def _admin_port(self) -> AdminPort:
        secrets = await self.kubectl.get("secrets", "-l", f"app.kubernetes.io/instance={NAME}")
        for secret in secrets["items"]:
            if "token" in (secret.get("data") or {}):
                return AdminPort.of(secret, NAME)
        raise ProcessFailedError("there is no Secret with the token of the admin port")

    async def _until(self, seconds: float, done: Callable[[], Any]) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not await done():
            self.check()
            if asyncio.get_running_loop().time() > deadline:
                logs = "\n".join(
                    f"--- {child.log}\n{child.tail(8)}"
                    for child in (self._sandbox, self.operator)
                    if child.log.exists()
                )
                raise ProcessFailedError(f"not ready within {seconds:g} s\n{logs}")
            await asyncio.sleep(0.5)


def objective_of(obj: Object) -> DemoObjective:
    """The objective in the spec of an AIApi, with the defaults of the API server."""
    latency = obj["spec"]["objective"]["latency"]
    seconds = parse_quantity(latency["threshold"])
    if seconds is None:
        raise ProcessFailedError(f"cannot read the objective {latency['threshold']!r}")
    return DemoObjective(percentile=float(latency["percentile"]), seconds=seconds)
