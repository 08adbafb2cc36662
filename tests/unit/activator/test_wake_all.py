"""What is started before the chart is uninstalled, against an API server in memory."""

from typing import Any

import pytest

from aiapi_operator.activator import wake_all
from aiapi_operator.cluster.errors import Conflict, Forbidden, NotFound

DEPLOYMENT = "/apis/apps/v1/namespaces/{}/deployments/{}/scale"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices/{}-activator"


def aiapi(name: str, phase: str | None, namespace: str = "shop", **activation: Any) -> Any:
    status = {"activation": {"phase": phase, **activation}} if phase else {}
    return {"metadata": {"name": name, "namespace": namespace}, "status": status}


class Api:
    """Deployments whose pods are ready at the second look, unless they are broken."""

    def __init__(self, *aiapis: Any, broken: tuple[str, ...] = (), operator: int = 0) -> None:
        self.aiapis = aiapis
        self.broken = broken
        self.operator_pods = operator
        self.replicas: dict[str, int] = {}
        self.refused: dict[str, list[Exception]] = {}
        self.slices = {self._slice(each) for each in aiapis if each["status"]}
        self.looks = 0

    @staticmethod
    def _slice(each: Any) -> str:
        return SLICE.format(each["metadata"]["namespace"], each["metadata"]["name"])

    async def send(self, request: Any) -> Any:
        if self.refused.get(request.path):
            raise self.refused[request.path].pop(0)
        if request.method == "DELETE":
            if request.path not in self.slices:
                raise NotFound("no such slice")
            self.slices.remove(request.path)
            return {}
        if request.path.endswith("/scale"):
            return self._scale(request)
        return {"items": self._items(request)}

    def _scale(self, request: Any) -> Any:
        if request.method == "PATCH":
            self.replicas[request.path] = request.body["spec"]["replicas"]
        found = self.replicas.get(request.path, 0)
        return {"metadata": {"resourceVersion": "7"}, "spec": {"replicas": found}}

    def _items(self, request: Any) -> list[Any]:
        if request.path.endswith("/aiapis"):
            parts = request.path.split("/namespaces/")
            wanted = parts[1].split("/")[0] if len(parts) > 1 else None
            return [e for e in self.aiapis if wanted in (None, e["metadata"]["namespace"])]
        if "name=aiapi-operator" in request.query["labelSelector"]:
            self.operator_pods -= 1
            return [{}] * max(0, self.operator_pods)
        self.looks += 1
        return [self._pod(each) for each in self.aiapis]

    def _pod(self, each: Any) -> Any:
        name = each["metadata"]["name"]
        path = DEPLOYMENT.format(each["metadata"]["namespace"], name)
        ready = self.looks > 1 and self.replicas.get(path, 0) and name not in self.broken
        return {
            "metadata": {
                "namespace": each["metadata"]["namespace"],
                "labels": {"app.kubernetes.io/instance": name},
            },
            "status": {"conditions": [{"type": "Ready", "status": str(bool(ready))}]},
        }


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_all, "POLL", 0.001)


async def woken(api: Api, **options: Any) -> tuple[list[str], str]:
    """The names of those that are late, and the report."""
    lines: list[str] = []
    late = await wake_all.wake_all(api, report=lines.append, **options)  # type: ignore[arg-type]
    return [each.name for each in late], "\n".join(lines)


async def test_all_that_do_not_serve_by_pods_alone_are_started() -> None:
    api = Api(
        aiapi("asleep", "Asleep", wakeReplicas=3),
        aiapi("leaving", "Leaving"),
        aiapi("waking", "Waking", wakeReplicas=0),
        aiapi("serving", "Serving", wakeReplicas=5),
        aiapi("plain", None),
    )
    late, report = await woken(api)
    assert late == []
    assert api.replicas == {
        DEPLOYMENT.format("shop", "asleep"): 3,
        DEPLOYMENT.format("shop", "leaving"): 1,
        DEPLOYMENT.format("shop", "waking"): 1,
    }
    assert api.slices == {SLICE.format("shop", "serving")}
    assert "shop/asleep (Asleep): at least 3 pods wanted" in report
    assert "shop/asleep: a pod is ready; its Service leads to pods only" in report
    assert "serving" not in report


async def test_it_never_scales_down() -> None:
    api = Api(aiapi("leaving", "Leaving", wakeReplicas=2))
    path = DEPLOYMENT.format("shop", "leaving")
    api.replicas[path] = 6
    await woken(api)
    assert api.replicas == {path: 6}


async def test_the_operator_is_stopped_first() -> None:
    api = Api(aiapi("asleep", "Asleep"), operator=3)
    _, report = await woken(api, operator="ops/aiapi-operator")
    assert list(api.replicas) == [
        DEPLOYMENT.format("ops", "aiapi-operator"),
        DEPLOYMENT.format("shop", "asleep"),
    ]
    assert api.replicas[DEPLOYMENT.format("ops", "aiapi-operator")] == 0
    assert api.operator_pods == 0
    assert report.startswith("stopped the operator ops/aiapi-operator")


async def test_an_app_that_does_not_start_does_not_hold_up_the_others() -> None:
    api = Api(aiapi("good", "Asleep"), aiapi("bad", "Asleep"), broken=("bad",))
    late, report = await woken(api, within=0.05)
    assert late == ["shop/bad"]
    assert api.slices == {SLICE.format("shop", "bad")}, "its Service still leads to activators"
    assert "shop/bad: no pod is ready after 0.05 s; its pods keep starting" in report


async def test_refused_changes_are_reported_and_conflicts_tried_again() -> None:
    api = Api(aiapi("one", "Asleep"), aiapi("two", "Asleep"))
    api.refused = {
        DEPLOYMENT.format("shop", "one"): [Conflict("changed"), Conflict("changed")],
        DEPLOYMENT.format("shop", "two"): [Forbidden("a quota")],
        SLICE.format("shop", "one"): [NotFound("gone")],
    }
    late, report = await woken(api, within=0.05)
    assert api.replicas == {DEPLOYMENT.format("shop", "one"): 1}
    assert late == ["shop/two"]
    assert "shop/two (Asleep): cannot be scaled: a quota" in report


async def test_only_the_given_namespaces_are_woken() -> None:
    api = Api(aiapi("a", "Asleep", "one"), aiapi("b", "Asleep", "two"))
    await woken(api, namespaces=("two",))
    assert list(api.replicas) == [DEPLOYMENT.format("two", "b")]


async def test_nothing_at_zero_is_said() -> None:
    assert await woken(Api(aiapi("plain", None))) == ([], "no AIApi is at zero")
