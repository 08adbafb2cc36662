"""Failed requests: the share of the requests of the last minute that failed, by kind.

Example: 600 requests end in a minute: 540 are answered (30 of them with a 4xx), 45 with a 5xx, 9
are shed, and 6 clients disconnect. Loops were idle, so the 6 count as users who closed the page:

    (45 + 9) / 600 = 9 %, mostly server errors

If loops had been busy, or half of all clients had disconnected, the 6 would count: clients abandon
a slow service, and the latency histogram does not contain their requests. A 4xx is an error of the
client.

Requests are failing from 5 % and at least 5 requests, until the share has been below half of that
for a minute. At fewer than 5 requests per minute, the failures of several minutes are added. A
minute without requests changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiapi_operator.sizing import latch
from aiapi_operator.sizing.capacity import HIGHEST
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.failures import TUNING as FAILURES
from aiapi_operator.sizing.state import SLOW_WINDOW, Latch, Tick
from aiapi_operator.sizing.windows import MOSTLY


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedShares:
    """Shares of the requests that ended in a minute, 0..1."""

    server_error: float = 0.0
    cancelled: float = 0.0
    """Clients that gave up."""
    shed: float = 0.0

    @property
    def total(self) -> float:
        """All failures."""
        return self.server_error + self.cancelled + self.shed


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequests:
    """What failed in the last minute in which any request ended, and whether that goes on."""

    shares: FailedShares = FailedShares()
    recent: bool = False
    """Whether any request ended in the last minute."""
    counts_cancelled: bool = False
    """Whether a client that disconnects now counts as a failure."""
    failed: float = 0.0
    """Failures since ``since``."""
    since: float | None = None
    """When the share rose above the threshold; None while it has not."""
    latch: Latch = field(default_factory=Latch)


def learn(known: FailedRequests | None, facts: Facts) -> FailedRequests | None:
    """The last minute, and the latch after it."""
    tick = facts.tick
    if tick is None:
        return known
    known = known or FailedRequests()
    ended, server_error, shed, cancelled, while_busy = _minute(facts.ticks)
    if ended <= 0:
        return replace(known, recent=False) if known.recent else known
    abandoned = cancelled >= MOSTLY * ended
    gave_up = cancelled if abandoned else while_busy
    shares = FailedShares(
        server_error=server_error / ended, cancelled=gave_up / ended, shed=shed / ended
    )
    counts_cancelled = abandoned or tick.busiest >= HIGHEST
    newest = tick.server_errors + tick.shed + (tick.cancelled if counts_cancelled else 0.0)
    failed, since, turned = _turned(
        known, facts, shares.total, (server_error + gave_up + shed, newest * tick.seconds)
    )
    return FailedRequests(
        shares=shares,
        recent=True,
        counts_cancelled=counts_cancelled,
        failed=failed,
        since=since,
        latch=turned,
    )


def _turned(
    known: FailedRequests, facts: Facts, share: float, failures: tuple[float, float]
) -> tuple[float, float | None, Latch]:
    """``failed``, ``since`` and the latch, after ``failures`` in a minute and in a tick."""
    failed, since = known.failed, known.since
    over = share >= FAILURES.begins
    if over and since is None:
        failed, since = failures[0], facts.now
    elif over:
        failed += failures[1]
    enough = failed >= FAILURES.enough
    finding = True if over and enough else False if share < FAILURES.begins / 2 else None
    turned = latch.update(known.latch, finding, now=facts.now, on_after=0.0, off_after=SLOW_WINDOW)
    if finding is False and not turned.on:
        return 0.0, None, turned
    return failed, since, turned


def _minute(ticks: Sequence[Tick]) -> tuple[float, float, float, float, float]:
    """Requests that ended; of these server errors, shed, cancelled, and cancelled at busy loops.

    One pass over the ticks: this runs in each decision.
    """
    ended = server_error = shed = cancelled = while_busy = 0.0
    busy = HIGHEST
    for tick in ticks:
        seconds = tick.seconds
        ended += seconds * (tick.completed + tick.shed)
        server_error += seconds * tick.server_errors
        shed += seconds * tick.shed
        gone = seconds * tick.cancelled
        cancelled += gone
        if tick.busiest >= busy:
            while_busy += gone
    return ended, server_error, shed, cancelled, while_busy


LEARNER = Learner(kind=FailedRequests, learn=learn)
