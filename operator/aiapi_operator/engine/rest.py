"""While an AIApi is idle, its pods are watched for their first request: then it ticks at once."""

from collections.abc import Callable
from dataclasses import dataclass

from aiapi_operator.engine.fleet import AdminAccess, Observation
from aiapi_operator.engine.ports import Scraper
from aiapi_operator.observe.request_watch import Watch


@dataclass(slots=True)
class RestState:
    """The watch, while there is one, and what lets the AIApi tick soon."""

    wake: Callable[[], None]
    watch: Watch | None = None

    def end(self) -> None:
        """A tick begins, or the AIApi is no longer this operator's."""
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.end()


def begin(
    state: RestState,
    scraper: Scraper,
    observation: Observation,
    access: AdminAccess,
    seconds: int,
) -> bool:
    """Watch the pods. The AIApi ticks at their first request, or after ``seconds``.

    False where a pod cannot hold an answer back for so long, as those of older images cannot.
    """
    targets = [access.target(each.pod) for each in observation.sampled_pods]
    samples = [each.sample for each in observation.sampled_pods]
    if any(sample.longest_wait < seconds for sample in samples):
        return False
    reachable = [target for target in targets if target is not None]
    if len(reachable) < len(samples):
        return False
    state.watch = scraper.watch(
        reachable, samples, access.tokens, seconds=seconds, on_answer=state.wake
    )
    return state.watch is not None
