"""A stand-in for the API server: real-size objects, lists, watches and writes, and no admission.

A real one holds thousands of pods only with nodes that run them. It answers what the operator asks
for, over HTTP on loopback. Writes are counted by whether they changed anything. The benchmark
controls it through ``/bench``. Run by benchmarks/scale.py.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from scale_bench import objects
from scale_bench.board import Board, Shape, address
from scale_bench.storage import Manifest, Name, Storage

_GROUPS = {
    "": (
        "v1",
        {"pods", "pods/resize", "services", "secrets", "serviceaccounts", "events", "namespaces"},
    ),
    "apps": ("v1", {"deployments", "deployments/scale"}),
    "apiextensions.k8s.io": ("v1", {"customresourcedefinitions"}),
    "policy": ("v1", {"poddisruptionbudgets"}),
    "networking.k8s.io": ("v1", {"networkpolicies"}),
    "coordination.k8s.io": ("v1", {"leases"}),
    "discovery.k8s.io": ("v1", {"endpointslices"}),
    "aiapi.dev": ("v1alpha1", {"aiapis", "aiapis/status", "aiapis/scale"}),
}
_KINDS = {
    "aiapis": "AIApi",
    "customresourcedefinitions": "CustomResourceDefinition",
    "deployments": "Deployment",
    "endpointslices": "EndpointSlice",
    "events": "Event",
    "leases": "Lease",
    "namespaces": "Namespace",
    "networkpolicies": "NetworkPolicy",
    "poddisruptionbudgets": "PodDisruptionBudget",
    "pods": "Pod",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "services": "Service",
}


class ApiServer:
    """The routes, and the controllers that a cluster would run."""

    def __init__(self, board: Board, shape: Shape) -> None:
        self._board, self._shape = board, shape
        self._storage = Storage()
        self._storage.listeners.append(self._on_change)
        self._calls: Counter[str] = Counter()
        self._free: dict[int, list[int]] = {}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/bench/{what}", self._bench)
        app.router.add_get("/bench", self._report)
        app.router.add_get("/version", _version)
        app.router.add_get("/api", _core_versions)
        app.router.add_get("/apis", _groups)
        for root in ("/api/v1", "/apis/{group}/{version}"):
            app.router.add_get(root, _resources)
            app.router.add_get(root + "/{plural}", self._collection)
            namespaced = root + "/namespaces/{namespace}/{plural}"
            app.router.add_get(namespaced, self._collection)
            app.router.add_post(namespaced, self._create)
            for path in (namespaced + "/{name}", namespaced + "/{name}/{subresource}"):
                app.router.add_get(path, self._get)
                app.router.add_put(path, self._write)
                app.router.add_patch(path, self._write)
        return app

    # The operator's requests.

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        if plural not in _KINDS:
            if plural == "horizontalpodautoscalers":
                return web.json_response({"kind": "List", "metadata": {}, "items": []})
            return _missing()
        accepts = _selector(request)
        if request.query.get("watch") in ("true", "1"):
            return await self._watch(request, plural, accepts)
        self._calls[f"LIST {plural}"] += 1
        texts = list(self._storage.texts(plural, accepts))
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 0)
        page = texts[start : start + limit] if limit else texts
        following = start + limit if limit and start + limit < len(texts) else ""
        head = json.dumps(
            {"resourceVersion": str(self._storage.version), "continue": str(following)}
        ).encode()
        body = b'{"kind":"%bList","metadata":%b,"items":[%b]}' % (
            _KINDS[plural].encode(),
            head,
            b",".join(page),
        )
        return web.Response(body=body, content_type="application/json")

    async def _watch(self, request: web.Request, plural: str, accepts: Any) -> web.StreamResponse:
        self._calls[f"WATCH {plural}"] += 1
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        queue = self._storage.watch(plural)
        try:
            await answer.prepare(request)
            while True:
                events = [await queue.get()]
                while not queue.empty():
                    events.append(queue.get_nowait())
                await answer.write(b"".join(line for line, found in events if accepts(found)))
        except ConnectionError:
            return answer
        finally:
            self._storage.unwatch(plural, queue)

    async def _get(self, request: web.Request) -> web.Response:
        plural = request.match_info["plural"]
        self._calls[f"GET {plural}"] += 1
        found = self._storage.objects[plural].get(_key(request))
        return web.json_response(found) if found is not None else _missing()

    async def _create(self, request: web.Request) -> web.Response:
        plural, body = request.match_info["plural"], await request.json()
        self._calls[f"POST {plural}"] += 1
        if plural == "events":
            return web.json_response(body, status=201)
        return web.json_response(self._storage.put(plural, body), status=201)

    async def _write(self, request: web.Request) -> web.Response:
        plural, part = request.match_info["plural"], request.match_info.get("subresource", "")
        verb = f"{request.method} {part}".strip()
        self._calls[f"{verb} {plural}"] += 1
        key, body = _key(request), await request.json()
        if plural == "events":
            return web.json_response(body)
        if key not in self._storage.objects[plural] and (part or plural == "pods"):
            return _missing()
        if part == "status":
            return web.json_response(self._set_status(plural, key, body["status"]))
        self._note_order(plural, part, key, body)
        return web.json_response(self._storage.merge(plural, key, body, verb))

    def _set_status(self, plural: str, key: Name, status: Manifest) -> Manifest:
        old = self._storage.objects[plural][key]
        if old.get("status") == status:
            self._storage.unchanged[f"status {plural}"] += 1
            return old
        self._storage.changed[f"status {plural}"] += 1
        return self._storage.put(plural, {**old, "status": status})

    # The cluster's controllers.

    def _note_order(self, plural: str, part: str, key: Name, body: Manifest) -> None:
        if plural == "deployments" and part == "scale":
            before = self._storage.objects[plural][key]["spec"].get("replicas", 1)
            if body["spec"]["replicas"] > before:
                self._board.ordered[_number(key[1])] = time.monotonic()
        elif plural == "pods" and part == "resize":
            name = self._storage.objects[plural][key]["metadata"]["labels"]
            self._board.ordered[_number(name["app.kubernetes.io/instance"])] = time.monotonic()

    def _on_change(self, plural: str, manifest: Manifest) -> None:
        if plural == "deployments":
            self._scale(manifest)
        elif plural == "pods":
            self._resize(manifest)

    def _scale(self, deployment: Manifest) -> None:
        """The Deployment controller, the scheduler and the kubelet, without their delays."""
        metadata = deployment["metadata"]
        aiapi, namespace = _number(metadata["name"]), metadata["namespace"]
        block = self._shape.pods_of(aiapi)
        free = self._free.setdefault(aiapi, list(reversed(block)))
        used = len(block) - len(free)
        wanted = min(int(deployment["spec"].get("replicas", 1)), len(block))
        for _ in range(wanted - used):
            number = free.pop()
            pod = objects.pod(deployment, number, address(number))
            self._storage.put("pods", pod)
        if wanted < used:
            self._shrink(aiapi, namespace, used - wanted)
        self._board.replicas[aiapi] = wanted
        status = {"replicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted}
        status |= {"updatedReplicas": wanted, "observedGeneration": metadata.get("generation", 1)}
        if deployment.get("status") != status:
            self._storage.put("deployments", {**deployment, "status": status})

    def _shrink(self, aiapi: int, namespace: str, surplus: int) -> None:
        block, free = self._shape.pods_of(aiapi), self._free[aiapi]
        for number in [each for each in reversed(block) if each not in free][:surplus]:
            self._storage.delete("pods", (namespace, f"api-{aiapi}-7d9c5b6f4-{number:05d}"))
            free.append(number)

    def _resize(self, pod: Manifest) -> None:
        """The kubelet, which carries out a resize at once."""
        wanted = {each["name"]: each.get("resources", {}) for each in pod["spec"]["containers"]}
        statuses = pod["status"]["containerStatuses"]
        if all(each["resources"] == wanted[each["name"]] for each in statuses):
            return
        done = [
            {
                **each,
                "resources": wanted[each["name"]],
                "allocatedResources": wanted[each["name"]].get("requests", {}),
            }
            for each in statuses
        ]
        status = {**pod["status"], "containerStatuses": done}
        status["observedGeneration"] = pod["metadata"].get("generation", 1)
        self._storage.put("pods", {**pod, "status": status})

    # The benchmark's requests.

    async def _bench(self, request: web.Request) -> web.Response:
        body = await request.json()
        await getattr(self, "_do_" + request.match_info["what"])(**body)
        return web.json_response({})

    async def _do_create(self, first: int, count: int, replicas: int, most: int) -> None:
        for number in range(first, first + count):
            self._storage.put("aiapis", objects.aiapi(number, replicas=replicas, most=most))

    async def _do_sleep(self, first: int, count: int, first_port: int) -> None:
        """These AIApis are at zero, and two activators are ready."""
        for number in range(2):
            self._storage.put("pods", objects.activator(number))
        for number in range(first, first + count):
            key = objects.namespace_of(number), f"api-{number}"
            aiapi = self._storage.objects["aiapis"][key]
            self._storage.put("aiapis", objects.asleep(aiapi, first_port + number))
            if key in self._storage.objects["deployments"]:
                self._storage.merge("deployments", key, {"spec": {"replicas": 0}}, "PATCH scale")

    async def _do_edit(self, number: int, workers: int) -> None:
        key = objects.namespace_of(number), f"api-{number}"
        patch = {"spec": {"workers": {"min": workers}}}
        self._storage.merge("aiapis", key, patch, "edit")

    async def _do_delete(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            namespace, name = objects.namespace_of(number), f"api-{number}"
            self._storage.delete("aiapis", (namespace, name))
            deployment = self._storage.objects["deployments"].get((namespace, name))
            if deployment is not None:
                block = self._shape.pods_of(number)
                self._free.setdefault(number, list(reversed(block)))
                self._shrink(number, namespace, len(block))
            for plural in _KINDS:
                owned = [
                    key
                    for key, each in self._storage.objects[plural].items()
                    if key[0] == namespace
                    and (each["metadata"].get("labels") or {}).get("app.kubernetes.io/instance")
                    == name
                ]
                for key in owned:
                    self._storage.delete(plural, key)
            await asyncio.sleep(0)

    async def _do_reset(self) -> None:
        self._calls.clear()
        self._storage.changed.clear()
        self._storage.unchanged.clear()

    async def _report(self, _: web.Request) -> web.Response:
        lease = next(iter(self._storage.objects["leases"].values()), {})
        return web.json_response(
            {
                "calls": self._calls,
                "changed": self._storage.changed,
                "unchanged": self._storage.unchanged,
                "objects": {name: len(all_) for name, all_ in self._storage.objects.items()},
                "transitions": (lease.get("spec") or {}).get("leaseTransitions", 0),
                "pod_bytes": len(next(self._storage.texts("pods", lambda _: True), b"")),
            }
        )


def _key(request: web.Request) -> Name:
    return request.match_info["namespace"], request.match_info["name"]


def _number(name: str) -> int:
    return int(name.split("-")[1])


def _missing() -> web.Response:
    status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
    return web.json_response({**status, "message": "not found"}, status=404)


def _selector(request: web.Request) -> Any:
    """Whether an object has the labels of the request's ``labelSelector``, and its namespace."""
    text = request.query.get("labelSelector", "")
    wanted = dict(part.split("=", 1) for part in text.replace("==", "=").split(",") if "=" in part)
    namespace = request.match_info.get("namespace")

    def accepts(manifest: Manifest) -> bool:
        metadata = manifest["metadata"]
        labels = metadata.get("labels") or {}
        in_namespace = namespace is None or metadata.get("namespace") == namespace
        return in_namespace and all(labels.get(key) == value for key, value in wanted.items())

    return accepts


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.2"})


