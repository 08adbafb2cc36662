"""Freshness: nothing shrinks while ready pods cannot be scraped, because their load is unknown."""

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size
from aiapi_operator.sizing.text import format_silent_pods


def guard(size: Size, facts: Facts, _: Requirements) -> Guarded | None:
    """No fewer workers and no fewer pods than are running."""
    if facts.seen.mostly_known:
        return None
    start = facts.start
    allowed = Size(
        workers=max(size.workers, start.workers), replicas=max(size.replicas, start.replicas)
    )
    if allowed == size:
        return None
    silent = format_silent_pods(facts.seen.unknown)
    return Guarded(
        size=allowed,
        verdict=Verdict.HOLDING,
        why=f"no scale-down while ready pods cannot be scraped ({silent})",
    )
