"""Other autoscalers: detected, reported with what to do, and never fought."""

import asyncio
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.api import AIApiSpec
from aiapi_operator.cluster.autoscalers import KINDS, autoscalers
from aiapi_operator.cluster.errors import Forbidden, NotFound, Unavailable
from aiapi_operator.cluster.resources import Manifest, Resource
from aiapi_operator.engine.autoscaler_poller import AutoscalerPoller
from aiapi_operator.engine.autoscalers import ForeignAutoscaler, condition, effective_spec, read
from aiapi_operator.sizing.inputs import Mode
from aiapi_operator.sizing.spec import sizing_spec

KEY = ("shop", "a")


def hpa(name: str = "web", *, kind: str = "Deployment", target: str = "a") -> Manifest:
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": kind, "name": target}},
    }


def vpa(**spec: Any) -> Manifest:
    return {
        "kind": "VerticalPodAutoscaler",
        "metadata": {"name": "fit", "namespace": "shop"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "a"}, **spec},
    }


def autoscaler(manifest: Manifest) -> ForeignAutoscaler:
    found = read(manifest)
    assert found is not None
    return found


def test_an_hpa_conflicts_on_the_deployment_and_not_on_the_aiapi() -> None:
    assert autoscaler(hpa()).conflicts
    assert autoscaler(hpa()).target == KEY
    assert not autoscaler(hpa(kind="AIApi")).conflicts
    assert read(hpa(kind="StatefulSet")) is None
    assert read(hpa(target="")) is None


def test_the_target_of_a_scaled_object_defaults_to_a_deployment() -> None:
    manifest = {**hpa(), "kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": "a"}}}
    assert autoscaler(manifest).conflicts


def test_an_hpa_of_keda_is_reported_with_its_scaled_object() -> None:
    manifest = hpa("keda-hpa-web")
    manifest["metadata"]["ownerReferences"] = [
        {"kind": "ScaledObject", "name": "web", "controller": True}
    ]
    found = condition(KEY, [autoscaler(manifest)], list_error="")
    assert "keda-hpa-web, owned by ScaledObject web" in found.message
    assert "kubectl delete -n shop scaledobject web" in found.message


@pytest.mark.parametrize(
    ("spec", "conflicts"),
    [
        ({}, True),
        ({"updatePolicy": {"updateMode": "Recreate"}}, True),
        ({"updatePolicy": {"updateMode": "Off"}}, False),
        ({"updatePolicy": {"updateMode": "Initial"}}, False),
        ({"resourcePolicy": {"containerPolicies": [{"containerName": "*", "mode": "Off"}]}}, False),
        (
            {"resourcePolicy": {"containerPolicies": [{"containerName": "app", "mode": "Off"}]}},
            False,
        ),
    ],
)
def test_a_vpa_conflicts_when_it_changes_running_pods(
    spec: dict[str, Any], conflicts: bool
) -> None:
    assert (read(vpa(**spec)) is not None) is conflicts


def test_the_condition_says_what_to_do() -> None:
    found = condition(KEY, [autoscaler(hpa())], list_error="")
    assert (found.status, found.reason) == (True, "HorizontalPodAutoscaler")
    assert "kubectl delete -n shop horizontalpodautoscaler web" in found.message
    assert "scaleTargetRef at AIApi a" in found.message
    found = condition(KEY, [autoscaler(hpa(kind="AIApi"))], list_error="")
    assert (found.status, found.reason) == (False, "SetsTheFloor")
    assert condition(KEY, [], list_error="").status is False
    found = condition(KEY, [], list_error="may not list")
    assert (found.status, found.reason) == (None, "NotAllowedToLook")


def test_only_mode_auto_is_restricted() -> None:
    spec = sizing_spec(AIApiSpec())
    assert effective_spec(spec, [autoscaler(hpa())]).mode is Mode.RECOMMEND
    assert effective_spec(spec, [autoscaler(hpa(kind="AIApi"))]).mode is Mode.AUTO
    assert effective_spec(spec, []).mode is Mode.AUTO
    paused = sizing_spec(AIApiSpec.model_validate({"scaling": {"mode": "Paused"}}))
    assert effective_spec(paused, [autoscaler(hpa())]).mode is Mode.PAUSED


class Known:
    """A poller with results set by a test."""

    list_error = ""

    def __init__(self) -> None:
        self.autoscalers: list[ForeignAutoscaler] = []

    def targeting(self, key: tuple[str, str]) -> list[ForeignAutoscaler]:
        return self.autoscalers if key == KEY else []