async def _core_versions(_: web.Request) -> web.Response:
    return web.json_response({"kind": "APIVersions", "versions": ["v1"]})


async def _groups(_: web.Request) -> web.Response:
    groups = [
        {
            "name": name,
            "versions": [{"groupVersion": f"{name}/{version}", "version": version}],
            "preferredVersion": {"groupVersion": f"{name}/{version}", "version": version},
        }
        for name, (version, _) in _GROUPS.items()
        if name
    ]
    return web.json_response({"kind": "APIGroupList", "groups": groups})


async def _resources(request: web.Request) -> web.Response:
    group = request.match_info.get("group", "")
    if group not in _GROUPS:
        return _missing()
    resources = [
        {
            "name": name,
            "singularName": "",
            "namespaced": True,
            "kind": _KINDS[name.split("/")[0]],
            "verbs": ["create", "get", "list", "patch", "update", "watch", "delete"],
        }
        for name in sorted(_GROUPS[group][1])
    ]
    return web.json_response({"kind": "APIResourceList", "resources": resources})


async def serve(board: Board, shape: Shape, port: int) -> None:
    """Serve until cancelled."""
    runner = web.AppRunner(ApiServer(board, shape).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("board", type=Path)
    parser.add_argument("aiapis", type=int)
    parser.add_argument("block", type=int)
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    shape = Shape(given.aiapis, given.block)
    uvloop.run(serve(Board(given.board, shape), shape, given.port))


if __name__ == "__main__":
    main()
