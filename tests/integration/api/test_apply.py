"""The CRD on an API server, with real kubectl: defaults, rules, scale, explain."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiapi_operator.api import AIApi
from aiapi_operator.api.spec import Workers
from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.apiserver.tls import make_certificates
from aiapi_sandbox.kubeconfig import kubeconfig
from aiapi_sandbox.storage.store import Store

ROOT = Path(__file__).parents[3]
KUBECTL = str(Path(sys.executable).parent / "kubectl")


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one API server."""

    kubeconfig: Path

    async def run(self, *args: str, stdin: str = "") -> tuple[int, str]:
        """Returns the exit code and the output."""
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *("--kubeconfig", str(self.kubeconfig), *args),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def __call__(self, *args: str, stdin: str = "") -> str:
        code, printed = await self.run(*args, stdin=stdin)
        assert code == 0, printed
        return printed

    async def refused(self, *args: str, stdin: str = "") -> str:
        code, printed = await self.run(*args, stdin=stdin)
        assert code != 0, printed
        return printed


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    """An API server with the CRD."""
    certificates = make_certificates("127.0.0.1")
    server = ApiServer(Store(), certificates=certificates)
    await server.start()
    try:
        path = tmp_path / "kubeconfig"
        config = kubeconfig(url=server.url, token=server.token, ca=certificates.ca)
        path.write_text(yaml.safe_dump(config))
        kubectl = Kubectl(path)
        await kubectl("apply", "-f", str(ROOT / "crds"))
        await kubectl("wait", "--for=condition=Established", "crd/aiapis.aiapi.dev")
        yield kubectl
    finally:
        await server.stop()


def body(name: str, spec: dict[str, Any]) -> str:
    head = {"apiVersion": "aiapi.dev/v1alpha1", "kind": "AIApi", "metadata": {"name": name}}
    return json.dumps({**head, "spec": spec})


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "min over max": (
        {"workers": {"min": 4, "max": 2}},
        "workers.min must not exceed workers.max",
    ),
    "threshold zero": (
        {"objective": {"latency": {"threshold": "0s"}}},
        "spec.objective.latency.threshold: Invalid value",
    ),
    "percentile too high": (
        {"objective": {"latency": {"percentile": 99.99}}},
        "write 95 instead of 0.95",
    ),
    "app without attribute": ({"app": "assistant.main"}, "app must be module:attribute"),
    "negative price": ({"cost": {"cpuHour": "-1"}}, "must be a price of zero or more"),
    "no replicas": (
        {"replicas": {"min": 1, "max": 0}},
        "spec.replicas.max in body should be greater than or equal to 1",
    ),
    "bad cron": (
        {"scaling": {"schedules": [{"start": "0 25 * * *", "duration": "1h", "minReplicas": 3}]}},
        "must be a cron expression of five fields",
    ),
    "an endless schedule": (
        {"scaling": {"schedules": [{"start": "0 8 * * *", "minReplicas": 3}]}},
        "a schedule must set exactly one of end and duration",
    ),
    "a schedule over the maximum": (
        {
            "replicas": {"min": 1, "max": 2},
            "scaling": {"schedules": [{"start": "0 8 * * *", "duration": "1h", "minReplicas": 3}]},
        },
        "must not exceed replicas.max",
    ),
    "unknown mode": ({"scaling": {"mode": "Sometimes"}}, 'supported values: "Auto"'),
    "unknown field": ({"imgae": "x"}, 'unknown field "spec.imgae"'),
    "bad quantity": ({"workers": {"cpu": "lots"}}, "spec.workers.cpu: Invalid value"),
    "memory in thousandths": ({"workers": {"memory": "256m"}}, "write 256Mi instead of 256m"),
    "operator's variable": (
        {"env": [{"name": "AIAPI_WORKERS", "value": "9"}]},
        "this AIAPI_ variable is set by the operator",
    ),
    "a variable twice": ({"env": [{"name": "A"}, {"name": "A"}]}, "spec.env[1]: Duplicate value"),
    "operator's label": (
        {"podTemplate": {"metadata": {"labels": {"aiapi.dev/name": "x"}}}},
        "are set by the operator",
    ),
    "command of the app": (
        {"podTemplate": {"spec": {"containers": [{"name": "app", "command": ["sh"]}]}}},
        "come from spec.image and spec.app",
    ),
}


