"""The pods of one AIApi, and which of them have answered a probe."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiapi_operator.activator.balance import InFlightLimit, choose
from aiapi_operator.activator.fleet import Pod, Readiness


@dataclass(slots=True, eq=False)
class Backend:
    """One pod."""

    pod: Pod
    readiness: Readiness = Readiness.NONE
    in_flight: int = 0
    last_chosen: int = 0


class Backends:
    """The pods that exist, by uid."""

    def __init__(self) -> None:
        self._backends: dict[str, Backend] = {}
        self._choices = 0

    def sync(self, pods: Mapping[str, Pod]) -> None:
        """Take over the pods that run now. A pod that is gone finishes what it has."""
        known = self._backends
        self._backends = {uid: known.get(uid) or Backend(pod) for uid, pod in pods.items()}

    def choose(self, limit: InFlightLimit) -> Backend | None:
        """Reserve a place at a pod that has room; None if there is none."""
        chosen = choose(self._backends.values(), limit)
        if chosen is not None:
            self._choices += 1
            chosen.last_chosen = self._choices
            chosen.in_flight += 1
        return chosen

    def to_probe(self, *, all_pods: bool) -> list[Backend]:
        """The pods to ask: all, or those that are not ready yet."""
        everyone = self._backends.values()
        return [each for each in everyone if all_pods or each.readiness is not Readiness.ALL]

    def forget_probes(self) -> None:
        """Nobody probes any more, so it is unknown which pods serve."""
        for each in self._backends.values():
            each.readiness = Readiness.NONE

    @property
    def serving(self) -> int:
        """Pods with a worker that serves."""
        return sum(each.readiness is not Readiness.NONE for each in self._backends.values())

    def __len__(self) -> int:
        return len(self._backends)
