"""LEARNERS: what is learned of a fleet. Each entry is one file; an entry may read those before it.

Removing an entry from the list removes it from the system: ``Facts.get`` then returns None for it,
and its readers do without.
"""

from typing import Any

from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.learners import (
    base_first_byte,
    base_latency,
    daily_profile,
    demand,
    failed_requests,
    failures,
    need_history,
    pod_start,
    queueing,
    request_memory,
    service_demand,
    thread_time,
    usage,
    utilization,
    worker_use,
)

LEARNERS: tuple[Learner[Any], ...] = (
    failures.LEARNER,
    failed_requests.LEARNER,
    service_demand.LEARNER,
    thread_time.LEARNER,
    base_latency.LEARNER,
    base_first_byte.LEARNER,
    queueing.LEARNER,
    utilization.LEARNER,
    daily_profile.LEARNER,
    demand.LEARNER,
    pod_start.LEARNER,
    worker_use.LEARNER,
    request_memory.LEARNER,
    need_history.LEARNER,
    usage.LEARNER,
)
