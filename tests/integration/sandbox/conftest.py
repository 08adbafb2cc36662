"""One sandbox for all these tests, started like a user does, and driven by real kubectl."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(sys.executable).parent
APP = Path(__file__).with_name("app")
IMAGE = "example/web"


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, within: float = 10.0, what: str = "it"
) -> Any:
    """Wait until the condition returns a true value; return it."""
    deadline = time.monotonic() + within
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {within:g} s"
        await asyncio.sleep(0.05)
    return found


class Kubectl:
    """Runs kubectl in one namespace of a sandbox."""

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        self.namespace = namespace
        self._command = [PROGRAMS / "kubectl", "--kubeconfig", kubeconfig, "-n", namespace]

    async def try_run(self, *args: str, stdin: str = "") -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 40)
        return process.returncode or 0, output.decode()

    async def __call__(self, *args: str, stdin: str = "") -> str:
        code, output = await self.try_run(*args, stdin=stdin)
        assert code == 0, output
        return output

    async def apply(self, *objects: dict[str, Any]) -> None:
        await self("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    async def get(self, *args: str) -> Any:
        return json.loads(await self("get", *args, "-o", "json"))

    async def pods(self, selector: str = "app=web") -> list[Any]:
        found: list[Any] = (await self.get("pods", "-l", selector))["items"]
        return found

    async def container(self, pod: str) -> dict[str, Any]:
        status = (await self.get("pod", pod))["status"]
        entries: list[dict[str, Any]] = status.get("containerStatuses", [{}])
        return entries[0]


def start_sandbox(
    folder: Path, *options: str, before: Callable[[], None] | None = None
) -> subprocess.Popen[bytes]:
    """Start `aiapi sandbox up`; its kubeconfig is `folder/kubeconfig`, its output `folder/log`."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROGRAMS / "aiapi",
                *("sandbox", "up", "--kubeconfig", folder / "kubeconfig"),
                *("--image", f"{IMAGE}={APP}", *options),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            preexec_fn=before,  # noqa: PLW1509 - the tests start no threads
        )
    deadline = time.monotonic() + 20
    while "Sandbox ready" not in (folder / "log").read_text():
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, "the sandbox did not start"
        os.sched_yield()
    return process


@pytest.fixture(name="launch", scope="session")
def _launch() -> Callable[..., subprocess.Popen[bytes]]:
    return start_sandbox


@pytest.fixture(name="wait_for", scope="session")
def _wait_for() -> Callable[..., Awaitable[Any]]:
    return eventually


@pytest.fixture(scope="session")
def sandbox_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sandbox")
    process = start_sandbox(folder, "--data", str(folder / "data"))
    yield folder
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
async def kubectl(sandbox_folder: Path, request: pytest.FixtureRequest) -> Kubectl:
    """A separate namespace for each test."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[-50:].strip("-")
    await Kubectl(sandbox_folder / "kubeconfig")("create", "namespace", name)
    return Kubectl(sandbox_folder / "kubeconfig", name)


@pytest.fixture(scope="session")
def make_pod() -> Callable[..., dict[str, Any]]:
    """Build a pod with one container, `app`."""

    def build(
        name: str, *command: str, spec: dict[str, Any] | None = None, **container: Any
    ) -> Any:
        main = {"name": "app", "image": IMAGE, **container}
        if command:
            main["command"] = list(command)
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 2, **(spec or {}), "containers": [main]},
        }

    return build


@pytest.fixture(scope="session")
def make_web() -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Build a Deployment of the test app and its Service on port 8080."""

    def build(replicas: int = 2, **deployment: Any) -> Any:
        container = {
            "name": "app",
            "image": IMAGE,
            "command": ["python", "web.py"],
            "ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
            "resources": {
                "requests": {"cpu": "100m", "memory": "32Mi"},
                "limits": {"cpu": "200m", "memory": "64Mi"},
            },
        }
        labels = {"app": "web"}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
            },
        }
        return (
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web"},
                "spec": spec | deployment,
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web"},
                "spec": {"selector": labels, "ports": [{"port": 8080, "targetPort": "http"}]},
            },
        )

    return build
