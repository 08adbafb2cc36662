"""Containers: restarts, probes, environment, volumes, termination and logs."""

import base64
import json
from typing import Any

from .conftest import Kubectl


async def state(kubectl: Kubectl, pod: str) -> str:
    """The reason of the container's waiting or terminated state, else `Running`."""
    found = (await kubectl.container(pod)).get("state", {})
    entry = found.get("waiting") or found.get("terminated") or {}
    return str(entry.get("reason", "Running" if "running" in found else ""))


async def reasons(kubectl: Kubectl, pod: str) -> set[str]:
    events = await kubectl.get("events", f"--field-selector=involvedObject.name={pod}")
    return {event["reason"] for event in events["items"]}


async def test_a_crashing_container_restarts_with_back_off(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    await kubectl.apply(make_pod("crash", "sh", "-c", "echo attempt; exit 3"))

    async def backing_off() -> bool:
        return await state(kubectl, "crash") == "CrashLoopBackOff"

    await wait_for(backing_off, what="the back-off")
    container = await kubectl.container("crash")
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert container["lastState"]["terminated"]["reason"] == "Error"
    assert container["restartCount"] >= 1
    assert await kubectl("logs", "crash", "-p") == "attempt\n"
    assert {"Scheduled", "Pulled", "Created", "Started", "BackOff"} <= await reasons(
        kubectl, "crash"
    )


async def test_an_unknown_image_is_an_image_pull_error(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    await kubectl.apply(make_pod("web", image="example/missing:1"))
    seen = set()

    async def both() -> bool:
        seen.add(await state(kubectl, "web"))
        return {"ErrImagePull", "ImagePullBackOff"} <= seen

    await wait_for(both, what="both waiting states")
    assert "--image NAME=DIR" in await kubectl("describe", "pod", "web")
    code, output = await kubectl.try_run("logs", "web")
    assert code != 0
    assert "trying and failing to pull image" in output


async def test_a_missing_command_is_a_start_error(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    await kubectl.apply(make_pod("bad", "no-such-program"))

    async def failed() -> bool:
        container = await kubectl.container("bad")
        return "terminated" in container.get("lastState", {})

    await wait_for(failed, what="the failed start")
    ended = (await kubectl.container("bad"))["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert 'exec: "no-such-program": executable file not found' in ended["message"]


async def test_init_containers_run_first_and_a_pod_can_complete(
    kubectl: Any, make_pod: Any
) -> None:
    init = {"name": "first", "image": "example/web", "command": ["sh", "-c", "echo first > $F"]}
    where = {"name": "F", "value": "/shared/file"}
    mount = [{"name": "shared", "mountPath": "/shared"}]
    spec = {
        "restartPolicy": "Never",
        "initContainers": [{**init, "env": [where], "volumeMounts": mount}],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    await kubectl.apply(
        make_pod("job", "sh", "-c", "cat $F", spec=spec, env=[where], volumeMounts=mount)
    )
    await kubectl("wait", "pod/job", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=15s")
    assert await kubectl("logs", "job", "-c", "app") == "first\n"


async def test_environment_and_volumes_come_from_the_api(kubectl: Any, make_pod: Any) -> None:
    secret = {"token": base64.b64encode(b"s3cret").decode()}
    await kubectl.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": secret},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"A": "1"}},
    )
    program = (
        "import json, os, pathlib, sys;"
        "print(json.dumps(dict(os.environ)), pathlib.Path(sys.argv[1]).read_text(), sep='\\n')"
    )
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "BOTH", "value": "$(NAME)-$(A)-$(NONE)"},
    ]
    pod = make_pod(
        "env",
        *("python", "-c", program, "/var/run/secrets/x/token"),
        spec={
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "volumes": [{"name": "s", "secret": {"secretName": "s"}}],
        },
        env=env,
        envFrom=[{"configMapRef": {"name": "c"}}],
        resources={"limits": {"cpu": "2"}},
        volumeMounts=[{"name": "s", "mountPath": "/var/run/secrets/x"}],
    )
    await kubectl.apply(pod)
    await kubectl("wait", "pod/env", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=15s")
    first, second = (await kubectl("logs", "env")).splitlines()
    found = json.loads(first)
    ip = (await kubectl.get("pod", "env"))["status"]["podIP"]
    assert found["NAME"] == "env"
    assert found["IP"] == found["AIAPI_HOST"] == ip
    assert (found["TOKEN"], found["CPU"], found["BOTH"]) == ("s3cret", "2", "env-1-$(NONE)")
    assert "KUBECONFIG" not in found
    assert second == "s3cret"


async def test_a_pod_with_a_token_reaches_the_api(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    command = ("sh", "-c", "kubectl get pod api -o name; sleep 60")
    await kubectl.apply(make_pod("api", *command))

    async def answered() -> bool:
        _, output = await kubectl.try_run("logs", "api")
        return "pod/api" in output

    await wait_for(answered, what="kubectl in the pod")


async def test_liveness_failures_restart_and_readiness_failures_do_not(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    quick = {"periodSeconds": 1, "failureThreshold": 1}
    live = {"exec": {"command": ["sh", "-c", "test ! -e $TMPDIR/sick"]}, **quick}
    ready = {"exec": {"command": ["sh", "-c", "test -e $TMPDIR/ready"]}, **quick}
    script = "touch $TMPDIR/ready; sleep 1.5; touch $TMPDIR/sick; sleep 60"
    await kubectl.apply(
        make_pod("probed", "sh", "-c", script, livenessProbe=live),
        make_pod("unready", "sleep", "60", readinessProbe=ready),
    )

    async def restarted() -> bool:
        return bool((await kubectl.container("probed")).get("restartCount", 0))

    await wait_for(restarted, what="the restart")
    assert {"Unhealthy", "Killing"} <= await reasons(kubectl, "probed")
    unready = await kubectl.container("unready")
    assert (unready["ready"], unready["restartCount"]) == (False, 0)
    conditions = (await kubectl.get("pod", "unready"))["status"]["conditions"]
    (condition,) = (c for c in conditions if c["type"] == "Ready")
    assert (condition["status"], condition["reason"]) == ("False", "ContainersNotReady")


async def test_termination_runs_pre_stop_then_sigterm_then_sigkill(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    script = "trap 'echo term; exit 0' TERM; while :; do sleep 0.05; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > $TMPDIR/hook; sleep 0.2"]}}}
    stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    await kubectl.apply(
        make_pod("polite", "sh", "-c", script, lifecycle=hook),
        make_pod("stubborn", "sh", "-c", stubborn, spec={"terminationGracePeriodSeconds": 1}),
    )

    async def both_run() -> bool:
        return [await state(kubectl, name) for name in ("polite", "stubborn")] == ["Running"] * 2

    await wait_for(both_run, what="both pods")
    await kubectl("delete", "pod", "polite", "stubborn", "--timeout=10s")
    assert "Killing" in await reasons(kubectl, "polite")


async def test_init_containers_have_their_own_logs(kubectl: Any, make_pod: Any) -> None:
    init = {"name": "first", "image": "example/web", "command": ["echo", "hello from first"]}
    pod = make_pod("two", "sh", "-c", "echo hello; sleep 60", spec={"initContainers": [init]})
    await kubectl.apply(pod)
    await kubectl("wait", "pod/two", "--for=condition=Ready", "--timeout=10s")
    assert await kubectl("logs", "two", "-c", "first") == "hello from first\n"
    assert (await kubectl("logs", "two")).endswith("hello\n")
    both = await kubectl("logs", "two", "--all-containers")
    assert sorted(both.splitlines()) == ["hello", "hello from first"]


async def test_logs_follow_tail_and_timestamps(kubectl: Any, make_pod: Any, wait_for: Any) -> None:
    script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done"
    await kubectl.apply(make_pod("log", "sh", "-c", script, spec={"restartPolicy": "Never"}))

    async def begun() -> bool:
        return "line 1" in (await kubectl.try_run("logs", "log"))[1]

    await wait_for(begun, what="the first line")
    followed = await kubectl("logs", "-f", "log")
    assert followed.splitlines() == [f"line {number}" for number in range(1, 6)]
    assert (await kubectl("logs", "log", "--tail=2")).splitlines() == ["line 4", "line 5"]
    stamped = await kubectl("logs", "log", "--tail=1", "--timestamps")
    assert stamped.endswith("Z line 5\n")
    assert stamped[:2] == "20"
    assert len((await kubectl("logs", "log", "--since=1h")).splitlines()) == 5


async def test_an_in_place_resize_is_reported_within_a_second(
    kubectl: Any, make_web: Any, wait_for: Any
) -> None:
    await kubectl.apply(make_web(1)[0])
    await kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    (pod,) = await kubectl.pods()
    name = pod["metadata"]["name"]

    def patch(cpu: str) -> str:
        resources = {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}
        return json.dumps({"spec": {"containers": [{"name": "app", "resources": resources}]}})

    await kubectl("patch", "pod", name, "--subresource=resize", "-p", patch("300m"))

    async def resized() -> bool:
        container = await kubectl.container(name)
        return bool(container["resources"]["limits"]["cpu"] == "300m")

    await wait_for(resized, within=1.0, what="the resize")
    container = await kubectl.container(name)
    assert container["allocatedResources"]["cpu"] == "300m"
    assert container["restartCount"] == 0
    code, output = await kubectl.try_run(
        "patch", "pod", name, "--subresource=resize", "-p", patch("900")
    )
    assert code != 0
    assert "node didn't have enough allocatable resources: cpu" in output


async def test_a_pod_that_does_not_fit_stays_pending(
    kubectl: Any, make_pod: Any, wait_for: Any
) -> None:
    await kubectl.apply(make_pod("big", "true", resources={"requests": {"cpu": "900"}}))

    async def refused() -> bool:
        conditions = (await kubectl.get("pod", "big"))["status"].get("conditions", [])
        return [(c["status"], c.get("reason")) for c in conditions] == [("False", "Unschedulable")]

    await wait_for(refused, what="the scheduler's answer")
    assert "FailedScheduling" in await reasons(kubectl, "big")
    await kubectl("delete", "pod", "big", "--timeout=5s")
