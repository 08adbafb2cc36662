"""What was seen while the demo ran, second by second. Filled by the run, read by the summary."""

from dataclasses import dataclass, field

from aiapi_demo.observed import ObservedAIApi, ObservedCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at everything. Times are seconds from the start of the load."""

    at: float
    phase: int
    offered_rps: float
    served_rps: float
    latency: float | None
    failed: int
    wanted_workers: int | None
    wanted_replicas: int | None
    serving: int
    asked: int
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
class SizeChange:
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
    """A condition that changed its status."""

    at: float
    condition: ObservedCondition


@dataclass(slots=True)
class Recording:
    """The run so far."""

    samples: list[Sample] = field(default_factory=list)
    changes: list[SizeChange] = field(default_factory=list)
    diagnoses: list[ConditionChange] = field(default_factory=list)
    view: ObservedAIApi = field(default_factory=ObservedAIApi)
    _statuses: dict[str, str] = field(default_factory=dict)

    def see(self, view: ObservedAIApi, at: float) -> None:
        """Take the AIApi's newest status, and note what is new in it."""
        before, self.view = self.view, view
        moved = (before.workers, before.replicas) != (view.workers, view.replicas)
        if (
            moved
            and before.workers is not None
            and before.replicas is not None
            and view.workers is not None
            and view.replicas is not None
        ):
            self.changes.append(
                SizeChange(
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
                self.diagnoses.append(ConditionChange(at=at, condition=condition))
