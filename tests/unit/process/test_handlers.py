"""Kopf's settings, and what is kept of an AIApi."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

from aiapi_operator import handlers


def test_no_object_waits_for_the_idle_task_of_another() -> None:
    queueing = handlers.settings().queueing
    assert queueing.worker_limit is None
    assert queueing.idle_timeout <= 0.1


def event(**status: object) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "n", "uid": "u", "managedFields": [{"manager": "m"}]}
    body = {"metadata": metadata, "spec": {"app": "a:b"}, "status": status}
    return {"type": "MODIFIED", "object": {"apiVersion": "aiapi.dev/v1alpha1", **body}}


def test_managed_fields_are_not_kept() -> None:
    taken = handlers._take(event(replicas=2))
    assert taken["metadata"] == {"name": "a", "namespace": "n", "uid": "u"}
    assert (taken["spec"], taken["status"]) == ({"app": "a:b"}, {"replicas": 2})


async def test_kopf_keeps_no_spec_and_no_status_of_an_event() -> None:
    """Its ``Patch`` refers to itself and to the body: only the collector frees them."""
    received: list[dict[str, Any]] = []
    runner = SimpleNamespace(on_aiapi_update=received.append)
    registry = handlers.registry(runner, AsyncMock())  # type: ignore[arg-type]
    given = event(replicas=2)
    (handler,) = registry._watching.get_all_handlers()
    await handler.fn(event=given)
    assert received[0]["status"] == {"replicas": 2}
    assert set(given["object"]) == {"apiVersion", "metadata"}


def test_only_the_aiapis_of_the_shard_are_watched() -> None:
    assert not handlers.settings().watching.label_selectors
    selectors = handlers.settings(2).watching.label_selectors
    assert list(selectors.values()) == ["aiapi.dev/shard=2"]
