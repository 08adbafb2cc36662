"""Callers that try again: after an error, a refusal, or an answer that did not come in time.

The wait before try n + 1 is ``backoff`` x 2^n, at most ``longest``, less up to a quarter at
random: what OpenAI's client for Python does, with its defaults (max_retries = 2, 0.5 s, 8 s).
A budget bounds what all callers add together: tries again may be that part of the first ones,
as in Finagle (https://twitter.github.io/finagle/guide/Clients.html#retries).

A request that is given up counts once, by its last try, and its latency from its first.
"""

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.counters import SUCCESS
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests, Workload, join
from aiapi_operator.simulate.traces import Floats

JITTER = 0.25
LEAST_BUDGET = 10.0
"""Tries again that are granted however few first ones there are."""
BUDGET_SECONDS = 10.0
"""For so long what is not used of the budget may be saved."""
SHORTEST_SLICE = 0.1
LATEST = 5.0
"""Seconds by which a try may be late, since a run looks so far ahead at a time."""
_STEP = 7919
"""A prime: who tries again takes another connection."""


class RetryingClients:
    """All callers of a run, and what they have yet to try again."""

    def __init__(self, load: Workload) -> None:
        model = load.service.clients.retries
        self._most = model.most
        self._backoff = parse_duration(model.backoff)
        self._longest = parse_duration(model.longest)
        self._share = model.budget
        self._deadline = parse_duration(load.service.clients.deadline)
        self._connections = load.connections
        self._rng = np.random.default_rng([load.seed, 606])
        self._cap = max(LEAST_BUDGET, model.budget * load.trace.peak_minute * BUDGET_SECONDS)
        self._budget = self._cap
        self._waiting: list[tuple[Requests, Ints]] = []
        self._trouble = False
        self.retries = 0

    @property
    def patience(self) -> float:
        """Seconds in which a request is over, however often it is tried."""
        return (self._most + 1) * self._deadline + self._most * (self._longest + LATEST)

    @property
    def slice(self) -> float:
        """The longest time to look ahead for which no try again can come out of it too late."""
        if self._most == 0 or not (self._trouble or self._waiting):
            return float("inf")
        return max(SHORTEST_SLICE, (1 - JITTER) * self._backoff)

    def join(self, first: Requests, until: float) -> Requests:
        """First tries, and those again that are due."""
        if self._share > 0:
            self._budget = min(self._cap, self._budget + self._share * len(first))
        if not self._waiting:
            return first
        waiting = join([requests for requests, _ in self._waiting])
        outcome = np.concatenate([outcome for _, outcome in self._waiting])
        due = waiting.at < until
        self._waiting = [] if due.all() else [(waiting.take(~due), outcome[~due])]
        again = join([first, waiting.take(due)])
        self.retries += int(due.sum())
        return again.take(np.argsort(again.at, kind="stable"))

    def settle(self, served: ServedRequests, now: float) -> ServedRequests:
        """Those that are over, one way or the other; the others will be tried again."""
        bad = served.outcome != SUCCESS
        self._trouble = bool(bad.any())
        if self._most == 0 or not self._trouble:
            return served
        again = np.flatnonzero(bad & (served.requests.tries < self._most))
        if self._share > 0:
            again = again[np.argsort(served.leaves[again], kind="stable")][: int(self._budget)]
            self._budget -= len(again)
        self._plan(served, again, now)
        over = np.ones(len(bad), dtype=np.bool_)
        over[again] = False
        return served.take(over)

    def give_up(self) -> ServedRequests | None:
        """The run is over: who still waits to try again has no answer."""
        if not self._waiting:
            return None
        requests = join([requests for requests, _ in self._waiting])
        outcome = np.concatenate([outcome for _, outcome in self._waiting])
        return ServedRequests(requests, requests.at, outcome)

    def _plan(self, served: ServedRequests, again: Ints, now: float) -> None:
        if len(again) == 0:
            return
        requests = served.requests.take(again)
        waits: Floats = np.minimum(self._longest, self._backoff * 2.0**requests.tries)
        waits *= 1 - JITTER * self._rng.random(len(again))
        later = Requests(
            at=np.maximum(now, served.leaves[again] + waits),
            loop=requests.loop,
            upstream=requests.upstream,
            connection=(requests.connection + _STEP) % self._connections,
            born=requests.born,
            tries=requests.tries + 1,
        )
        self._waiting.append((later, served.outcome[again]))
