"""Measures how long a decision takes for small and large fleets. Run: make bench-decide."""

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from msgspec import structs
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.inputs import Bounds

WARM = 40
MEASURED = 100


def measure(pods: int) -> list[float]:
    """Milliseconds per decision, over consecutive ticks of a fleet with full windows."""
    user_spec = spec(replicas=Bounds(min=pods, max=2 * pods), workers=Bounds(min=2, max=8))
    model = FleetModel(user_spec, replicas=pods, workers=2)
    model.rate = 40.0 * pods
    ticks = []
    # Simulate one pod and copy its samples: the model is slower than the decision.
    single = FleetModel(user_spec, replicas=1, workers=2)
    single.rate = 40.0
    for _ in range(WARM + MEASURED):
        single.serve(user_spec.interval)
        sample = single.pods[0].sample(single.now, single.service)
        copies = tuple(
            structs.replace(sample, pod=f"pod-{i}", instance=f"i-{i}") for i in range(pods)
        )
        fleet = replace(single.fleet(), replicas=pods, pods=copies)
        started = perf_counter()
        decision = decide(user_spec, fleet, model.state, single.now)
        ticks.append(1000 * (perf_counter() - started))
        model.state = decision.state
    return ticks[WARM:]


def main() -> None:
    print(f"{'pods':>6} {'median ms':>10} {'p95 ms':>8}")
    for pods in (2, 10, 100, 1000):
        times = measure(pods)
        print(f"{pods:>6} {median(times):>10.2f} {quantiles(times, n=20)[-1]:>8.2f}")


if __name__ == "__main__":
    main()