async def test_examples_are_admitted_with_defaults(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", str(ROOT / "examples"))
    for name in ("assistant", "minimal", "office-hours"):
        stored = json.loads(await kubectl("get", "aia", name, "-o", "json"))
        AIApi.model_validate(stored)
        assert stored["spec"]["scaling"]["mode"] == "Auto"
        assert stored["spec"]["workers"] == Workers().manifest()
    table = await kubectl("get", "aia", "-o", "wide")
    assert " ".join(table.splitlines()[0].split()) == (
        "NAME READY WORKERS REPLICAS P95 OBJECTIVE SAVED UTILIZATION ERRORS RPS BINDING MODE"
        " PHASE REASON SHARD AGE"
    )


async def test_invalid_specs_are_rejected_by_field_and_rule(kubectl: Kubectl) -> None:
    for name, (spec, output) in INVALID.items():
        printed = await kubectl.refused("apply", "-f", "-", stdin=body("bad", spec))
        assert output in printed, f"{name}: {printed}"
    assert "at most 52 characters" in await kubectl.refused(
        "apply", "-f", "-", stdin=body("a" * 53, {})
    )
    assert await kubectl("get", "aia", "-o", "name") == ""


async def test_kubectl_scale_sets_the_minimum(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=body("a", {"replicas": {"max": 6}}))
    await kubectl("scale", "aiapi", "a", "--replicas=5")
    floor = await kubectl("get", "aiapi", "a", "-o", "jsonpath={.spec.replicas}")
    assert json.loads(floor) == {"min": 5, "max": 6}
    assert "raise replicas.max" in await kubectl.refused("scale", "aiapi", "a", "--replicas=7")
    await kubectl("scale", "aiapi", "a", "--replicas=0")
    assert await kubectl("get", "aiapi", "a", "-o", "jsonpath={.spec.replicas.min}") == "0"


async def test_kubectl_explain_describes_fields(kubectl: Kubectl) -> None:
    output = await kubectl("explain", "aiapi.spec.objective.latency.threshold")
    assert "Maximum latency at that percentile, such as 800ms or 1.5s." in output


EXAMPLES = [
    *("assistant.yaml", "minimal.yaml", "office-hours.yaml"),
    *("quickstart/llm.yaml", "quickstart/load.yaml"),
]
STATUS = {
    "replicas": 2,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Serving",
            "message": "2 of 2 pods are ready.",
            "lastTransitionTime": "2026-11-28T10:00:00Z",
            "observedGeneration": 1,
        }
    ],
}


async def spec_of(kubectl: Kubectl, path: Path) -> list[Any]:
    """What Git describes of the objects in a file: the version of each changes with any write."""
    found = json.loads(await kubectl("get", "-f", str(path), "-o", "json"))
    items = found.get("items", [found])
    return [(each["metadata"].get("generation"), each.get("spec")) for each in items]


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_applied_again_changes_nothing(
    kubectl: Kubectl, example: str, flags: tuple[str, ...]
) -> None:
    path = ROOT / "examples" / example
    apply = ("apply", "-f", str(path), *flags)
    await kubectl(*apply)
    first = await spec_of(kubectl, path)
    again = await kubectl(*apply)
    assert flags or " configured" not in again
    assert await spec_of(kubectl, path) == first
    if not example.startswith("quickstart"):
        await write_status(kubectl, path)
    later = await kubectl(*apply)
    assert flags or " configured" not in later
    assert await spec_of(kubectl, path) == first


async def write_status(kubectl: Kubectl, path: Path) -> None:
    """Write the status as the operator does, which must not become part of an apply."""
    patch = json.dumps({"status": STATUS})
    await kubectl("patch", "-f", str(path), "--subresource=status", "--type=merge", "-p", patch)
