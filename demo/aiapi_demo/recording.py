"""The measurements of a run, second by second. Filled by the run, read by the summary."""

from dataclasses import dataclass, field

from aiapi_demo.observed import ObservedAIApi, ObservedCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSample:
    """All measurements at one time. Times are seconds since the start of the load."""

    at: float
    phase: int
    offered_rps: float
    served_rps: float
    latency: float | None
    failed: int
    wanted_workers: int | None
    wanted_replicas: int | None
    serving: int
    requested: int
    alive: int
    utilization: float | None
    binding: str
    reason: str
    message: str

    @property
    def wanted(self) -> int | None:
        """Workers wanted in the whole fleet."""
        if self.wanted_workers is None or self.wanted_replicas is None:
            return None
        return self.wanted_workers * self.wanted_replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetChange:
    """A decision that changed the fleet."""

    at: float
    workers: int
    replicas: int
    workers_before: int
    replicas_before: int
    reason: str
    message: str
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionChange:
    """A condition whose status changed."""

    at: float
    condition: ObservedCondition


@dataclass(slots=True)
class Recording:
    """All measurements so far."""

    samples: list[RunSample] = field(default_factory=list)
    changes: list[FleetChange] = field(default_factory=list)
    condition_changes: list[ConditionChange] = field(default_factory=list)
    view: ObservedAIApi = field(default_factory=ObservedAIApi)
    _statuses: dict[str, str] = field(default_factory=dict)

    def update(self, view: ObservedAIApi, at: float) -> None:
        """Take the newest status of the AIApi and record what changed."""
        before, self.view = self.view, view
        resized = (before.workers, before.replicas) != (view.workers, view.replicas)
        if (
            resized
            and before.workers is not None
            and before.replicas is not None
            and view.workers is not None
            and view.replicas is not None
        ):
            self.changes.append(
                FleetChange(
                    at=at,
                    workers=view.workers,
                    replicas=view.replicas,
                    workers_before=before.workers,
                    replicas_before=before.replicas,
                    reason=view.reason,
                    message=view.message,
                    binding=view.binding,
                )
            )
        for condition in view.conditions:
            if self._statuses.get(condition.type) != condition.status:
                self._statuses[condition.type] = condition.status
                self.condition_changes.append(ConditionChange(at=at, condition=condition))
