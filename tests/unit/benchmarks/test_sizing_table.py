"""The sizing table follows from two measured clusters."""

import pytest
from scale_bench.sizing_table import Cost, Measured, lines

TICK, SCRAPE, BASE, AIAPI, POD = 1e-3, 0.2e-3, 80e6, 60e3, 4e3


def measured(aiapis: int, pods: int) -> Measured:
    """A cluster with exactly these costs."""
    return Measured(
        aiapis=aiapis,
        pods=aiapis * pods,
        tick=TICK + pods * SCRAPE,
        memory=aiapis * (AIAPI + pods * POD),
    )


def test_the_costs_are_found() -> None:
    cost = Cost.of(BASE, measured(1000, 10), measured(5000, 2))
    found = (cost.tick, cost.scrape, cost.base, cost.aiapi, cost.pod)
    assert found == pytest.approx((TICK, SCRAPE, BASE, AIAPI, POD))


def test_idle_aiapis_tick_every_ten_seconds() -> None:
    cost = Cost(tick=TICK, scrape=SCRAPE, base=BASE, aiapi=AIAPI, pod=POD)
    assert cost.cores(1000, 10, busy=1.0) == pytest.approx(500 * 3e-3)
    assert cost.cores(1000, 10, busy=0.1) == pytest.approx((50 + 90) * 3e-3)


def test_the_table_has_units() -> None:
    found = list(lines(Cost(tick=TICK, scrape=SCRAPE, base=BASE, aiapi=AIAPI, pod=POD)))
    assert "| 1,000 x 10 | 1.50 | 0.42 | 180 MB |" in found
    assert "1.00 ms and 0.20 ms for each pod" in found[-1]
