"""Removes each learner, need and guard in turn, and prints the effect. Run: make bench-ablation.

Each entry is removed from its list, and every case runs again. An entry without an effect in any
case is one to remove, unless its effect lies outside the simulator: in the status that people read,
or in limits that it does not model (threads; see "Limits" in docs/simulator.md). Negative
differences of windows and costs below 1 are effects as well: the entry does harm there.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import sizing_pool as pool
from ablation_cases import AblationCase, cases
from rich.console import Console
from rich.table import Table

from aiapi_demo import cpu_wait
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing import decide as deciding
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.inputs import Fleet, PodSample, SizingSpec
from aiapi_operator.sizing.learners import LEARNERS
from aiapi_operator.sizing.state import Size, State

NEGLIGIBLE = 5e-4
"""Difference of a share or a ratio that is none."""


@dataclass(frozen=True, slots=True)
class Removed:
    """An entry of a list; the empty one removes nothing."""

    group: str = ""
    name: str = "(all entries)"

    def apply(self) -> None:
        """Remove it in this process."""
        if self.group == "learner":
            deciding.MEMORIES = tuple(
                each for each in deciding.MEMORIES if each.kind.__name__ != self.name
            )
        elif self.group == "need":
            deciding.NEEDS = tuple(each for each in deciding.NEEDS if _name(each) != self.name)
        elif self.group == "guard":
            deciding.GUARDS = tuple(
                each for each in deciding.GUARDS if _name(each.check) != self.name
            )


def _name(function: Callable[..., object]) -> str:
    """``stabilization.guard_workers``, ``loop.need``."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def entries() -> list[Removed]:
    """Everything that can be removed."""
    return [
        *(Removed("learner", each.kind.__name__) for each in LEARNERS),
        *(Removed("need", _name(each)) for each in deciding.NEEDS),
        *(Removed("guard", _name(each.check)) for each in deciding.GUARDS),
    ]


@dataclass(slots=True)
class Watched:
    """The operator, with its conditions, its requests and the memory of pods noted."""

    spec: SizingSpec
    initial_size: Size
    change: Callable[[Fleet], Fleet]
    start_time: float
    name: str = "aiapi"
    instant: bool = False
    state: State = field(default_factory=State)
    conditions: list[str] = field(default_factory=list)
    worker_cpu: float = 0.0
    over_memory: float = 0.0
    """Seconds in which a pod had more memory than its limit."""

    @property
    def interval(self) -> float:
        """``scaling.interval`` of the spec."""
        return self.spec.interval

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """The operator's decision."""
        fleet = self.change(snapshot.scrape())
        spec = replace(self.spec, time_of_day=self.start_time + snapshot.now)
        decision = decide(spec, fleet, self.state, snapshot.now)
        self.state = decision.state
        self.conditions.append(str([(each.type, each.status) for each in decision.conditions]))
        self.worker_cpu += decision.worker_cpu
        self.over_memory += self.interval * any(map(_over_memory, fleet.pods))
        size = Size(workers=decision.workers, replicas=decision.replicas)
        return PolicyDecision(size=size, why=decision.message)


def _over_memory(pod: object) -> bool:
    return isinstance(pod, PodSample) and 0 < pod.memory_limit_bytes < pod.rss_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a run is measured by."""

    windows: float
    requests: float
    cost: float
    """Core-hours."""
    worker_cpu: float
    """Mean CPU request of a worker."""
    over_memory: float
    conditions: tuple[str, ...]


_cases: Sequence[AblationCase] = ()
"""Inherited by the forked processes."""


def _play(job: tuple[int, Removed]) -> Measures:
    index, removed = job
    case, change = _cases[index].case, _cases[index].change
    removed.apply()
    truth = GroundTruth(case.load, case.spec)
    initial = catalogue.build("aiapi", truth, pod_workers=1).initial_size
    policy = Watched(case.spec, initial, change, case.load.trace.start_time)
    result = Simulation(case.load, case.spec, policy).run()
    return Measures(
        windows=result.attainment_windows,
        requests=result.attainment_requests,
        cost=result.core_hours,
        worker_cpu=policy.worker_cpu / len(policy.conditions),
        over_memory=policy.over_memory,
        conditions=tuple(policy.conditions),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a removal changes in one case."""

    group: str
    name: str
    case: str
    windows: float
    """Share of windows met, less that with all entries."""
    requests: float
    cost: float
    """Over the cost with all entries."""
    worker_cpu: float
    """CPU request of a worker, over that with all entries."""
    over_memory: float
    """Seconds over the memory limit, less those with all entries."""
    conditions: float
    """Share of the ticks in which other conditions are reported."""

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        ratios = (self.cost - 1, self.worker_cpu - 1)
        differences = (*ratios, self.windows, self.requests, self.over_memory, self.conditions)
        return any(abs(each) > NEGLIGIBLE for each in differences)


