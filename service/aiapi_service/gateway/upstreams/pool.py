"""Calls upstreams: selects one, retries where safe, and enforces deadlines and budgets."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

import httpx

from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.upstreams import backoff, error_responses, failures
from aiapi_service.gateway.upstreams.budget import RetryBudget
from aiapi_service.gateway.upstreams.calls import Call
from aiapi_service.gateway.upstreams.failures import FailedAttempt
from aiapi_service.gateway.upstreams.hedge import first_of
from aiapi_service.gateway.upstreams.metering import CALLS
from aiapi_service.gateway.upstreams.response import OK, UpstreamResponse
from aiapi_service.gateway.upstreams.round_robin import WeightedRoundRobin
from aiapi_service.gateway.upstreams.settings import Kind
from aiapi_service.gateway.upstreams.target import UpstreamTarget
from aiapi_service.gateway.upstreams.transport import UpstreamTransport
from aiapi_service.gateway.upstreams.wire import ResponseHead

_STARTING_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class CallPolicy:
    """Timeouts, retries and hedging of calls."""

    total_timeout: float
    retries: int
    retry_wait: float
    hedge_after: float
    answer_limit: int


class UpstreamPool:
    """The upstreams of a worker."""

    def __init__(
        self,
        targets: Sequence[UpstreamTarget],
        connections: UpstreamTransport,
        policy: CallPolicy,
        budget: RetryBudget,
    ) -> None:
        self.targets = tuple(targets)
        self._connections = connections
        self._policy = policy
        self._budget = budget
        tiers = sorted({target.config.tier for target in targets})
        self._tiers = [
            WeightedRoundRobin(
                (one, one.config.weight) for one in targets if one.config.tier == tier
            )
            for tier in tiers
        ]

    async def close(self) -> None:
        await self._connections.close()

    def serves(self, kind: Kind, model: str) -> bool:
        return any(target.serves(kind, model) for target in self.targets)

    async def open(self, call: Call) -> UpstreamResponse:
        """Call an upstream. Returns a response with a good head; raises a problem otherwise."""
        if not self.targets:
            raise failures.no_upstream()
        if call.model and not self.serves(call.kind, call.model):
            raise error_responses.unknown_model(call.model, call.kind, self.targets)
        self._budget.earn()
        deadline = asyncio.get_running_loop().time() + self._policy.total_timeout
        if not self._policy.hedge_after:
            return await self._open(call, deadline, set())
        tried: set[UpstreamTarget] = set()
        return await first_of(
            lambda: self._open(call, deadline, tried),
            after=self._policy.hedge_after,
            may_hedge=lambda: self._alternative(call, tried) is not None and self._budget.spend(),
            discard=UpstreamResponse.close,
        )

    async def fetch(self, call: Call) -> tuple[UpstreamResponse, bytes]:
        """Call an upstream and read the whole response. Retries a broken one where safe."""
        try:
            answer = await self.open(call)
            return answer, await answer.read()
        except ProblemError as problem:
            if problem.kind != failures.BROKEN or not self._may_repeat(call):
                raise
        answer = await self.open(call)
        return answer, await answer.read()

    def _may_repeat(self, call: Call) -> bool:
        return call.repeatable and self._policy.retries > 0 and self._budget.spend()

    async def fetch_from(self, target: UpstreamTarget, call: Call) -> bytes:
        """Call one upstream without retries and read the whole response."""
        deadline = asyncio.get_running_loop().time() + self._policy.total_timeout
        outcome = await self._attempt(target, call, deadline)
        if isinstance(outcome, FailedAttempt):
            raise outcome.problem
        return await outcome.read()

    async def _open(
        self, call: Call, deadline: float, tried: set[UpstreamTarget]
    ) -> UpstreamResponse:
        loop = asyncio.get_running_loop()
        began = loop.time()
        retries = 0
        while True:
            target = self._choose(call, tried, loop.time())
            tried.add(target)
            outcome = await self._attempt(target, call, deadline)
            if isinstance(outcome, UpstreamResponse):
                return outcome
            now = loop.time()
            if outcome.lacks_model:
                if self._alternative(call, tried) is None:
                    raise outcome.problem
                target.models.note_missing(call.model, now)
                pause = 0.0
            elif target.start_timeout and outcome.retry_safe:
                if now - began > target.start_timeout:
                    raise error_responses.still_starting(target)
                pause = _STARTING_PAUSE_SECONDS
            else:
                pause = self._pause(outcome, call, tried, retries)
                if retries >= self._policy.retries or now + pause >= deadline:
                    raise outcome.problem
                if not (outcome.retry_safe or call.repeatable) or not self._budget.spend():
                    raise outcome.problem
                retries += 1
            await asyncio.sleep(pause)

    def _choose(self, call: Call, tried: set[UpstreamTarget], now: float) -> UpstreamTarget:
        """Select an available upstream: untried ones first, then by tier.

        Within a tier, upstreams that list the model come before those that list none.
        """
        for retry, tier, listed in product((False, True), self._tiers, (True, False)):
            target = tier.next(
                lambda one, retry=retry, listed=listed: (  # type: ignore[misc]  # mypy cannot infer the defaults
                    one.serves(call.kind, call.model)
                    and one.lists_model(call.model) == listed
                    and (retry or one not in tried)
                    and self._is_candidate(one, call, now)
                )
            )
            if target is not None:
                return target
        raise self._unavailable(call, now)

    def _unavailable(self, call: Call, now: float) -> ProblemError:
        """Why no upstream can be called now: the reason of the one that is available first."""
        serving = [one for one in self.targets if one.serves(call.kind, call.model)]
        first = min(serving, key=lambda one: one.wait(call.model, now))
        wait = first.wait(call.model, now)
        if first.limits_rate(call.model, now):
            return failures.rate_limited(first.name, call.model, wait)
        return failures.all_unavailable(wait)

    @staticmethod
    def _is_candidate(one: UpstreamTarget, call: Call, now: float) -> bool:
        return one.is_available(call.model, now) and not one.models.is_missing(call.model, now)

    def _alternative(self, call: Call, tried: set[UpstreamTarget]) -> UpstreamTarget | None:
        """An available upstream for this call that has not been tried."""
        now = asyncio.get_running_loop().time()
        for one in self.targets:
            fits = one not in tried and one.serves(call.kind, call.model)
            if fits and self._is_candidate(one, call, now):
                return one
        return None

    def _pause(
        self, failure: FailedAttempt, call: Call, tried: set[UpstreamTarget], retries: int
    ) -> float:
        """No pause before an untried upstream; else its Retry-After, or backoff."""
        if self._alternative(call, tried) is not None:
            return 0.0
        if failure.retry_after is None:
            return backoff.pause(retries, random.random)
        return (
            failure.retry_after if failure.retry_after <= self._policy.retry_wait else float("inf")
        )

    async def _attempt(
        self, target: UpstreamTarget, call: Call, deadline: float
    ) -> UpstreamResponse | FailedAttempt:
        outcome = await self._attempt_once(target, call, deadline)
        if isinstance(outcome, FailedAttempt) and outcome.rejects_usage:
            target.note_rejected_usage(asyncio.get_running_loop().time())
            return await self._attempt_once(target, call, deadline)
        return outcome

    async def _attempt_once(
        self, target: UpstreamTarget, call: Call, deadline: float
    ) -> UpstreamResponse | FailedAttempt:
        now = asyncio.get_running_loop().time()
        adds_usage = call.adds_usage and not target.rejects_usage(now)
        target.breaker.allow(now)
        try:
            head = await self._send(target, call, deadline, adds_usage=adds_usage)
            limit = self._policy.answer_limit
            answer = UpstreamResponse(target, head, deadline=deadline, limit=limit)
            outcome: UpstreamResponse | FailedAttempt = await self._classify(
                answer, adds_usage=adds_usage
            )
        except httpx.HTTPError as error:
            outcome = failures.from_transport_error(
                error, target.name, free=target.start_timeout > 0
            )
        except BaseException:
            # Also when the client disconnects: lets another call be the trial call.
            target.breaker.abandoned()
            raise
        self._record(target, call, outcome)
        return outcome

    async def _classify(
        self, answer: UpstreamResponse, *, adds_usage: bool
    ) -> UpstreamResponse | FailedAttempt:
        if 200 <= answer.head.status < 300:
            return answer
        try:
            return await error_responses.classify(answer, datetime.now(UTC), adds_usage=adds_usage)
        except ProblemError as problem:
            target, now = answer.target, asyncio.get_running_loop().time()
            target.breaker.succeeded(now)
            target.report_state(now)
            CALLS.labels(target.name, problem.kind).inc()
            raise

    def _record(
        self, target: UpstreamTarget, call: Call, outcome: UpstreamResponse | FailedAttempt
    ) -> None:
        now = asyncio.get_running_loop().time()
        if isinstance(outcome, UpstreamResponse):
            target.breaker.succeeded(now)
            outcome.outcome = OK
        elif outcome.lacks_model or outcome.rejects_usage:
            target.breaker.succeeded(now)
        elif outcome.trips_breaker and not (target.start_timeout and outcome.retry_safe):
            target.breaker.failed(now)
        else:
            target.breaker.abandoned()
        if isinstance(outcome, FailedAttempt):
            if outcome.retry_after and not target.start_timeout:
                target.models.note_rest(
                    call.model,
                    now,
                    outcome.retry_after,
                    is_rate_limit=outcome.problem.status == 429,
                )
            CALLS.labels(target.name, outcome.problem.kind).inc()
        target.report_state(now, outcome.problem.kind if isinstance(outcome, FailedAttempt) else "")

    async def _send(
        self, target: UpstreamTarget, call: Call, deadline: float, *, adds_usage: bool
    ) -> ResponseHead:
        left = deadline - asyncio.get_running_loop().time()
        to = (
            target.unknown_endpoint(call.method, call.path, call.query, call.content_type)
            if call.is_unknown
            else target.endpoint(call.method, call.path)
        )
        return await self._connections.send(to, call.body_for(target, adds_usage=adds_usage), left)
