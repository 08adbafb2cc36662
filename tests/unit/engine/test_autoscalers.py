"""Other autoscalers: recognised, told with the way out, and never fought."""

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


def test_an_hpa_on_the_deployment_fights_and_one_on_the_aiapi_does_not() -> None:
    assert autoscaler(hpa()).conflicts
    assert autoscaler(hpa()).target == KEY
    assert not autoscaler(hpa(kind="AIApi")).conflicts
    assert read(hpa(kind="StatefulSet")) is None
    assert read(hpa(target="")) is None


def test_a_scaled_object_without_a_kind_means_a_deployment() -> None:
    manifest = {**hpa(), "kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": "a"}}}
    assert autoscaler(manifest).conflicts


def test_the_hpa_that_keda_made_is_told_by_its_maker() -> None:
    manifest = hpa("keda-hpa-web")
    manifest["metadata"]["ownerReferences"] = [
        {"kind": "ScaledObject", "name": "web", "controller": True}
    ]
    told = condition(KEY, [autoscaler(manifest)], list_error="")
    assert "keda-hpa-web, owned by ScaledObject web" in told.message
    assert "kubectl delete -n shop scaledobject web" in told.message


@pytest.mark.parametrize(
    ("spec", "fights"),
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
def test_a_vpa_fights_when_it_changes_running_pods(spec: dict[str, Any], fights: bool) -> None:
    assert (read(vpa(**spec)) is not None) is fights


def test_the_condition_says_what_to_do() -> None:
    told = condition(KEY, [autoscaler(hpa())], list_error="")
    assert (told.status, told.reason) == (True, "HorizontalPodAutoscaler")
    assert "kubectl delete -n shop horizontalpodautoscaler web" in told.message
    assert "scaleTargetRef at AIApi a" in told.message
    told = condition(KEY, [autoscaler(hpa(kind="AIApi"))], list_error="")
    assert (told.status, told.reason) == (False, "SetsTheFloor")
    assert condition(KEY, [], list_error="").status is False
    told = condition(KEY, [], list_error="may not list")
    assert (told.status, told.reason) == (None, "NotAllowedToLook")


def test_only_auto_is_restrained() -> None:
    spec = sizing_spec(AIApiSpec())
    assert effective_spec(spec, [autoscaler(hpa())]).mode is Mode.RECOMMEND
    assert effective_spec(spec, [autoscaler(hpa(kind="AIApi"))]).mode is Mode.AUTO
    assert effective_spec(spec, []).mode is Mode.AUTO
    paused = sizing_spec(AIApiSpec.model_validate({"scaling": {"mode": "Paused"}}))
    assert effective_spec(paused, [autoscaler(hpa())]).mode is Mode.PAUSED


class Known:
    """A poller that a test fills."""

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
    """What the API server says, by plural."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Manifest] | Exception] = {}

    async def __call__(self, kind: Resource) -> list[Manifest]:
        answer = self.answers.get(kind.plural, [])
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_what_was_seen_stays_while_the_api_does_not_answer() -> None:
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


async def test_a_missing_right_is_told_and_taken_back() -> None:
    lister = Lister()
    poller = AutoscalerPoller(KINDS, lister)
    lister.answers["scaledobjects"] = Forbidden("cannot list scaledobjects")
    await poller.poll_once()
    assert "cannot list scaledobjects" in poller.list_error
    lister.answers["scaledobjects"] = []
    await poller.poll_once()
    assert poller.list_error == ""


class Wire:
    """A connection that answers lists in pages."""

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


async def test_lists_are_read_to_their_end_and_a_missing_kind_is_nobody() -> None:
    wire: Any = Wire(["a", "b"], ["c"])
    found = await autoscalers(wire, KINDS[0], [])
    assert [each["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert {each["kind"] for each in found} == {"HorizontalPodAutoscaler"}
    absent: Any = Wire(missing=True)
    assert await autoscalers(absent, KINDS[1], ["shop", "search"]) == []
    assert absent.asked == ["/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"]
