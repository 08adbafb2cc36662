"""A Kubernetes API with AIApis, pods and one scale, for the activator as a process."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

Json = dict[str, Any]
AIAPIS = "/apis/aiapi.dev/v1alpha1/aiapis"
PODS = "/api/v1/pods"
SCALE = "/apis/apps/v1/namespaces/shop/deployments/assistant/scale"


@dataclass
class FakeApi:
    objects: dict[str, dict[str, Json]] = field(default_factory=lambda: {AIAPIS: {}, PODS: {}})
    replicas: int = 0
    version: int = 1
    lists: int = 0
    conflicts: int = 0
    """How many patches of the scale meet another writer."""
    watchers: list[tuple[str, asyncio.Queue[Json | None]]] = field(default_factory=list)

    async def start(self, folder: Path) -> Path:
        """Serve, and return a kubeconfig."""
        app = web.Application()
        app.router.add_get(AIAPIS, self._objects)
        app.router.add_get(PODS, self._objects)
        app.router.add_get(SCALE, self._scale)
        app.router.add_patch(SCALE, self._patch_scale)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        path = folder / "kubeconfig"
        cluster = {"server": f"http://127.0.0.1:{port}"}
        context = {"cluster": "c", "user": "u"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": context}],
            "current-context": "x",
        }
        path.write_text(json.dumps(config))
        return path

    async def stop(self) -> None:
        self.end_watches()
        await self._runner.cleanup()

    def end_watches(self) -> None:
        for _, queue in self.watchers:
            queue.put_nowait(None)
        self.watchers.clear()

    def put(self, path: str, manifest: Json) -> None:
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        name = manifest["metadata"]["name"]
        kind = "MODIFIED" if name in self.objects[path] else "ADDED"
        self.objects[path][name] = manifest
        self.tell(path, {"type": kind, "object": manifest})

    def delete(self, path: str, name: str) -> None:
        self.version += 1
        manifest = self.objects[path].pop(name)
        manifest["metadata"]["resourceVersion"] = str(self.version)
        self.tell(path, {"type": "DELETED", "object": manifest})

    def tell(self, path: str, event: Json) -> None:
        for watched, queue in self.watchers:
            if watched == path:
                queue.put_nowait(event)

    async def _objects(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request)
        self.lists += 1
        items = list(self.objects[request.path].values())
        return web.json_response(
            {"metadata": {"resourceVersion": str(self.version)}, "items": items}
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self.watchers.append((request.path, queue))
        while event := await queue.get():
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    def _scale_object(self) -> Json:
        return {
            "metadata": {"resourceVersion": str(self.version)},
            "spec": {"replicas": self.replicas},
        }

    async def _scale(self, _request: web.Request) -> web.Response:
        return web.json_response(self._scale_object())

    async def _patch_scale(self, request: web.Request) -> web.Response:
        patch = json.loads(await request.text())
        if self.conflicts:
            self.conflicts -= 1
            self.version += 1
        if patch["metadata"]["resourceVersion"] != str(self.version):
            return web.json_response({"kind": "Status", "reason": "Conflict"}, status=409)
        self.version += 1
        self.replicas = patch["spec"]["replicas"]
        return web.json_response(self._scale_object())


def aiapi(port: int, **activation: Any) -> Json:
    status = {"phase": "Asleep", "port": port, "wakeReplicas": 1, "podConcurrency": 10}
    return {
        "metadata": {"namespace": "shop", "name": "assistant"},
        "spec": {"replicas": {"min": 0, "max": 5}},
        "status": {"activation": {**status, **activation}},
    }


def pod(port: int, name: str = "pod-1") -> Json:
    ports = [{"name": n, "containerPort": port} for n in ("http", "admin")]
    labels = {"app.kubernetes.io/instance": "assistant"}
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": name, "labels": labels},
        "spec": {"containers": [{"name": "app", "ports": ports}]},
        "status": {
            "podIP": "127.0.0.1",
            "containerStatuses": [{"name": "app", "state": {"running": {}}}],
        },
    }
