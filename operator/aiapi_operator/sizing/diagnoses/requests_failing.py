"""RequestsFailing: 5 % of the requests of a minute fail. See learners/failed_requests.py."""

from aiapi_operator.present.numbers import date_and_time, duration, small_percent
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.daily_profile import MAX_TIME
from aiapi_operator.sizing.learners.failed_requests import FailedRequests, FailedShares
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "RequestsFailing"


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether requests fail, which way, and since when."""
    known = facts.get(FailedRequests)
    if known is None or not facts.known or not (known.recent or known.latch.on):
        return condition(KIND, None, "NoData", "No request has ended in the last minute.")
    share = small_percent(known.shares.total)
    if not known.latch.on:
        few = f"{share} of the requests of the last minute failed."
        return condition(KIND, False, "RequestsSucceed", few)
    minute = "the last minute" if known.recent else "the last minute with requests"
    found = f"{share} of the requests of {minute} failed ({_kinds(known.shares)}),"
    return _reason(known.shares, f"{found} {_when(facts, known.since or facts.now)}.")


def _reason(shares: FailedShares, found: str) -> Condition:
    """The condition, by the kind that fails most."""
    most = max(shares.server_error, shares.cancelled, shares.shed)
    if most == shares.server_error:
        return condition(
            KIND,
            True,
            "ServerErrors",
            f"{found} The app answers with a 5xx or raises: see its log (kubectl logs) and the"
            " errors of its upstreams. After a rollout, roll back. More workers or pods would not"
            " help.",
        )
    if most == shares.shed:
        return condition(
            KIND,
            True,
            "RequestsShed",
            f"{found} Pods are at their limit of concurrent requests. If ScalingLimited is true,"
            " raise replicas.max or workers.max; otherwise raise workers.maxConcurrency or the"
            " --limit of aiapi-serve if memory allows.",
        )
    return condition(
        KIND,
        True,
        "ClientsGiveUp",
        f"{found} Clients disconnect before they get a response: compare their timeouts with the"
        " latency, and see DependencyBound, EventLoopBlocked and ScalingLimited for its cause.",
    )


def _kinds(shares: FailedShares) -> str:
    kinds = (
        (shares.server_error, "server errors"),
        (shares.shed, "shed"),
        (shares.cancelled, "cancelled by clients"),
    )
    return ", ".join(f"{small_percent(share)} {name}" for share, name in kinds if share > 0)


def _when(facts: Facts, since: float) -> str:
    """The time, which stays true while the message is not written again; else how long ago."""
    ago, clock = max(0.0, facts.now - since), facts.spec.time_of_day
    if clock is None or not 0 <= clock - ago <= MAX_TIME:
        return f"for {duration(ago)}"
    return f"since {date_and_time(clock - ago)}"


DIAGNOSIS = Diagnosis(check)
