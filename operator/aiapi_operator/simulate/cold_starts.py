"""Cold starts: how often requests found no pod, which requests those were, and how long they took.

A request has met a cold start if any of its attempts arrived while no pod was ready, or before the
loops were done with those that did: it queued behind them. It is in the measures of a run like any
other, and is counted here once more: the measures of the other requests show the objective while
pods run, those of these requests show the price of stopping.

Example: a pod takes 8 s to start, and a request arrives every 0.1 s and takes 20 ms of loop time.
The first 80 are held, the loop is done with them 1.6 s later, and the 16 that arrive until then
queue behind them: 96 requests met the cold start.
"""

from dataclasses import dataclass, field

import numpy as np

from aiapi_operator.simulate.admission import Bools
from aiapi_operator.simulate.traces import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """The cold starts of a run, and the measures of the requests that met none."""

    starts: int
    """Times that pods were started for a request."""
    requests: int
    """Requests that met a cold start."""
    late: int
    """Those of them that were not answered within the first objective's threshold."""
    p50: float
    """Of the requests that met a cold start, as p95 and longest."""
    p95: float
    longest: float
    asleep_seconds: float
    """Time without a pod."""
    others_windows: float
    """Share of the windows that the requests that met no cold start kept within the objectives."""
    others_late: int
    """Requests that met no cold start and were not answered within the first threshold."""
    others_p95: float


@dataclass(slots=True)
class ColdRequests:
    """Which requests met a cold start, and how long they took."""

    _met: Floats = field(default_factory=lambda: np.empty(0))
    """Their first attempts. These times identify them: retries keep it."""
    _took: list[Floats] = field(default_factory=list)

    def meet(self, first_at: Floats) -> None:
        """These requests found no pod, or queued behind those that did."""
        self._met = np.concatenate((self._met, first_at))

    def forget(self, before: float) -> None:
        """Requests of minutes that are over."""
        if len(self._met):
            self._met = self._met[self._met >= before]

    def among(self, first_at: Floats) -> Bools:
        """Which of these requests met a cold start."""
        if not len(self._met):
            return np.zeros(len(first_at), dtype=np.bool_)
        return np.isin(first_at, self._met)

    def add(self, took: Floats) -> None:
        """How long some of them took until their last attempt ended."""
        if len(took):
            self._took.append(took)

    def took(self) -> Floats:
        """How long each took."""
        return np.concatenate(self._took) if self._took else np.zeros(1)
