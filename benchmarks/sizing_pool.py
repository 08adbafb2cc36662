"""Runs simulations on several cores."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sizing_loads import Case

from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.run import Simulation

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Setting:
    """How another autoscaler is set: workers per pod, and a factor on its usual target."""

    pod_workers: int = 2
    factor: float = 1.0

    def __str__(self) -> str:
        return f"{self.pod_workers} workers, x{self.factor:g}"


DEFAULT = Setting()


@dataclass(frozen=True, slots=True)
class Job:
    """A policy on a case."""

    case: int
    policy: str
    setting: Setting = DEFAULT


_cases: Sequence[Case] = ()
"""Inherited by the forked worker processes, so nothing is copied."""
_jobs = os.cpu_count() or 1


def use(jobs: int) -> None:
    """Set how many simulations run at once."""
    global _jobs  # noqa: PLW0603 - one setting of the command line
    _jobs = jobs


def every(function: Callable[[In], Out], inputs: Sequence[In], *, reuse: bool = True) -> list[Out]:
    """``function`` of each input, in order. ``reuse=False``: each in a new process."""
    fork = multiprocessing.get_context("fork")
    with fork.Pool(_jobs, maxtasksperchild=8 if reuse else 1) as pool:
        return pool.map(function, inputs, chunksize=1)


def simulate(cases: Sequence[Case], jobs: Sequence[Job]) -> dict[Job, RunResult]:
    """Run all simulations."""
    global _cases  # noqa: PLW0603 - see above
    _cases = cases
    return dict(zip(jobs, every(_simulate, jobs), strict=True))


def _simulate(job: Job) -> RunResult:
    case = _cases[job.case]
    policy = catalogue.build(
        job.policy,
        GroundTruth(case.load, case.spec),
        pod_workers=job.setting.pod_workers,
        factor=job.setting.factor,
    )
    return Simulation(case.load, case.spec, policy).run()