async def test_the_engine_only_recommends_while_another_scales() -> None:
    world, known = World(spec={"replicas": {"min": 3}}), Known()
    await world.settle()
    object.__setattr__(world.engine._ports, "autoscalers", known)
    known.autoscalers = [autoscaler(hpa())]
    world.cluster.edit("Deployment", "a", {"spec": {"replicas": 1}})
    world.cache.put(world.cluster.objects["Deployment", "a"])
    await world.tick()
    assert world.condition("ForeignAutoscaler")["status"] == "True"
    assert world.written["decision"]["replicas"] == 3
    assert not [call for call in world.cluster.done if call[0] in ("scale", "resize", "cost")]
    assert world.cluster.events[-1][0] == "ForeignAutoscaler"
    known.autoscalers = []
    await world.tick()
    assert world.condition("ForeignAutoscaler")["status"] == "False"
    assert ("scale", "3") in world.cluster.done


class Lister:
    """Answers of the API server, by plural."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Manifest] | Exception] = {}
        self.asked: list[str] = []

    async def __call__(self, kind: Resource) -> list[Manifest]:
        self.asked.append(kind.plural)
        answer = self.answers.get(kind.plural, [])
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_the_last_result_stays_when_listing_fails() -> None:
    lister = Lister()
    poller = AutoscalerPoller(KINDS, lister)
    lister.answers["horizontalpodautoscalers"] = [hpa()]
    await poller.poll_once()
    assert [each.name for each in poller.targeting(KEY)] == ["web"]
    lister.answers["horizontalpodautoscalers"] = Unavailable("no answer")
    await poller.poll_once()
    assert [each.name for each in poller.targeting(KEY)] == ["web"]
    lister.answers["horizontalpodautoscalers"] = []
    await poller.poll_once()
    assert poller.targeting(KEY) == ()


async def test_a_change_of_autoscalers_is_reported_by_target() -> None:
    """An AIApi at zero ticks every five minutes, and would see an autoscaler that late."""
    lister = Lister()
    changed: list[set[tuple[str, str]]] = []
    poller = AutoscalerPoller(KINDS, lister)
    poller.changed = lambda keys: changed.append(set(keys))
    for found in ([hpa()], [hpa()], [hpa(), hpa("other", target="b")], [hpa()], []):
        lister.answers["horizontalpodautoscalers"] = found
        await poller.poll_once()
    assert changed == [{KEY}, {("shop", "b")}, {("shop", "b")}, {KEY}]


async def test_a_missing_permission_is_reported_until_granted() -> None:
    lister = Lister()
    poller = AutoscalerPoller(KINDS, lister)
    lister.answers["scaledobjects"] = Forbidden("cannot list scaledobjects")
    await poller.poll_once()
    assert "cannot list scaledobjects" in poller.list_error
    lister.answers["scaledobjects"] = []
    await poller.poll_once()
    assert poller.list_error == ""


async def test_other_autoscalers_are_listed_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    lister = Lister()
    with pytest.raises(asyncio.CancelledError):
        await AutoscalerPoller(KINDS[:1], lister).run()
    assert slept == [60.0, 60.0, 60.0]
    assert lister.asked == [KINDS[0].plural] * 2


class Wire:
    """A connection that returns lists in pages."""

    def __init__(self, *pages: list[str], missing: bool = False) -> None:
        self._pages = pages
        self._missing = missing
        self.asked: list[str] = []

    async def send(self, request: Any) -> Any:
        self.asked.append(request.path)
        if self._missing:
            raise NotFound("no such resource")
        number = int(request.query.get("continue", 0))
        following = str(number + 1) if number + 1 < len(self._pages) else ""
        items = [{"metadata": {"name": name}} for name in self._pages[number]]
        return {"metadata": {"continue": following}, "items": items}


async def test_all_pages_are_read_and_a_missing_kind_is_empty() -> None:
    wire: Any = Wire(["a", "b"], ["c"])
    found = await autoscalers(wire, KINDS[0], [])
    assert [each["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert {each["kind"] for each in found} == {"HorizontalPodAutoscaler"}
    absent: Any = Wire(missing=True)
    assert await autoscalers(absent, KINDS[1], ["shop", "search"]) == []
    assert absent.asked == ["/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"]
