"""Fixtures for the simulator's tests. All traffic is generated."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aiapi_operator.simulate.faults import Faults
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import Scenario, ServiceModel
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.spec import sizing_spec

MakeLoad = Callable[..., Workload]
MakeTruth = Callable[..., GroundTruth]


@pytest.fixture(scope="session")
def spec() -> SizingSpec:
    return sizing_spec(Scenario().spec)


@pytest.fixture(scope="session")
def make_load() -> MakeLoad:
    def make(*phases: tuple[float, float], seed: int = 7, **changes: object) -> Workload:
        """Phases of (seconds, requests per second), with Poisson noise."""
        rng = np.random.default_rng(seed)
        rates = np.concatenate([np.full(int(length), float(rate)) for length, rate in phases])
        trace = Trace(name="generated", counts=rng.poisson(rates).astype(np.float64))
        service = ServiceModel.model_validate(changes.pop("service", {}))
        return Workload(
            trace=trace, service=service, seed=seed, faults=changes.pop("faults", Faults())
        )

    return make


@pytest.fixture(scope="session")
def make_truth(spec: SizingSpec) -> MakeTruth:
    def make(load: Workload, **changes: object) -> GroundTruth:
        return GroundTruth(load, replace(spec, **changes))

    return make
