"""Clients that retry after an error, a rejection, or a missed deadline.

The wait before attempt n + 1 is ``backoff`` x 2^n, at most ``longest``, less up to a quarter at
random. This is what OpenAI's Python client does, with its defaults (max_retries = 2, 0.5 s, 8 s).
A budget limits the retries of all clients together to a fraction of the first attempts, as in
Finagle (https://twitter.github.io/finagle/guide/Clients.html#retries).

A request that fails for good counts once: by the outcome of its last attempt, with the latency
from its first.
"""

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.counters import SUCCESS
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests, Workload, concatenate
from aiapi_operator.simulate.traces import Floats

JITTER = 0.25
MIN_BUDGET = 10.0
"""Retries that are granted however few first attempts there are."""
BUDGET_SECONDS = 10.0
"""Time over which unused budget accumulates."""
MIN_STEP = 0.1
MAX_DELAY = 5.0
"""Seconds by which a retry may be late, because a run serves this much time in one step."""
_CONNECTION_OFFSET = 7919
"""A prime: a retry uses another connection."""


class RetryingClients:
    """All clients of a run, and their pending retries."""

    def __init__(self, load: Workload) -> None:
        model = load.service.clients.retries
        self._max_retries = model.most
        self._backoff = parse_duration(model.backoff)
        self._max_backoff = parse_duration(model.longest)
        self._budget_ratio = model.budget
        self._deadline = parse_duration(load.service.clients.deadline)
        self._longest_stream = load.service.longest_stream
        self._connections = load.connections
        self._rng = np.random.default_rng([load.seed, 606])
        self._max_budget = max(MIN_BUDGET, model.budget * load.trace.peak_minute * BUDGET_SECONDS)
        self._budget = self._max_budget
        self._pending: list[tuple[Requests, Ints]] = []
        self._failing = False
        self.retries = 0

    @property
    def max_request_seconds(self) -> float:
        """The longest time from the first attempt until the last one has ended."""
        attempts = (self._max_retries + 1) * self._deadline
        waits = self._max_retries * (self._max_backoff + MAX_DELAY)
        return attempts + waits + self._longest_stream

    @property
    def max_step(self) -> float:
        """The longest step that cannot delay a retry."""
        if self._max_retries == 0 or not (self._failing or self._pending):
            return float("inf")
        return max(MIN_STEP, (1 - JITTER) * self._backoff)

    def next_retry(self) -> float:
        """When the next retry is due, or infinity."""
        return min((float(each.at.min()) for each, _ in self._pending), default=float("inf"))

    def with_retries(self, first: Requests, until: float) -> Requests:
        """First attempts, together with the retries that are due."""
        if self._budget_ratio > 0:
            self._budget = min(self._max_budget, self._budget + self._budget_ratio * len(first))
        if not self._pending:
            return first
        pending = concatenate([requests for requests, _ in self._pending])
        outcome = np.concatenate([outcome for _, outcome in self._pending])
        due = pending.at < until
        self._pending = [] if due.all() else [(pending.take(~due), outcome[~due])]
        requests = concatenate([first, pending.take(due)])
        self.retries += int(due.sum())
        return requests.take(np.argsort(requests.at, kind="stable"))

    def schedule_retries(self, served: ServedRequests, now: float) -> ServedRequests:
        """Schedule retries, and return the requests that are final."""
        bad = served.outcome != SUCCESS
        self._failing = bool(bad.any())
        if self._max_retries == 0 or not self._failing:
            return served
        again = np.flatnonzero(bad & (served.requests.prior_attempts < self._max_retries))
        if self._budget_ratio > 0:
            again = again[np.argsort(served.ended_at[again], kind="stable")][: int(self._budget)]
            self._budget -= len(again)
        self._schedule(served, again, now)
        final = np.ones(len(bad), dtype=np.bool_)
        final[again] = False
        return served.take(final)

    def abandon_retries(self) -> ServedRequests | None:
        """The run is over: pending retries count as not answered."""
        if not self._pending:
            return None
        requests = concatenate([requests for requests, _ in self._pending])
        outcome = np.concatenate([outcome for _, outcome in self._pending])
        return ServedRequests(requests, requests.at, outcome)

    def _schedule(self, served: ServedRequests, again: Ints, now: float) -> None:
        if len(again) == 0:
            return
        requests = served.requests.take(again)
        waits: Floats = np.minimum(self._max_backoff, self._backoff * 2.0**requests.prior_attempts)
        waits *= 1 - JITTER * self._rng.random(len(again))
        later = Requests(
            at=np.maximum(now, served.ended_at[again] + waits),
            loop=requests.loop,
            upstream=requests.upstream,
            connection=(requests.connection + _CONNECTION_OFFSET) % self._connections,
            first_at=requests.first_at,
            prior_attempts=requests.prior_attempts + 1,
            stream=requests.stream,
        )
        self._pending.append((later, served.outcome[again]))
