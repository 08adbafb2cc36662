"""The sandbox's lifecycle: start, stop, cleanup of all processes, and use as a library."""

import asyncio
import ctypes
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiapi_sandbox.kinds.resources import DEPLOYMENTS, PODS, SERVICES
from aiapi_sandbox.node.shim import descendants
from aiapi_sandbox.sandbox import Sandbox, SandboxError

from .conftest import APP, IMAGE, PROGRAMS, Kubectl

FREE_FROM = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


def alive(pids: list[int]) -> list[int]:
    """The processes that still run, without zombies."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found.append(pid)
    return found


@pytest.fixture
def own(tmp_path: Path, launch: Any) -> Iterator[Any]:
    """A sandbox for one test, which may kill it."""
    process = launch(tmp_path, "--data", str(tmp_path / "data"))
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_process_outlives_the_sandbox(
    own: Any, tmp_path: Path, make_pod: Any, wait_for: Any, number: int
) -> None:
    kubectl = Kubectl(tmp_path / "kubeconfig")
    script = "setsid sleep 4321 & sh -c 'trap \"\" TERM; sleep 4321' & wait"
    await kubectl.apply(make_pod("family", "sh", "-c", script))
    await kubectl("wait", "pod/family", "--for=condition=Ready", "--timeout=10s")
    pids = descendants(own.pid)

    async def all_run() -> bool:
        pids[:] = descendants(own.pid)
        return len(pids) >= 6

    await wait_for(all_run, what="the pod's family")
    own.send_signal(number)

    async def all_exited() -> bool:
        return not alive(pids)

    await wait_for(all_exited, within=15, what="the exit of all processes")
    if number == signal.SIGTERM:
        assert own.wait(10) == 0
        assert not (tmp_path / "kubeconfig").exists()


async def test_output_warns_and_the_kubeconfig_is_private(own: Any, tmp_path: Path) -> None:
    output = (tmp_path / "log").read_text()
    print(output.splitlines()[0])  # noqa: T201 - shown, not asserted
    assert "never for production" in output
    assert "without isolation" in output
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
    assert own.poll() is None


async def run(*command: Any) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode or 0, output.decode()


async def test_detach_and_down(tmp_path: Path) -> None:
    aiapi, data = PROGRAMS / "aiapi", tmp_path / "data"
    code, output = await run(aiapi, "sandbox", "up", "--detach", "--data", data)
    assert code == 0, output
    assert "export KUBECONFIG=" in output
    assert (data.stat().st_mode & 0o777, list((data / "pods").iterdir())) == (0o700, [])
    await Kubectl(data / "kubeconfig")("get", "nodes")
    code, output = await run(aiapi, "sandbox", "up", "--data", data)
    assert code == 1
    assert "is already running with" in output
    assert await run(aiapi, "sandbox", "down", "--data", data) == (0, "Stopped the sandbox.\n")
    assert not data.exists()
    again = await run(aiapi, "sandbox", "down", "--data", data)
    assert again == (0, "No sandbox is running.\n")


@pytest.mark.parametrize("extra", [(), ("--detach",)])
async def test_an_invalid_data_directory_is_reported(tmp_path: Path, extra: Any) -> None:
    (tmp_path / "file").touch()
    data = tmp_path / "file" / "data"
    code, output = await run(PROGRAMS / "aiapi", "sandbox", "up", "--data", data, *extra)
    assert (code, "Traceback" in output) == (1, False)
    assert "Not a directory; specify another --data" in output


async def test_another_kubeconfig_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("apiVersion: v1\ncurrent-context: production\n")
    with pytest.raises(SandboxError, match="does not belong to a sandbox"):
        async with Sandbox(kubeconfig_path=path):
            pass
    assert "production" in path.read_text()


async def test_as_a_library(tmp_path: Path, make_web: Any, wait_for: Any) -> None:
    async with Sandbox(data_dir=tmp_path / "data", images={IMAGE: APP}) as sandbox:
        deployment, service = make_web(1)
        for key, obj in ((DEPLOYMENTS, deployment), (SERVICES, service)):
            sandbox.store.create(key, {**obj, "metadata": {"name": "web", "namespace": "default"}})
        with pytest.raises(LookupError, match="no ready pod"):
            sandbox.service_url("default", "web")

        async def served() -> bool:
            return sandbox.service_address("default", "web") is not None

        await wait_for(served, what="the Service")
        assert sandbox.service_url("default", "web").startswith("http://127.96.")
        print(f"started in {sandbox.started_in:.3f} s")  # noqa: T201 - shown, not asserted
        (pod,) = sandbox.store.list(PODS, "default")
        assert pod["status"]["podIP"].startswith("127.64.")
    assert not (tmp_path / "data").exists()


def drop_net_bind_service() -> None:
    """Drop CAP_NET_BIND_SERVICE, which users other than root do not have."""
    drop_from_bounding_set, net_bind_service = 24, 10
    ctypes.CDLL(None).prctl(drop_from_bounding_set, net_bind_service, 0, 0, 0)


async def test_without_root_a_service_on_port_80_is_annotated_with_its_address(
    tmp_path: Path, launch: Any, make_web: Any, wait_for: Any
) -> None:
    process = launch(tmp_path, "--data", str(tmp_path / "data"), before=drop_net_bind_service)
    kubectl = Kubectl(tmp_path / "kubeconfig")
    deployment, service = make_web(1)
    service["spec"]["ports"][0]["port"] = 80

    async def annotation() -> Any:
        annotations = (await kubectl.get("service", "web"))["metadata"].get("annotations", {})
        return annotations.get("sandbox.aiapi.dev/address", "")

    try:
        await kubectl.apply(service)
        address = (await kubectl.get("service", "web"))["spec"]["clusterIP"]
        if FREE_FROM > 80:
            assert await annotation() == f"{address}:10080", (
                "the annotation is set before any pod exists"
            )
            assert "PortMoved" in await kubectl("get", "events")
        await kubectl.apply(deployment)
        await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
        port = 10080 if FREE_FROM > 80 else 80

        async def serves() -> bool:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                return False
            writer.close()
            return True

        await wait_for(serves, what="an answer of the Service")
        service["spec"]["ports"][0]["port"] = 8080
        await kubectl.apply(service)
        assert not await annotation()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
