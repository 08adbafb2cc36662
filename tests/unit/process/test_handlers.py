"""Kopf's settings."""

from aiapi_operator import handlers


def test_no_object_waits_for_the_idle_task_of_another() -> None:
    queueing = handlers.settings().queueing
    assert queueing.worker_limit is None
    assert queueing.idle_timeout <= 0.1
