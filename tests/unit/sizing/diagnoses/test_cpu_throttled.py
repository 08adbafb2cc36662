"""CPUThrottled, by the share of the last minute."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.diagnoses.cpu_throttled import check

ADVICE = (
    " of the last minute. Event loops look busier than they are, and requests wait. Remove the"
    " limit (podTemplate.spec.containers[app].resources.limits.cpu, or a LimitRange): the CPU"
    " request already gives each worker its share."
)


@pytest.mark.parametrize(
    ("throttled", "limits", "status", "reason", "message"),
    [
        pytest.param(
            0.3,
            (2.0, 1.5),
            True,
            "LimitTooLow",
            f"A CPU limit of 1.5 cores throttled a pod for 30 %{ADVICE}",
            id="the lowest limit is named",
        ),
        pytest.param(
            0.05,
            (0.0, 0.0),
            True,
            "LimitTooLow",
            f"A CPU limit throttled a pod for 5 %{ADVICE}",
            id="the limit is not known",
        ),
        pytest.param(
            0.04,
            (1.0, 1.0),
            False,
            "NotThrottled",
            "No CPU limit throttles the pods.",
            id="under 5 %",
        ),
    ],
)
def test_throttling(
    throttled: float, limits: tuple[float, float], status: bool, reason: str, message: str
) -> None:
    pods = [
        pod(60.0, name, cpu_limit_cores=limit) for name, limit in zip("ab", limits, strict=True)
    ]
    found = check(facts(row(throttled=throttled), pods=pods), needed(1.0), size(1, 2))
    assert (found.type, found.status, found.reason) == ("CPUThrottled", status, reason)
    assert found.message == message


def test_without_metrics_it_is_unknown() -> None:
    found = check(facts(), needed(1.0), size(1, 2))
    assert (found.status, found.reason) == (None, "NoData")
    assert found.message == "No pod can be scraped."
