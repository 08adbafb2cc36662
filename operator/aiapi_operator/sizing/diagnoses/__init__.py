"""DIAGNOSES: what is wrong with the service or its dependencies, the evidence, and what to do.

Each entry is one file and one condition. All are always reported, in this order. Removing an entry
from the list removes it from the system.
"""

from aiapi_operator.sizing.diagnoses import (
    cpu_contended,
    cpu_throttled,
    dependency_bound,
    event_loop_blocked,
    metrics_stale,
    objective_infeasible,
    overprovisioned,
    requests_failing,
    resize_deferred,
    scaling_limited,
    workers_failing,
)

DIAGNOSES = (
    requests_failing.DIAGNOSIS,
    dependency_bound.DIAGNOSIS,
    event_loop_blocked.DIAGNOSIS,
    objective_infeasible.DIAGNOSIS,
    metrics_stale.DIAGNOSIS,
    scaling_limited.DIAGNOSIS,
    resize_deferred.DIAGNOSIS,
    workers_failing.DIAGNOSIS,
    overprovisioned.DIAGNOSIS,
    cpu_throttled.DIAGNOSIS,
    cpu_contended.DIAGNOSIS,
)
