"""Replays requests recorded from a real API server: the sandbox's responses must match."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.kinds.resources import (
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    GroupVersionResource,
)
from aiapi_sandbox.storage.store import Store

RECORDED = json.loads(
    (Path(__file__).parents[2] / "data/apiserver/transcripts.json").read_text(encoding="utf-8")
)
TITLES = [item["title"] for item in RECORDED]
WIDGETS = GroupVersionResource("example.dev", "v1", "widgets")
POD = next(item for item in RECORDED if item["title"] == "a running Pod")["response"]["body"]

# Deliberate differences. An entry that no longer differs must be removed.
DIFFERENCES = {
    "changing pod resources without the subresource: Invalid": "no diff of Go structs is printed",
    "version": "it says what it is",
}

_VOLATILE = {
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "time",
    "lastTransitionTime",
    "storageVersionHash",
    "continue",
}
_PART_OF_A_REAL_CLUSTER = {"kube-controller-manager", "kubelet", "kube-apiserver"}


def normal(value: Any) -> Any:
    """A response without the values that differ between runs."""
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, str):
        text = re.sub(r"\bg-[a-z0-9]{5}\b", "g-xxxxx", value)
        return re.sub(r"^\d+s$|(?<=\()\d+(?=\)$)", "N", text)
    if not isinstance(value, dict):
        return value
    result = {key: normal(item) for key, item in value.items()}
    for key in _VOLATILE & result.keys():
        result[key] = "present" if result[key] else "empty"
    if "managedFields" in result:
        entries = [
            entry
            for entry in result.pop("managedFields")
            if entry["manager"] not in _PART_OF_A_REAL_CLUSTER
        ]
        for entry in entries:
            entry.pop("time", None)
        result["managedFields"] = sorted(entries, key=lambda e: json.dumps(e, sort_keys=True))
    if result.get("name") == "Name":
        result.pop("description", None)  # a column's help text
    return {key: item for key, item in result.items() if item not in ([], "empty")}


class Replay:
    """Sends the recorded requests in order, and simulates controllers and kubelet in between."""

    def __init__(self) -> None:
        self.store = Store()
        self.server = ApiServer(self.store)

    async def run(self) -> dict[str, tuple[int, str, Any]]:
        await self.server.start()
        headers = {
            "Authorization": f"Bearer {self.server.token}",
            "User-Agent": "Python-urllib/3.13",
        }
        self.store.create(NAMESPACES, {"metadata": {"name": "rec"}})
        capacity = {"allocatable": {"cpu": "2", "memory": "4Gi"}}
        self.store.create(NODES, {"metadata": {"name": "node1"}, "status": capacity})
        try:
            async with aiohttp.ClientSession(headers=headers) as session:
                return {item["title"]: await self._send(session, item) for item in RECORDED}
        finally:
            await self.server.stop()

    async def _send(
        self, session: aiohttp.ClientSession, item: dict[str, Any]
    ) -> tuple[int, str, Any]:
        self._play_the_cluster(item)
        request = item["request"]
        body = request["body"]
        if isinstance(body, dict):
            body.get("metadata", {}).pop("uid", None)  # of the recorded object
        headers = {"Accept": request["accept"]}
        if request.get("contentType"):
            headers["Content-Type"] = request["contentType"]
        path = re.sub(r"timeoutSeconds=\d+", "timeoutSeconds=1", request["path"])
        path = path.replace("resourceVersion=1355", f"resourceVersion={self.store.version}")
        if "4 s, with bookmarks" in item["title"]:
            asyncio.get_running_loop().call_later(0.2, self._change_widgets)
        async with session.request(
            request["method"],
            self.server.url + path,
            data=body if body is None or isinstance(body, str) else json.dumps(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=10),
        ) as answer:
            text = await answer.text()
            kind = answer.headers["Content-Type"]
        return answer.status, kind, parsed(text)

    def _change_widgets(self) -> None:
        def six(widget: dict[str, Any]) -> None:
            widget["spec"]["replicas"] = 6

        self.store.mutate(WIDGETS, "rec", "a", six)
        self.store.delete(WIDGETS, "rec", "c")

    def _play_the_cluster(self, item: dict[str, Any]) -> None:
        recorded = item["response"]["body"]
        if item["title"] == "a running Pod":
            meta = {key: POD["metadata"][key] for key in ("name", "generateName", "namespace")}
            meta |= {key: POD["metadata"][key] for key in ("labels", "ownerReferences")}
            self.store.create(PODS, {"metadata": meta, "spec": POD["spec"]})
        if not isinstance(recorded, dict) or "status" not in recorded:
            return

        def status(obj: dict[str, Any]) -> None:
            obj["status"] = recorded["status"]

        def annotations(obj: dict[str, Any]) -> None:
            obj["metadata"]["annotations"] = recorded["metadata"].get("annotations", {})

        if recorded["kind"] == "Pod":
            self.store.mutate(PODS, "rec", POD["metadata"]["name"], status, "status")
        elif recorded["kind"] == "Deployment" and item["request"]["method"] != "POST":
            self.store.mutate(DEPLOYMENTS, "rec", "d", annotations)
            self.store.mutate(DEPLOYMENTS, "rec", "d", status, "status")
        elif item["title"] == "Deployment scale":
            self.store.mutate(DEPLOYMENTS, "rec", "d", status, "status")


def parsed(text: str) -> Any:
    """Parse as JSON, else as JSON lines, else return the text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line]
    except ValueError:
        return text


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[int, str, Any]]:
    return asyncio.run(Replay().run())


@pytest.mark.parametrize("title", TITLES)
def test_responses_match_the_recording(
    title: str, answers: dict[str, tuple[int, str, Any]]
) -> None:
    expected = RECORDED[TITLES.index(title)]["response"]
    status, kind, body = answers[title]
    wanted = expected["body"]
    if isinstance(wanted, str):
        wanted = parsed(wanted)
    elif isinstance(body, list):
        body = body[0]
    assert status == expected["status"], body
    assert kind.split(";")[0] == expected["contentType"].split(";")[0]
    if title in DIFFERENCES:
        assert normal(body) != normal(wanted), f"no longer different: {title}"
        assert body.get("reason") == wanted.get("reason")
    else:
        assert normal(body) == normal(wanted)


def test_every_listed_difference_was_recorded() -> None:
    assert set(TITLES) >= DIFFERENCES.keys()
