"""A shard acts on its own AIApis only, and hands them over when asked."""

from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.engine.shards import DRAIN_LABEL
from aiapi_operator.engine.tenure import NotOwnedError
from aiapi_operator.manifests.labels import SHARD_LABEL


def world(labels: dict[str, str], shard: int | None = 1) -> World:
    made = World(shard=shard)
    label(made, labels)
    return made


def label(made: World, labels: dict[str, str]) -> None:
    """Set the labels, as a watch delivers them."""
    found = made.cluster.objects["AIApi", "a"]
    version = str(int(found["metadata"]["resourceVersion"]) + 1000)
    metadata = {**found["metadata"], "labels": labels, "resourceVersion": version}
    made.cluster.objects["AIApi", "a"] = {**found, "metadata": metadata}
    made.state.update_manifest(made.cluster.objects["AIApi", "a"])


async def test_the_owner_acts_and_the_status_names_it() -> None:
    owner = world({SHARD_LABEL: "1"})
    await owner.tick()
    assert owner.written["shard"] == 1
    children = [each for (kind, _), each in owner.cluster.objects.items() if kind != "AIApi"]
    assert {each["metadata"]["labels"][SHARD_LABEL] for each in children} == {"1"}
    template = owner.cluster.objects["Deployment", "a"]["spec"]["template"]
    assert SHARD_LABEL not in template["metadata"]["labels"]


@pytest.mark.parametrize("labels", [{}, {SHARD_LABEL: "2"}])
async def test_no_other_shard_acts(labels: dict[str, str]) -> None:
    other = world(labels)
    with pytest.raises(NotOwnedError):
        await other.tick()
    assert other.cluster.done == []


async def test_a_new_leader_reads_the_owner_again() -> None:
    """Its watch may have missed that the AIApi moved while it did not lead."""
    leader = world({SHARD_LABEL: "1"})
    await leader.settle()
    seen = leader.state.manifest
    label(leader, {SHARD_LABEL: "2"})
    leader.state.update_manifest(seen)
    leader.leads.term += 1
    with pytest.raises(NotOwnedError):
        await leader.tick()
    assert leader.cluster.done == []


async def test_a_drained_aiapi_is_released_and_nothing_else_is_written() -> None:
    owner = world({SHARD_LABEL: "1"})
    await owner.settle()
    label(owner, {SHARD_LABEL: "1", DRAIN_LABEL: "true", "team": "shop"})
    with pytest.raises(NotOwnedError):
        await owner.tick()
    assert owner.cluster.done == [("relabel", SHARD_LABEL, DRAIN_LABEL)]
    assert owner.cluster.objects["AIApi", "a"]["metadata"]["labels"] == {"team": "shop"}


async def test_labels_that_changed_since_are_not_released() -> None:
    owner = world({SHARD_LABEL: "1"})
    await owner.settle()
    label(owner, {SHARD_LABEL: "1", DRAIN_LABEL: "true"})
    seen = owner.state.manifest
    label(owner, {SHARD_LABEL: "2"})
    owner.state.update_manifest(seen)
    with pytest.raises(NotOwnedError):
        await owner.tick()
    assert owner.cluster.done == []


async def test_an_owner_that_loses_its_label_in_a_tick_does_not_act() -> None:
    owner = world({SHARD_LABEL: "1"})
    await owner.settle()
    scrape = owner.pods.scrape

    async def moved_meanwhile(*given: Any) -> Any:
        label(owner, {SHARD_LABEL: "2"})
        return await scrape(*given)

    owner.pods.scrape = moved_meanwhile  # type: ignore[method-assign]
    with pytest.raises(NotOwnedError):
        await owner.tick()
    assert owner.cluster.done == []


async def test_without_shards_labels_do_not_matter_and_the_status_names_none() -> None:
    only = world({SHARD_LABEL: "2", DRAIN_LABEL: "true"}, shard=None)
    await only.tick()
    assert "shard" not in only.written
