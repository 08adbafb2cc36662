"""Kopf's settings, and what is kept of an AIApi."""

from aiapi_operator import handlers


def test_no_object_waits_for_the_idle_task_of_another() -> None:
    queueing = handlers.settings().queueing
    assert queueing.worker_limit is None
    assert queueing.idle_timeout <= 0.1


def test_managed_fields_are_not_kept() -> None:
    metadata = {"name": "a", "managedFields": [{"manager": "kubectl"}]}
    pruned = handlers._pruned({"metadata": metadata, "spec": {"app": "a:b"}})
    assert pruned == {"metadata": {"name": "a"}, "spec": {"app": "a:b"}}


def test_only_the_aiapis_of_the_shard_are_watched() -> None:
    assert not handlers.settings().watching.label_selectors
    selectors = handlers.settings(2).watching.label_selectors
    assert list(selectors.values()) == ["aiapi.dev/shard=2"]