def effect(removed: Removed, case: AblationCase, full: Measures, less: Measures) -> Effect:
    """The difference between two runs of a case."""
    pairs = list(zip(full.conditions, less.conditions, strict=True))
    return Effect(
        group=removed.group,
        name=removed.name,
        case=case.case.name,
        windows=less.windows - full.windows,
        requests=less.requests - full.requests,
        cost=less.cost / full.cost,
        worker_cpu=less.worker_cpu / full.worker_cpu,
        over_memory=less.over_memory - full.over_memory,
        conditions=sum(before != after for before, after in pairs) / len(pairs),
    )


def run(found: Sequence[AblationCase], console: Console) -> list[Effect]:
    """Every removal in every case. Prints each case when it is done."""
    global _cases  # noqa: PLW0603 - inherited by the forked processes
    _cases = found
    removals = entries()
    effects: list[Effect] = []
    for index, case in enumerate(found):
        jobs = [(index, removed) for removed in (Removed(), *removals)]
        full, *less = pool.every(_play, jobs, reuse=False)
        mine = [
            effect(removed, case, full, measures)
            for removed, measures in zip(removals, less, strict=True)
        ]
        with_effect = ", ".join(each.name for each in mine if each.any) or "none"
        console.print(f"{case.case.name}: {with_effect} have an effect", soft_wrap=True)
        effects += mine
    return effects


def table(effects: Sequence[Effect]) -> Table:
    """A line for each effect; one for an entry without any."""
    columns = ("without", "case", "windows", "requests", "cost", "worker CPU", "over memory")
    shown = Table(box=None, pad_edge=False)
    for column in (*columns, "conditions differ"):
        shown.add_column(column, no_wrap=True)
    for name in dict.fromkeys((each.group, each.name) for each in effects):
        mine = [each for each in effects if (each.group, each.name) == name and each.any]
        if not mine:
            shown.add_row(" ".join(name), "no effect in any case")
        for each in sorted(mine, key=lambda each: (each.windows, -each.cost)):
            shown.add_row(
                " ".join(name),
                each.case,
                f"{100 * each.windows:+.2f} %",
                f"{100 * each.requests:+.2f} %",
                f"x{each.cost:.3f}",
                f"x{each.worker_cpu:.3f}",
                f"{each.over_memory:+.0f} s",
                f"{100 * each.conditions:.1f} %",
            )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, help="directory with traces")
    parser.add_argument("--quick", action="store_true", help="without the four days")
    parser.add_argument("--only", default="", help="run only cases whose name contains this")
    parser.add_argument("--jobs", type=int, help="simulations at once")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    arguments = parser.parse_args()
    if arguments.jobs:
        pool.use(arguments.jobs)
    before = cpu_wait.read()
    found = [
        each
        for each in cases(arguments.traces, quick=arguments.quick)
        if arguments.only in each.case.name
    ]
    console = Console(width=170)
    effects = run(found, console)
    console.print(table(effects))
    wait = cpu_wait.between(before, cpu_wait.read())
    console.print(f"{wait} None of these figures depends on it.", highlight=False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = json.dumps([asdict(each) for each in effects], indent=2) + "\n"
    (arguments.out / "ablation.json").write_text(rows, "utf-8")


if __name__ == "__main__":
    main()
