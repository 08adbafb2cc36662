"""Other autoscalers at their best: the setting is found on the first part of the same load.

Each is tried with several workers per pod and several factors on its usual target. The best is the
cheapest that meets the objective at least as often as the operator does on that part, else the one
that meets it most often. No user can do better before the load has come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from sizing_loads import HOUR, Case
from sizing_pool import DEFAULT, Job, Setting, simulate

from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue

OWN = ("aiapi", "aiapi-last-value", "static", "oracle")
PEERS = tuple(name for name in catalogue.NAMES if name not in OWN)
SETTINGS = tuple(Setting(*each) for each in product((1, 2, 4), (0.5, 0.75, 1.0, 1.4)))
QUICK_SETTINGS = tuple(Setting(2, factor) for factor in (0.5, 1.0))
MAX_PART = 6 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResults:
    """The results of all policies on one case."""

    case: Case
    own: Mapping[str, RunResult]
    """The operator and the baselines."""
    peers: Mapping[str, tuple[Setting, RunResult]]

    def vs_oracle(self, result: RunResult) -> float:
        """Cost divided by the oracle's."""
        return result.core_hours / self.own["oracle"].core_hours


def first_part(case: Case) -> Case:
    """The first quarter of a case, at most six hours."""
    trace = case.load.trace
    seconds = min(MAX_PART, 60 * -(-trace.seconds // 240))
    timestamps = trace.timestamps
    if timestamps is not None:
        timestamps = timestamps[timestamps < seconds]
    part = replace(trace, counts=trace.counts[:seconds], timestamps=timestamps, notes=())
    return replace(case, load=replace(case.load, trace=part))


def best_settings(cases: Sequence[Case], settings: Sequence[Setting]) -> list[dict[str, Setting]]:
    """For each case, the best setting of each other autoscaler."""
    parts = [first_part(case) for case in cases]
    own = [Job(index, "aiapi") for index in range(len(parts))]
    tried = [Job(*each) for each in product(range(len(parts)), PEERS, settings)]
    results = simulate(parts, [*own, *tried])
    return [
        {
            name: _best(
                {s: results[Job(index, name, s)] for s in settings},
                results[own[index]].attainment_windows,
            )
            for name in PEERS
        }
        for index in range(len(parts))
    ]


def _best(tried: Mapping[Setting, RunResult], goal: float) -> Setting:
    good = {key: each for key, each in tried.items() if each.attainment_windows >= goal}
    if good:
        return min(good, key=lambda key: good[key].core_hours)
    return max(tried, key=lambda key: tried[key].attainment_windows)


def run_cases(
    cases: Sequence[Case], settings: Sequence[Mapping[str, Setting]]
) -> list[CaseResults]:
    """Each case with the operator and the baselines, and the peers that have a setting."""
    own = [Job(*each) for each in product(range(len(cases)), OWN)]
    peers = [
        Job(index, name, setting)
        for index, chosen in enumerate(settings)
        for name, setting in chosen.items()
    ]
    results = simulate(cases, [*own, *peers])
    return [
        CaseResults(
            case=case,
            own={name: results[Job(index, name)] for name in OWN},
            peers={job.policy: (job.setting, results[job]) for job in peers if job.case == index},
        )
        for index, case in enumerate(cases)
    ]


def defaults(count: int) -> list[dict[str, Setting]]:
    """Every peer at its defaults, for each of ``count`` cases."""
    return [dict.fromkeys(PEERS, DEFAULT) for _ in range(count)]
