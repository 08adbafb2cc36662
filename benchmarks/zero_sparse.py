"""A day with few requests: what zero pods save, and what they cost the callers.

Bursts of a few minutes, 20 minutes to 2 hours apart, as on a development or long-tail API. The
operator with ``min: 0`` is compared with the same operator with ``min: 2``: two pods that never
stop. KPA and KEDA have the same requests, by their own rules for zero.

``python benchmarks/zero_sparse.py`` prints the rows and the figures of all three; ``--write FILE``
writes the day as a trace for ``aiapi simulate``.
"""

import gzip
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from goal_rows import Row

from aiapi_operator.simulate.compare import simulation
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import Scenario
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.spec import sizing_spec

DAY = 86_400
SEED = 15
QUIET = (1200.0, 7200.0)
"""Seconds from the end of a burst to the next."""
BURST = (60.0, 300.0)
"""Seconds of a burst."""
RATE = (0.5, 10.0)
"""Requests per second in a burst."""
TO_ZERO_AFTER = 300.0
SAVED = 0.8
TWO_PODS = "aiapi, two pods"
PEERS = ("kpa", "keda", "hpa-concurrency")


def sparse_day(seed: int = SEED) -> Trace:
    """24 hours of bursts."""
    rng = np.random.default_rng([seed, 1])
    rates = np.zeros(DAY)
    at = float(rng.uniform(0, QUIET[0]))
    while at < DAY:
        length = float(rng.uniform(*BURST))
        rates[int(at) : int(at + length)] = float(np.exp(rng.uniform(*np.log(RATE))))
        at += length + float(rng.uniform(*QUIET))
    return Trace(name=f"sparse day, seed {seed}", counts=rng.poisson(rates).astype(np.float64))


def run(seed: int = SEED, *, peers: bool = True) -> dict[str, RunResult]:
    """The day with zero pods, with two pods, and with the rules of others, by name."""
    scenario = Scenario()
    load = Workload(trace=sparse_day(seed), service=scenario.service, seed=seed)
    spec = replace(sizing_spec(scenario.spec), replicas=Bounds(min=1, max=20))
    zero, two = GroundTruth(load, spec), GroundTruth(load, sizing_spec(scenario.spec))
    results = {
        name: simulation(name, zero, pod_workers=1, to_zero_after=TO_ZERO_AFTER).run()
        for name in ("aiapi", *(PEERS if peers else ()))
    }
    return {**results, TWO_PODS: simulation("aiapi", two, pod_workers=1).run()}


def rows(results: Mapping[str, RunResult]) -> list[Row]:
    """The goals of the day, for ``make bench-zero``."""
    zero, two = results["aiapi"], results[TWO_PODS]
    cold = zero.cold_starts
    assert cold is not None
    saved = 1 - zero.core_hours / two.core_hours
    return [
        Row(
            name="24 h of a sparse trace: core-hours",
            goal=f">= {SAVED:.0%} fewer than with two pods",
            value=f"{saved:.1%} fewer: {zero.core_hours:.2f} of {two.core_hours:.2f}",
            holds=saved >= SAVED,
        ),
        Row(
            name="24 h of a sparse trace: requests that met no cold start",
            goal="all windows within the objective",
            value=(
                f"{cold.others_windows:.2%} of the windows, p95 {1000 * cold.others_p95:.0f} ms"
                f" (two pods: {two.attainment_windows:.2%}, {1000 * two.p95:.0f} ms);"
                f" {cold.others_late:,} of {zero.requests - cold.requests:,} late"
            ),
            holds=cold.others_windows == 1.0,
        ),
        Row(
            name="24 h of a sparse trace: requests that met a cold start",
            goal="counted and shown separately, none lost",
            value=(
                f"{cold.requests:,} of {zero.requests:,} in {cold.starts} cold starts, p95"
                f" {cold.p95:.2f} s, longest {cold.longest:.2f} s; {zero.failed + zero.shed} lost"
            ),
            holds=zero.failed + zero.shed == 0,
        ),
    ]


def _print(results: Mapping[str, RunResult]) -> None:
    for row in rows(results):
        print(f"{row.name}\n  {row.goal}: {row.value} ({'holds' if row.holds else 'missed'})")
    for name, result in results.items():
        cold = result.cold_starts
        met = "" if cold is None else f", {cold.starts} cold starts met by {cold.requests} requests"
        print(
            f"{name}: {result.core_hours:.2f} core-hours, p95 {1000 * result.p95:.0f} ms{met},"
            f" {result.failed + result.shed} lost"
        )


def main() -> None:
    """Print, or write the trace."""
    if sys.argv[1:2] == ["--write"]:
        counts = "\n".join(str(int(count)) for count in sparse_day().counts)
        Path(sys.argv[2]).write_bytes(gzip.compress(f"requests_per_second\n{counts}\n".encode()))
        return
    _print(run())


if __name__ == "__main__":
    main()
