"""Why a pod with an injected runtime does not start: reason, message and advice of Ready."""

from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.engine.start_failures import LAUNCHER_REASONS
from aiapi_operator.manifests.runtime import Delivery

UNPREPARED = {"image": "shop:7", "app": "shop.main:app"}
START = "failed to create containerd task: failed to start container: "


def crashed(message: str, *, code: int = 78, state: dict[str, Any] | None = None) -> dict[str, Any]:
    """A container that ended with this message and waits for its restart."""
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
    return {
        "name": "app",
        "state": waiting if state is None else state,
        "lastState": {"terminated": {"exitCode": code, "message": message}},
    }


async def ready_condition(
    world: World, *containers: dict[str, Any], init: dict[str, Any] | None = None
) -> dict[str, Any]:
    await world.tick()
    pod = world.cluster.add_pod(
        "a-1",
        ready=False,
        phase="Pending",
        podIP="",
        containerStatuses=list(containers),
        initContainerStatuses=[init] if init else [],
    )
    template = world.cluster.objects["Deployment", "a"]["spec"]["template"]["spec"]
    pod["spec"] = {**template, **pod["spec"]}
    world.cache.put(pod)
    await world.tick()
    return world.condition("Ready")


@pytest.mark.parametrize("reason", sorted(LAUNCHER_REASONS))
async def test_errors_of_the_launcher(reason: str) -> None:
    message = f"warming up\naiapi: {reason}: python3 cannot run shop.main:app; use another\n"
    ready = await ready_condition(World(spec=UNPREPARED), crashed(message))
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert ready["message"] == "python3 cannot run shop.main:app; use another."


async def test_other_lines_of_that_form_are_no_reason() -> None:
    ready = await ready_condition(World(spec=UNPREPARED), crashed("aiapi: Other: text"))
    assert ready["reason"] == "AppFailed"
    assert "shop.main:app does not start: aiapi: Other: text." in ready["message"]


STARTS = {
    "no python3": (
        {},
        f'{START}exec: "python3": executable file not found in $PATH: unknown',
        "NoPython",
        (
            "The image has no python3. Set spec.runtime.python to the path of an interpreter in the"
            " image."
        ),
    ),
    "no such interpreter": (
        {"runtime": {"python": "/opt/venv/bin/python"}},
        (
            f'{START}exec: "/opt/venv/bin/python": stat /opt/venv/bin/python:'
            " no such file or directory: unknown"
        ),
        "NoPython",
        (
            "The image has no /opt/venv/bin/python. Set spec.runtime.python to the path of an"
            " interpreter in the image."
        ),
    ),
    "no such entrypoint": (
        {"runtime": {"entrypoint": ["/start.sh"]}},
        f'{START}exec: "/start.sh": stat /start.sh: no such file or directory: unknown',
        "NoEntrypoint",
        "The image has no /start.sh. Correct spec.runtime.entrypoint.",
    ),
    "no aiapi-serve": (
        {"runtime": {"source": "Image"}},
        f'{START}exec: "aiapi-serve": executable file not found in $PATH: unknown',
        "NoRuntime",
        (
            "The image has no aiapi-serve. Set spec.app, and spec.runtime.source to Auto or"
            " Injected, so that the operator injects the runtime."
        ),
    ),
    "an empty image volume": (
        {},
        "python3: can't open file '/aiapi/aiapi/launch.py': [Errno 2] No such file or directory",
        "ImageVolumeRefused",
        (
            "The node cannot mount the runtime image: python3: can't open file"
            " '/aiapi/aiapi/launch.py': [Errno 2] No such file or directory. Set"
            " runtime.delivery: InitContainer in the values of the operator's chart."
        ),
    ),
}


@pytest.mark.parametrize(
    ("spec", "message", "reason", "expected"), STARTS.values(), ids=STARTS.keys()
)
async def test_errors_before_the_launcher_runs(
    spec: dict[str, Any], message: str, reason: str, expected: str
) -> None:
    ready = await ready_condition(World(spec={**UNPREPARED, **spec}), crashed(message, code=128))
    assert (ready["reason"], ready["message"]) == (reason, expected)


async def test_an_image_volume_that_the_container_runtime_ignores() -> None:
    waiting = {
        "reason": "CreateContainerError",
        "message": 'failed to generate spec: failed to mkdir "": mkdir : no such file or directory',
    }
    ready = await ready_condition(
        World(spec=UNPREPARED), {"name": "app", "state": {"waiting": waiting}}
    )
    assert ready["reason"] == "ImageVolumeRefused"
    assert "runtime.delivery: InitContainer" in ready["message"]


@pytest.mark.parametrize("delivery", Delivery)
async def test_a_runtime_image_that_cannot_be_pulled(delivery: Delivery) -> None:
    world = World(spec=UNPREPARED, delivery=delivery, runtime_image="registry.invalid/runtime:1")
    refused = {
        "waiting": {"reason": "ImagePullBackOff", "message": "no registry.invalid/runtime:1"}
    }
    starting = {"waiting": {"reason": "PodInitializing"}}
    if delivery is Delivery.INIT_CONTAINER:
        app, init = {"name": "app", "state": starting}, {"name": "aiapi-runtime", "state": refused}
    else:
        app, init = {"name": "app", "state": refused}, None
    ready = await ready_condition(world, app, init=init)
    assert ready["reason"] == "RuntimePullFailed"
    assert ready["message"] == (
        "Runtime image registry.invalid/runtime:1 cannot be pulled (no registry.invalid/runtime:1)."
        " Correct runtime.image in the values of the operator's chart, or set imagePullSecrets in"
        " spec.podTemplate."
    )


async def test_the_image_of_the_app_is_told_from_the_runtime() -> None:
    refused = {"waiting": {"reason": "ErrImagePull", "message": "shop:7: not found"}}
    ready = await ready_condition(World(spec=UNPREPARED), {"name": "app", "state": refused})
    assert ready["reason"] == "ImagePullFailed"
    assert "Image shop:7 cannot be pulled" in ready["message"]


async def test_a_copy_that_fails() -> None:
    world = World(spec=UNPREPARED, delivery=Delivery.INIT_CONTAINER)
    init = {**crashed("cp: no space left on device", code=1), "name": "aiapi-runtime"}
    starting = {"name": "app", "state": {"waiting": {"reason": "PodInitializing"}}}
    ready = await ready_condition(world, starting, init=init)
    assert ready["reason"] == "RuntimeCopyFailed"
    assert "pod a-1 fails: cp: no space left on device. Correct runtime.image" in ready["message"]


async def test_the_reason_stays_while_the_container_is_restarted() -> None:
    again = crashed("aiapi: PythonTooOld: python3 is 3.8", state={"running": {"startedAt": "T"}})
    ready = await ready_condition(World(spec=UNPREPARED), again)
    assert ready["reason"] == "PythonTooOld"


async def test_a_crash_shows_the_last_line_of_the_log() -> None:
    log = "Traceback (most recent call last):\n  File \"x.py\"\nKeyError: 'DATABASE_URL'\n"
    ready = await ready_condition(World(spec=UNPREPARED), crashed(log, code=1))
    assert ready["reason"] == "AppFailed"
    assert ready["message"].startswith("shop.main:app does not start: KeyError: 'DATABASE_URL'. ")
