"""The runtime image in pods: both deliveries, and images with and without an interpreter."""

import json
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from image_support import unprepared

Eventually = Callable[..., Awaitable[Any]]
RUNTIME = "ghcr.io/aiapi-dev/runtime:0.1.0"
VOLUME = {"name": "aiapi-runtime", "image": {"reference": RUNTIME, "pullPolicy": "IfNotPresent"}}
MOUNT = {"name": "aiapi-runtime", "mountPath": "/aiapi", "readOnly": True}
COPY = {
    "name": "aiapi-runtime",
    "image": RUNTIME,
    "command": ["cp", "-R", "/aiapi", "/runtime"],
    "volumeMounts": [{"name": "aiapi-runtime", "mountPath": "/runtime"}],
}
DELIVERIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "image volume": ({"volumes": [VOLUME]}, MOUNT),
    "init container": (
        {"initContainers": [COPY], "volumes": [{"name": "aiapi-runtime", "emptyDir": {}}]},
        MOUNT,
    ),
}
LAUNCH = ("python3", "/aiapi/aiapi/launch.py")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unprepared.shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def sandbox_folder(
    tmp_path_factory: pytest.TempPathFactory, launch: Callable[..., Any], shop: Path
) -> Any:
    """A sandbox with the unprepared image."""
    folder = tmp_path_factory.mktemp("sandbox")
    process = launch(folder, "--data", str(folder / "data"), "--image", f"example/shop={shop}")
    yield folder
    process.terminate()
    assert process.wait(30) == 0


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a pod's address
        return json.loads(answer.read())


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES.keys())
async def test_an_app_runs_on_the_packages_of_its_image(
    kubectl: Any,
    wait_for: Eventually,
    make_pod: Callable[..., Any],
    shop: Path,
    delivery: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    spec, mount = delivery
    await kubectl.apply(
        make_pod(
            "shop",
            *LAUNCH,
            spec=spec,
            image="example/shop:7",
            args=["shop.main:app"],
            volumeMounts=[mount],
            env=[{"name": "AIAPI_DRAIN_DELAY", "value": "0"}],
            readinessProbe={"httpGet": {"path": "/readyz", "port": 9000}, "periodSeconds": 1},
        )
    )

    async def is_ready() -> bool:
        return bool((await kubectl.container("shop")).get("ready"))

    await wait_for(is_ready, within=20, what="the app is ready")
    address = (await kubectl.get("pod", "shop"))["status"]["podIP"]
    assert read(f"http://{address}:8000/about") == {
        "fastapi": "0.110.3",
        "uvicorn": "0.30.6",
        "prefix": str(shop / ".venv"),
        "python_path": None,
    }


async def waiting(kubectl: Any, pod: str, name: str = "app") -> tuple[str, str]:
    """The reason for which a container waits, and the message of its last run or its own."""
    status = (await kubectl.get("pod", pod))["status"]
    entries = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    container = next((each for each in entries if each["name"] == name), {})
    found = container.get("state", {}).get("waiting", {})
    ended = container.get("lastState", {}).get("terminated", {})
    return found.get("reason", ""), ended.get("message") or found.get("message", "")


async def test_an_image_without_python(
    kubectl: Any, wait_for: Eventually, make_pod: Callable[..., Any]
) -> None:
    spec, mount = DELIVERIES["image volume"]
    await kubectl.apply(make_pod("none", *LAUNCH, spec=spec, image=RUNTIME, volumeMounts=[mount]))

    async def message() -> str:
        return (await waiting(kubectl, "none"))[1]

    found = await wait_for(message, what="the container fails to start")
    assert 'exec: "python3": executable file not found in $PATH' in found


async def test_the_runtime_image_has_no_shell(
    kubectl: Any, wait_for: Eventually, make_pod: Callable[..., Any]
) -> None:
    await kubectl.apply(make_pod("shell", "sh", "-c", "true", image=RUNTIME))

    async def message() -> str:
        return (await waiting(kubectl, "shell"))[1]

    assert 'exec: "sh": executable file not found' in await wait_for(message)


async def test_a_command_of_the_sandbox_is_not_in_an_image_of_its_own(
    kubectl: Any, wait_for: Eventually, make_pod: Callable[..., Any]
) -> None:
    await kubectl.apply(make_pod("serve", "aiapi-serve", image="example/shop:7"))

    async def message() -> str:
        return (await waiting(kubectl, "serve"))[1]

    assert 'exec: "aiapi-serve": executable file not found' in await wait_for(message)


async def test_an_image_volume_that_cannot_be_pulled_keeps_the_pod_waiting(
    kubectl: Any, wait_for: Eventually, make_pod: Callable[..., Any]
) -> None:
    volume = {"name": "aiapi-runtime", "image": {"reference": "example/none:1"}}
    await kubectl.apply(make_pod("unpulled", "true", spec={"volumes": [volume]}))

    async def reason() -> bool:
        return (await waiting(kubectl, "unpulled"))[0] in ("ErrImagePull", "ImagePullBackOff")

    await wait_for(reason, what="the pull fails")
    assert "example/none:1" in (await waiting(kubectl, "unpulled"))[1]


@pytest.mark.parametrize(
    ("policy", "expected"), [("FallbackToLogsOnError", "first\nlast\n"), ("File", "")]
)
async def test_the_end_of_the_log_is_the_termination_message_on_request(
    kubectl: Any, wait_for: Eventually, make_pod: Callable[..., Any], policy: str, expected: str
) -> None:
    command = ("sh", "-c", "echo first; echo last >&2; exit 78")
    pod = make_pod(
        "ends",
        *command,
        spec={"restartPolicy": "Never"},
        terminationMessagePolicy=policy,
    )
    await kubectl.apply(pod)

    async def ended() -> Any:
        return (await kubectl.container("ends")).get("state", {}).get("terminated")

    state = await wait_for(ended, what="the container ends")
    assert state["exitCode"] == 78
    assert state.get("message", "") == expected
