"""The pods of one tick whose samples can be used, and those that did not answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiapi_operator.sizing.inputs import PodSample, PodUnknown
from aiapi_operator.sizing.state import Column

MAX_SILENT_SHARE = 0.02
"""Share of the ready pods that may be silent while the fleet scales down. They count as the mean of
the others, so they may hide no more than that."""


@dataclass(frozen=True, slots=True)
class FleetSamples:
    """The validated pods of one tick: ``samples`` are usable, ``unknown`` are ready but silent."""

    samples: tuple[PodSample, ...]
    fresh: tuple[PodSample, ...]
    """Those that came since the last tick. Of a large fleet, only a part is asked in each tick."""
    columns: Sequence[Column]
    """The numbers of the fresh ones, as in flows.py."""
    unknown: tuple[PodUnknown, ...]
    pods: int
    ready: int
    """Pods that take traffic, including those that did not answer."""

    @property
    def mostly_known(self) -> bool:
        """Whether so few ready pods are silent that they cannot hide a load: at most one in fifty.

        In a fleet under fifty pods that is none. Silent pods count as the mean of the others, are
        removed last and never get fewer workers, so they may differ by no more than that.
        """
        return len(self.unknown) <= MAX_SILENT_SHARE * self.ready

    @property
    def all_unknown(self) -> bool:
        """Whether no pod that takes traffic has a usable sample."""
        return not any(sample.ready for sample in self.samples)

    @property
    def workers_wanted(self) -> int | None:
        """Workers per pod that run now: new pods may still be at the template's size."""
        most = max([sample.workers_wanted for sample in self.samples if sample.ready], default=0)
        return most if most > 0 else None
